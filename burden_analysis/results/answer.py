"""What answers to a question have in common: its settings, and the judgement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from burden_analysis.results.printed import Printed

if TYPE_CHECKING:
    from burden_analysis.results.judgement import Judgement, Reason
    from burden_analysis.results.outcome import Outcome
    from burden_analysis.results.question import Question


class Judged(Printed):
    """A result with a field `judgement`."""

    judgement: Judgement

    @property
    def outcome(self) -> Outcome:
        """What the tests say about the claim."""
        return self.judgement.outcome

    @property
    def reason(self) -> Reason:
        """Why the outcome is what it is."""
        return self.judgement.reason


class Answer(Judged):
    """A result with fields `question` and `judgement`; the settings are the question's."""

    question: Question

    @property
    def indicator(self) -> str:
        """What was compared."""
        return self.question.indicator

    @property
    def order(self) -> tuple[str, ...]:
        """The claim, from the lowest to the highest: strategies, or sparsities."""
        return self.question.order

    @property
    def window(self) -> float:
        """Share of each run's last records that makes its endpoint."""
        return self.question.window

    @property
    def scale(self) -> str:
        """``"log"`` or ``"raw"``."""
        return self.question.scale

    @property
    def alpha(self) -> float:
        """Level of every family; intervals cover 1 − alpha."""
        return self.question.alpha

    @property
    def paired_by(self) -> str:
        """Coordinate whose equal values are paired."""
        return self.question.paired_by
