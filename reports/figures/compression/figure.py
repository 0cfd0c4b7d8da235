"""The difference map: accuracy at each compression ratio less the accuracy without compression, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from burden_analysis.compression.cells import SEED
from burden_analysis.compression.effect import ALL
from burden_analysis.compression.means import difference_means
from burden_analysis.results.families import Family, of_family
from recorders.contract import InputError
from reports.figures.base import SUMMARY_SEEDS, Figure
from reports.figures.compression.panels import draw_compression
from reports.figures.compression.words import caption, description

if TYPE_CHECKING:
    from burden_analysis import CompressionEffect

_MOST = 8  # panels side by side, and above each other


@dataclass(frozen=True)
class CompressionFigure(Figure):
    """The difference map with the numbers in it and the words about it; attributes as of `Figure`."""

    stem: ClassVar[str] = "compression"


def compression_figure(effect: CompressionEffect) -> CompressionFigure:
    """Draw the difference from compression 0 in every cell, and its mean at every ratio with intervals.

    (a) One panel per block: columns are set-ups, rows the values of the last setting that varies (the learning rate);
    in a panel, sparsity over ratio. (b) The mean difference at each ratio over the unit that is judged.

    Parameters
    ----------
    effect : CompressionEffect
        From `burden_analysis.compression_effect`.

    Returns
    -------
    CompressionFigure
        The figure, its numbers, its caption and its text alternative.

    Raises
    ------
    InputError
        More set-ups, or more values of the last setting, than fit a page.
    """
    cells = _cells(effect)
    columns, rows = cells["column"].unique(), cells["row"].unique()
    for what, values in (("set-ups", columns), ("rows", rows)):
        if len(values) > _MOST:
            raise InputError(
                f"{len(values)} {what} do not fit the {_MOST} of a page: select some rows of the table, "
                "and pass these to compression_effect"
            )
    data = pd.concat([cells, _means(effect)], ignore_index=True)
    return CompressionFigure(
        figure=draw_compression(data),
        data=data,
        caption=caption(data, effect),
        description=description(data),
    )


def _cells(effect: CompressionEffect) -> pd.DataFrame:
    """Differences of panel (a), averaged over seeds, with the panel each belongs to."""
    cells = difference_means(effect, [*effect.blocks, "stable", "sparsity"])
    varying = [name for name in effect.blocks if len(cells[name].unique()) > 1]
    rows, columns = (varying[-1:], varying[:-1]) if len(varying) > 1 else ([], varying)
    return pd.DataFrame(
        {
            "panel": "a",
            "column": _named(cells, columns),
            "row": _named(cells, rows),
            "scope": np.where(cells["stable"], "stable blocks", "unstable blocks"),
            "sparsity": cells["sparsity"],
            "ratio": cells["compression"],
            "quantity": "difference",
            "value": cells["difference"],
        }
    )


def _named(cells: pd.DataFrame, settings: list[str]) -> list[str]:
    if not settings:
        return [""] * len(cells)
    keys = cells[settings].itertuples(index=False)
    return ["\n".join(f"{n.replace('_', ' ')} {_value(v)}" for n, v in zip(settings, key, strict=True)) for key in keys]


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def _means(effect: CompressionEffect) -> pd.DataFrame:
    """Means and intervals of panel (b)."""
    found = of_family(effect.table[effect.table["unit"] == effect.unit], Family.RATIO)
    parts = [
        found[["scope", "ratio"]].assign(panel="b", column="", row="", quantity=quantity, value=found[name])
        for quantity, name in (("mean", "effect"), ("low", "ci_low"), ("high", "ci_high"), ("n", "n"))
    ]
    if found["n"].max() < SUMMARY_SEEDS:
        parts += [_units(effect, scope) for scope in found["scope"].unique()]
    return pd.concat(parts, ignore_index=True).dropna(subset=["value"])


def _units(effect: CompressionEffect, scope: str) -> pd.DataFrame:
    """Every unit's mean: few samples are shown one by one."""
    unit = [SEED] if effect.unit == SEED else list(effect.blocks)
    means = difference_means(effect, unit, stable_only=scope != ALL)
    return pd.DataFrame(
        {
            "panel": "b",
            "column": "",
            "row": _named(means, unit),
            "scope": scope,
            "ratio": means["compression"],
            "quantity": "unit",
            "value": means["difference"],
        }
    )
