"""Does compressing the input make sparse networks more accurate? Judged over blocks, with and without unstable ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from burden_analysis.compression.accuracies import SETUP
from burden_analysis.compression.cells import compression_cells
from burden_analysis.compression.judgement import compression_judgement
from burden_analysis.compression.ratio_tests import as_table, compression_rows
from burden_analysis.compression.result import CompressionEffect
from burden_analysis.compression.verdict import verdict
from burden_analysis.statistics.holm import check_alpha
from recorders.contract import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

ALL, STABLE = "all blocks", "stable blocks"


def compression_effect(
    table: pd.DataFrame,
    *,
    blocks: Sequence[str] = SETUP,
    stable_only: bool | None = None,
    margin: float = 0.5,
    alpha: float = 0.05,
) -> CompressionEffect:
    """Test whether compressing the input makes sparse networks more accurate (claim C3).

    A cell is one (block, sparsity), or (block, sparsity, seed); its accuracy at compression 0 is the baseline that the
    other ratios are compared with. Cells share blocks, so the unit that is judged is the block; from three seeds on it
    is the seed (statistics.md). The value of a unit is the mean over its cells; cells are counted and tested too, and
    their tests only describe.

    Parameters
    ----------
    table : pandas.DataFrame
        From `published_tables` or `accuracy_table`: columns `blocks`, ``compression``, ``sparsity``, ``accuracy`` (per
        cent) and optionally ``seed``; any ratios, sparsities and blocks.
    blocks : sequence of str
        Columns whose values together make a block: set-up and learning rate.
    stable_only : bool, optional
        False: all blocks; True: without the unstable ones; by default both. A block is unstable when its variance
        between ratios within cells is over 10 times that of the median block, whichever ratio is ahead.
    margin : float, default 0.5
        A mean difference, in percentage points, that would not matter (equivalence test).
    alpha : float, default 0.05
        Level of every family; intervals cover 1 − alpha.

    Returns
    -------
    CompressionEffect
        `outcome` is the first that holds of

        - ``contradicted``: over all ratios together the mean difference is significantly below 0 in every scope, and no
          ratio is significantly higher in any;
        - ``supported``: some ratio is significantly higher over units (exact two-sided Wilcoxon, Holm over ratios) and
          wins more than half of the cells, the same one in every scope;
        - ``undecided (too few seeds)``: in some scope, fewer than three units, or too few to reach alpha after Holm;
        - ``not supported (could have been seen)``: anything else.

        A difference is higher (lower) when its mean and the majority of units agree. Under no effect, each of the first
        two has a probability of at most alpha. The best ratio of each cell is compared with what selection alone gains
        and does not decide.

    Raises
    ------
    InputError
        No table; columns are missing, values out of range, two rows repeat a cell; no baseline, no other ratio, no
        cell with both; no stable block; `margin` or `alpha` out of range.
    """
    if not hasattr(table, "columns"):
        raise InputError("compression_effect reads a table of accuracies: pass accuracy_table(dataset) of a study")
    check_alpha(alpha)
    if not margin > 0:
        raise InputError(f"margin {margin} is no difference that could matter: choose one above 0 percentage points")
    cells = compression_cells(table, blocks)
    scopes = {} if stable_only else {ALL: cells}
    if stable_only or (stable_only is None and cells.unstable.any()):
        scopes[STABLE] = cells.stable()
    rows = [row for scope, part in scopes.items() for row in compression_rows(part, scope, margin, alpha)]
    tests = as_table(rows)
    judged = compression_judgement(tests, cells.unit, alpha)
    return CompressionEffect(
        judgement=judged,
        verdict=verdict(cells, tests, judged, margin, alpha),
        ratios=cells.ratios[1:],
        blocks=cells.blocks,
        unit=cells.unit,
        seeds=cells.seeds,
        unstable=cells.unstable_names,
        unstable_share=cells.unstable_share,
        margin=margin,
        alpha=alpha,
        excluded=cells.excluded,
        table=tests,
        differences=cells.tidy(),
    )
