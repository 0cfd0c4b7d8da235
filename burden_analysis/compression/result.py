"""The effect of compression: its tests, the differences behind them, its outcome, and the words made from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from burden_analysis.results.answer import Judged

if TYPE_CHECKING:
    import pandas as pd

    from burden_analysis.results.judgement import Judgement


@dataclass(frozen=True, eq=False, kw_only=True)
class CompressionEffect(Judged):
    """Tests of one claim: compressing the input makes sparse networks more accurate.

    Attributes
    ----------
    by : str
        ``"compression"``.
    judgement : Judgement
        `outcome`, `reason` and the deciding rows; `compression_effect` defines the outcomes.
    verdict : str
        The outcome in words, made from the numbers of the table.
    ratios : tuple of float
        Compression ratios above 0 that were compared with 0.
    blocks : tuple of str
        Columns whose values together make a block.
    unit : str
        The level that was judged: ``"block"``, or ``"seed"`` from three seeds on.
    seeds : tuple
        Seeds in the table; empty when it has none.
    unstable : tuple of str
        Blocks that were found unstable.
    unstable_share : float
        Their share of the variance between ratios within cells.
    margin : float
        Of the equivalence tests, in percentage points.
    alpha : float
        Level of every family; intervals cover 1 − alpha.
    excluded : tuple of str
        ``"cell, ratio: reason"`` for each accuracy that is missing or unusable.
    table : pandas.DataFrame
        One row per test, ratio, level and scope, with the columns `burden_analysis.compression.ratio_tests.COLUMNS`.
    differences : pandas.DataFrame
        One row per cell and ratio: what the cell is, ``stable``, ``compression``, ``accuracy``, ``baseline`` and
        ``difference`` (percentage points).
    """

    by: str = field(default="compression", init=False)
    judgement: Judgement
    verdict: str
    ratios: tuple[float, ...]
    blocks: tuple[str, ...]
    unit: str
    seeds: tuple[Any, ...]
    unstable: tuple[str, ...]
    unstable_share: float
    margin: float
    alpha: float
    excluded: tuple[str, ...]
    table: pd.DataFrame
    differences: pd.DataFrame
