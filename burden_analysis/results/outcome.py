"""What tests can say about a claim."""

from __future__ import annotations

from burden_analysis.results.worded import Worded


class Outcome(Worded):
    """What the tests say about the claim; `words` is what verdicts and pages print."""

    NOT_JUDGED = "unjudged", "not judged"
    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    NOT_SUPPORTED = "unsupported", "not supported (could have been seen)"
    UNDECIDED = "undecided", "undecided (too few seeds)"

    @property
    def short(self) -> str:
        """The words without what stands in parentheses."""
        return self.words.partition(" (")[0]
