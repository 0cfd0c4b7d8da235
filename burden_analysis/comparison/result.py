"""A comparison: its tests, its values, its outcome, and the words made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from burden_analysis.results.answer import Answer

if TYPE_CHECKING:
    import pandas as pd

    from burden_analysis.results.judgement import Judgement
    from burden_analysis.results.question import Question


@dataclass(frozen=True, eq=False)
class Comparison(Answer):
    """Tests of one ordered claim over paired seeds.

    Attributes
    ----------
    by : str
        ``"strategy"`` or ``"sparsity"``.
    question : Question
        What was asked: `indicator`, `order`, `window`, `scale`, `alpha` and `paired_by`.
    paired : bool
        False where strategies share no seed: tests of independent samples, effects are Cliff's δ.
    seeds : tuple
        Values of the pairing coordinate that were used.
    judgement : Judgement
        `outcome`, `reason` and the deciding rows; `compare_strategies` and `compare_sparsities` define the outcomes.
    verdict : str
        The outcome in words, made from the numbers of the table.
    excluded : tuple of str
        ``"run_id: reason"`` for each run, and ``"sparsity: reason"`` for each sparsity, that was left out.
    table : pandas.DataFrame
        One row per test, with the columns `burden_analysis.results.rows.COLUMNS`.
    effects : pandas.DataFrame
        One row per run that was used: strategy, sparsity, seed, value (its endpoint, log₁₀ on the log scale).
    """

    by: str
    question: Question
    paired: bool
    seeds: tuple[Any, ...]
    judgement: Judgement
    verdict: str
    excluded: tuple[str, ...]
    table: pd.DataFrame
    effects: pd.DataFrame
