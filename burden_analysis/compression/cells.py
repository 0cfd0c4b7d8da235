"""Lays a table of accuracies out as cells × compression ratios; names unstable blocks and what is left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from burden_analysis.arrangement.levels import LEVELLED, levels
from recorders.contract import InputError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

VALUES = ("compression", "sparsity", "accuracy")
SEED = "seed"
STATUS = "status"
_DIGITS = 9  # accuracies that agree this far are tied
_UNSTABLE = 10.0  # times the median block's variance within cells
_SEEDS = 3  # two seeds give no interval: below this the block is the unit
_NAMED = 3


@dataclass(frozen=True)
class CompressionCells:
    """Accuracies by cell and ratio. A cell is one (block, sparsity), or (block, sparsity, seed).

    Attributes
    ----------
    grid : array, shape (cell, ratio)
        Accuracy in per cent; NaN where missing. Column 0 is the baseline, compression 0.
    ratios : tuple of float
        Sorted, the first is 0.
    labels : pandas.DataFrame, shape (cell, block columns + sparsity [+ seed])
        What a cell is.
    block : array of int, shape (cell,)
        Number of the cell's block.
    names : tuple of str
        What each block is called.
    blocks : tuple of str
        Columns whose values make a block.
    excluded : tuple of str
        ``"cell, ratio: reason"`` for each accuracy that is missing or unusable.
    """

    grid: npt.NDArray[np.float64]
    ratios: tuple[float, ...]
    labels: pd.DataFrame
    block: npt.NDArray[np.intp]
    names: tuple[str, ...]
    blocks: tuple[str, ...]
    excluded: tuple[str, ...]

    @property
    def seeds(self) -> tuple[Any, ...]:
        """Seeds in the table; empty when it has no column of that name."""
        return tuple(sorted(self.labels[SEED].unique())) if SEED in self.labels else ()

    @property
    def unit(self) -> str:
        """What counts as one independent sample: the seed from three seeds on, else the block."""
        return SEED if len(self.seeds) >= _SEEDS else "block"

    @property
    def levels(self) -> dict[str, npt.NDArray[np.intp]]:
        """Number of each cell's unit, by level: every cell on its own, by block, and by seed where that is the unit."""
        found = {"cell": np.arange(len(self.grid)), "block": self.block}
        if self.unit == SEED:
            found[SEED] = np.unique(self.labels[SEED].to_numpy(), return_inverse=True)[1]
        return found

    @property
    def unstable(self) -> npt.NDArray[np.bool_]:
        """Which blocks are unstable: their variance between ratios within cells is over 10 times the median block's.

        The rule looks at no direction: relabelling the ratios inside cells leaves it as it is. With fewer than three
        blocks none is.
        """
        own = _variance(self.grid)
        per_block = np.array([_mean(own[self.block == b]) for b in range(len(self.names))])
        known = per_block[np.isfinite(per_block)]
        if known.size < 3:
            return np.zeros(len(self.names), bool)
        return np.asarray(np.nan_to_num(per_block) > _UNSTABLE * float(np.median(known)))

    @property
    def unstable_names(self) -> tuple[str, ...]:
        """What the unstable blocks are called."""
        return tuple(name for name, flag in zip(self.names, self.unstable, strict=True) if flag)

    @property
    def unstable_share(self) -> float:
        """Share of the variance between ratios within cells that lies in unstable blocks."""
        own = np.nan_to_num(_variance(self.grid))
        return float(own[self.unstable[self.block]].sum() / own.sum()) if own.sum() > 0 else 0.0

    def stable(self) -> CompressionCells:
        """Keep the cells of stable blocks."""
        keep = ~self.unstable[self.block]
        return replace(self, grid=self.grid[keep], labels=self.labels[keep], block=self.block[keep])

    def complete(self) -> npt.NDArray[np.bool_]:
        """Which cells have an accuracy at every ratio."""
        return np.asarray(np.isfinite(self.grid).all(axis=1))

    def differences(self) -> npt.NDArray[np.float64]:
        """Accuracy at each ratio above 0 less the baseline's, in percentage points, shape (cell, ratio above 0)."""
        return np.round(self.grid[:, 1:] - self.grid[:, :1], _DIGITS)

    def tidy(self) -> pd.DataFrame:
        """List the differences, one row per cell and ratio above 0."""
        labels = self.labels.assign(stable=~self.unstable[self.block])
        parts = [
            labels.assign(compression=ratio, accuracy=self.grid[:, k], baseline=self.grid[:, 0], difference=difference)
            for k, (ratio, difference) in enumerate(zip(self.ratios[1:], self.differences().T, strict=True), start=1)
        ]
        return pd.concat(parts, ignore_index=True).dropna(subset=["difference"]).reset_index(drop=True)


