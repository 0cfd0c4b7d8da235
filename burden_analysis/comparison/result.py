"""A comparison: its tests, its values, its outcome, and the words made from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from burden_analysis.comparison.verdict import prose
from burden_analysis.results.outcome import Outcome
from burden_analysis.results.printed import Printed
from burden_analysis.results.rows import finite

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Comparison", "Outcome"]


@dataclass(frozen=True, eq=False)
class Comparison(Printed):
    """Tests of one ordered claim over paired seeds.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per test, with the columns `burden_analysis.results.rows.COLUMNS`.
    effects : pandas.DataFrame
        One row per run that was used: strategy, sparsity, seed, value (its endpoint, log₁₀ on the log scale).
    outcome : Outcome
        One of the four; `compare_strategies` and `compare_sparsities` define them.
    indicator : str
        What was compared.
    window : float
        Share of each run's last records that makes its endpoint.
    scale : str
        ``"log"`` or ``"raw"``.
    alpha : float
        Level of every family; intervals cover 1 − alpha.
    order : tuple of str
        The claim, from the lowest to the highest: strategies, or sparsities.
    by : str
        ``"strategy"`` or ``"sparsity"``.
    paired_by : str
        Coordinate whose equal values are paired.
    seeds : tuple
        Its values that were used.
    excluded : tuple of str
        ``"run_id: reason"`` for each run, and ``"sparsity: reason"`` for each sparsity, that was left out.
    paired : bool
        False where strategies share no seed: tests of independent samples, effects are Cliff's δ.
    """

    table: pd.DataFrame
    effects: pd.DataFrame
    outcome: Outcome
    indicator: str
    window: float
    scale: str
    alpha: float
    order: tuple[str, ...]
    by: str
    paired_by: str
    seeds: tuple[Any, ...]
    excluded: tuple[str, ...]
    paired: bool = True

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
            "by": self.by,
            "indicator": self.indicator,
            "order": self.order,
            "window": self.window,
            "scale": self.scale,
            "alpha": self.alpha,
            "paired_by": self.paired_by,
            "paired": self.paired,
            "seeds": self.seeds,
            "outcome": self.outcome.value,
            "verdict": self.verdict,
            "excluded": self.excluded,
            "table": [finite(row) for row in self.table.to_dict("records")],
            "effects": [finite(row) for row in self.effects.to_dict("records")],
        }
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
