"""The effect of compression: its tests, the differences behind them, its outcome, and the words made from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from burden_analysis.compression.verdict import prose
from burden_analysis.results.printed import Printed
from burden_analysis.results.rows import finite

if TYPE_CHECKING:
    import pandas as pd

    from burden_analysis.results.outcome import Outcome


@dataclass(frozen=True, eq=False)
class CompressionEffect(Printed):
    """Tests of one claim: compressing the input makes sparse networks more accurate.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per test, ratio, level and scope, with the columns `burden_analysis.compression.ratio_tests.COLUMNS`.
    differences : pandas.DataFrame
        One row per cell and ratio: what the cell is, ``stable``, ``compression``, ``accuracy``, ``baseline`` and
        ``difference`` (percentage points).
    outcome : Outcome
        One of the four; `compression_effect` defines them.
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
    """

    table: pd.DataFrame
    differences: pd.DataFrame
    outcome: Outcome
    ratios: tuple[float, ...]
    blocks: tuple[str, ...]
    unit: str
    seeds: tuple[Any, ...]
    unstable: tuple[str, ...]
    unstable_share: float
    margin: float
    alpha: float
    excluded: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """The outcome in words, made from the numbers of the table."""
        return prose(self)

    def to_json(self) -> str:
        """Write everything as strict JSON.

        Returns
        -------
        str
            One object; NaN and infinite numbers are null.
        """
        content = {
            "by": "compression",
            "outcome": self.outcome.value,
            "verdict": self.verdict,
            "ratios": self.ratios,
            "blocks": self.blocks,
            "unit": self.unit,
            "seeds": self.seeds,
            "unstable": self.unstable,
            "unstable_share": self.unstable_share,
            "margin": self.margin,
            "alpha": self.alpha,
            "excluded": self.excluded,
            "table": [finite(row) for row in self.table.to_dict("records")],
            "differences": [finite(row) for row in self.differences.to_dict("records")],
        }
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    return value.item()  # NumPy scalars, such as seeds
