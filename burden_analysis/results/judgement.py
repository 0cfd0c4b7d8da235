"""A judgement: the outcome, the reason for it, and the tests that decide."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from burden_analysis.results.outcome import Outcome
from burden_analysis.results.written import UNWRITTEN

if TYPE_CHECKING:
    import pandas as pd


class Reason(StrEnum):
    """Why an outcome is what it is."""

    SIGNIFICANT = "significant"
    """Every test that the claim needs is significant."""
    AGAINST = "against"
    """Some test against the claim is significant."""
    SINGLE = "single"
    """One seed says nothing about others."""
    FEW = "few"
    """Fewer than three seeds (blocks) leave no interval."""
    UNREACHABLE = "unreachable"
    """Not even the clearest data could have been significant."""
    WIDE = "wide"
    """The interval is wider than the margin."""
    OUTSIDE = "outside"
    """The interval lies outside the margin."""
    REVERSED = "reversed"
    """The test is significant, but estimates point the other way."""
    INSIGNIFICANT = "insignificant"
    """Some test that the claim needs is not significant."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a rule says; words about it only format it.

    Attributes
    ----------
    outcome : Outcome
        What the tests say about the claim.
    reason : Reason
        Which part of the rule gave it.
    rows : pandas.DataFrame
        The tests that decide, in the order of their table.
    """

    outcome: Outcome
    reason: Reason
    rows: pd.DataFrame = field(metadata=UNWRITTEN)

    @property
    def row(self) -> pd.Series[Any]:
        """The first test that decides."""
        return self.rows.iloc[0]
