"""Names that programs choose by, with the words that readers see: rewording changes no choice."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Worded(StrEnum):
    """One word for programs, and `words` for readers."""

    words: str

    def __new__(cls, value: str, words: str = "") -> Self:
        """Make a member of its value and, where they differ from it, its words."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.words = words or value
        return member
