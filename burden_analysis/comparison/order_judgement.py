"""The rule by which an order over strategies is judged, whether or not they share seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from burden_analysis.results.judgement import Judgement, Reason
from burden_analysis.results.outcome import Outcome

if TYPE_CHECKING:
    import pandas as pd

    from burden_analysis.results.question import Question


def order_judgement(
    joint: pd.DataFrame, against: pd.DataFrame, asked: Question, neutral: float, *, single: bool, few: bool
) -> Judgement:
    """Judge an order over strategies; `compare_strategies` defines the outcomes."""
    test, refuting = joint.iloc[0], against[against["p_adjusted"] <= asked.alpha]
    contrary = against[against["effect"] < neutral]
    if single:
        return Judgement(Outcome.UNDECIDED, Reason.SINGLE, joint)
    if len(refuting):
        return Judgement(Outcome.CONTRADICTED, Reason.AGAINST, refuting)
    if test["p"] <= asked.alpha and contrary.empty:
        return Judgement(Outcome.SUPPORTED, Reason.SIGNIFICANT, joint)
    if test["attainable_p"] > asked.alpha:
        return Judgement(Outcome.UNDECIDED, Reason.UNREACHABLE, joint)
    if few:
        return Judgement(Outcome.UNDECIDED, Reason.FEW, joint)
    if test["p"] > asked.alpha:
        return Judgement(Outcome.NOT_SUPPORTED, Reason.INSIGNIFICANT, joint)
    return Judgement(Outcome.NOT_SUPPORTED, Reason.REVERSED, contrary)
