"""The four things tests can say about a claim."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What the tests say about the claim."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    NOT_SUPPORTED = "not supported (could have been seen)"
    UNDECIDED = "undecided (too few seeds)"
