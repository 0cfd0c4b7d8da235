"""Whether strategies share seeds, chosen once: all that depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from burden_analysis.arrangement.pairing import shares_seeds, with_all_strategies, with_full_blocks
from burden_analysis.comparison.paired_tests import claim_rows, paired_equivalence, paired_judgement, strategy_rows
from burden_analysis.comparison.unpaired_tests import (
    unpaired_claim_rows,
    unpaired_equivalence,
    unpaired_judgement,
    unpaired_rows,
)
from burden_analysis.comparison.unpaired_verdict import unpaired_sentences
from burden_analysis.comparison.verdict import paired_sentences
from burden_analysis.results.tests import Test

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    import pandas as pd
    import xarray as xr

    from burden_analysis.arrangement.cells import Cells
    from burden_analysis.results.judgement import Judgement
    from burden_analysis.results.question import Question
    from burden_analysis.statistics import Equivalence


@dataclass(frozen=True)
class Design:
    """How strategies are compared.

    Attributes
    ----------
    paired : bool
        Whether they share seeds.
    comparable : callable
        Keeps what can be compared; names the rest.
    tests : callable
        Every test of an order, as a table.
    claim_rows : callable
        Those that decide, as rows.
    judge : callable
        The rule.
    sentences : callable
        The words.
    equivalence : callable
        Two one-sided tests of two strategies, over all sparsities and at each; what they leave out.
    equivalence_test : Test
        Their name.
    """

    paired: bool
    comparable: Callable[[Cells], tuple[Cells, tuple[str, ...]]]
    tests: Callable[[Cells, Question], pd.DataFrame]
    claim_rows: Callable[[Cells, Question], list[dict[str, Any]]]
    judge: Callable[[pd.DataFrame, Question], Judgement]
    sentences: Callable[[Question, pd.DataFrame, Judgement, int], list[str]]
    equivalence: Callable[[Cells, float, Question], tuple[list[Equivalence], tuple[str, ...]]]
    equivalence_test: Test


PAIRED = Design(
    paired=True,
    comparable=with_full_blocks,
    tests=strategy_rows,
    claim_rows=claim_rows,
    judge=paired_judgement,
    sentences=paired_sentences,
    equivalence=paired_equivalence,
    equivalence_test=Test.TOST,
)
UNPAIRED = Design(
    paired=False,
    comparable=with_all_strategies,
    tests=unpaired_rows,
    claim_rows=unpaired_claim_rows,
    judge=unpaired_judgement,
    sentences=unpaired_sentences,
    equivalence=unpaired_equivalence,
    equivalence_test=Test.TOST_WELCH,
)


def design_of(dataset: xr.Dataset, strategies: Sequence[str], paired_by: str) -> Design:
    """Choose the design of a study, as `shares_seeds` says; runs of any status count."""
    return PAIRED if shares_seeds(dataset, strategies, paired_by) else UNPAIRED