def compression_cells(table: pd.DataFrame, blocks: Sequence[str]) -> CompressionCells:
    """Arrange a table of accuracies by cell and ratio."""
    blocks = tuple(dict.fromkeys(blocks))
    rows = checked_rows(table, blocks)
    keys = _cell_keys(rows, blocks)
    ratios = tuple(float(r) for r in np.unique(rows["compression"]))
    _check_ratios(ratios)
    number, labels = _numbered(rows, keys)
    grid = np.full((len(labels), len(ratios)), np.nan)
    accuracy = rows["accuracy"].to_numpy(float)
    grid[number, np.searchsorted(ratios, rows["compression"])] = np.where(np.isfinite(accuracy), accuracy, np.nan)
    excluded = _gaps(grid, labels, ratios, rows)
    keep = np.isfinite(grid[:, 0]) & np.isfinite(grid[:, 1:]).any(axis=1)
    if not keep.any():
        raise InputError(
            f"no cell has an accuracy at compression 0 and at another ratio ({'; '.join(excluded[:_NAMED])}): "
            f"check that {', '.join(blocks) or 'nothing'} and sparsity tell the cells apart, and nothing else"
        )
    labels = labels[keep].reset_index(drop=True)
    block, of_block = _numbered(labels, blocks)
    names = tuple(_cell(row, blocks) for _, row in of_block.iterrows()) if blocks else ("all runs",)
    return CompressionCells(grid[keep], ratios, labels, block, names, blocks, tuple(excluded))


def checked_rows(table: pd.DataFrame, blocks: Sequence[str]) -> pd.DataFrame:
    """Check a table of accuracies and round away what arithmetic did to its numbers."""
    for name in (*blocks, *VALUES):
        if name not in table:
            raise unknown_name("column", name, map(str, table.columns))
    if taken := set(blocks) & {*VALUES, SEED, STATUS}:
        raise InputError(f"{', '.join(sorted(taken))} cannot be part of a block: leave it out of blocks")
    rows = table[[*blocks, *VALUES, *(name for name in (SEED, STATUS) if name in table)]].copy()
    for name in VALUES:
        numbers = pd.to_numeric(rows[name], errors="coerce")
        if (lost := numbers.isna() & rows[name].notna()).any():
            raise InputError(f"{name} {rows[name][lost].iloc[0]!r} is no number")
        rows[name] = levels(numbers) if name in LEVELLED else numbers.astype(float).round(_DIGITS)
    keys = [name for name in rows if name not in ("accuracy", STATUS)]
    if (unknown := rows[keys].isna().any()).any():
        raise InputError(f"{', '.join(unknown.index[unknown])} is missing in some rows: every row needs its value")
    for name in LEVELLED:
        if not rows[name].between(0, 1).all():
            raise InputError(f"{name} runs from {rows[name].min():g} to {rows[name].max():g}: it is a share, 0 to 1")
    used = rows["accuracy"][np.isfinite(rows["accuracy"])]
    if not used.between(0, 100).all():
        raise InputError(f"accuracies run from {used.min():g} to {used.max():g}: give them in per cent, 0 to 100")
    if len(used) and used.max() <= 1:
        raise InputError(f"no accuracy is above {used.max():g}: they look like shares, give them in per cent")
    _check_unique(rows, _cell_keys(rows, blocks))
    return rows


def _cell_keys(rows: pd.DataFrame, blocks: Sequence[str]) -> list[str]:
    return [*blocks, "sparsity", *([SEED] if SEED in rows else [])]


def _check_unique(rows: pd.DataFrame, keys: Sequence[str]) -> None:
    twins = rows.duplicated([*keys, "compression"], keep=False)
    if twins.any():
        first = rows[twins].iloc[0]
        raise InputError(
            f"rows repeat a cell, such as {_cell(first, keys)}, compression {first['compression']:g}: "
            "keep one of each, or name in blocks the column that tells them apart"
        )


def _check_ratios(ratios: Sequence[float]) -> None:
    listed = ", ".join(f"{r:g}" for r in ratios) or "none"
    if 0.0 not in ratios:
        raise InputError(f"no baseline: the table has compression {listed}, but not 0")
    if len(ratios) < 2:
        raise InputError("every row has compression 0: there is no other ratio to compare with it")


def _gaps(
    grid: npt.NDArray[np.float64], labels: pd.DataFrame, ratios: Sequence[float], rows: pd.DataFrame
) -> list[str]:
    keys = list(labels.columns)
    unusable = rows[~np.isfinite(rows["accuracy"])]
    why = unusable[STATUS].astype(str) if STATUS in rows else pd.Series("accuracy is not finite", unusable.index)
    given = dict(zip(unusable[[*keys, "compression"]].itertuples(index=False, name=None), why, strict=True))
    found = []
    for i, k in zip(*np.nonzero(~np.isfinite(grid)), strict=True):
        reason = given.get((*labels.iloc[i].tolist(), ratios[k]), "missing")
        found.append(f"{_cell(labels.iloc[i], keys)}, compression {ratios[k]:g}: {reason}")
    return found


def _cell(row: pd.Series[Any], keys: Sequence[str]) -> str:
    return ", ".join(f"{key}={_text(row[key])}" for key in keys)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float, np.number)) else str(value)


def _numbered(rows: pd.DataFrame, keys: Sequence[str]) -> tuple[npt.NDArray[np.intp], pd.DataFrame]:
    """Give rows with the same values in some columns one number; list these values in the order of their numbers."""
    if not keys:
        return np.zeros(len(rows), np.intp), rows.iloc[:1, :0]
    number = rows.groupby(list(keys), sort=True, observed=True).ngroup().to_numpy()
    firsts = np.unique(number, return_index=True)[1]
    return number.astype(np.intp), rows[list(keys)].iloc[firsts].reset_index(drop=True)


def _variance(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Variance over the ratios of each cell; NaN with fewer than two."""
    count = np.isfinite(values).sum(axis=1)
    centre = np.nansum(values, axis=1) / np.maximum(count, 1)
    squares = np.nansum((values - centre[:, None]) ** 2, axis=1)
    return np.where(count > 1, squares / np.maximum(count - 1, 1), np.nan)


def _mean(values: npt.NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
