"""Accuracies in the published layout: a row per compression ratio, a column per set-up and sparsity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from burden_analysis.compression.accuracies import SETUP
from burden_analysis.compression.means import accuracy_means, mean_gap
from burden_analysis.results.families import Family, of_family
from burden_analysis.results.printed import escaped, heading, to_csv, to_markdown
from burden_analysis.results.words import MISSING, counted, level, listing, span
from recorders.contract import InputError, unknown_name
from reports.files import write_whole
from reports.tables.table import SUFFIXES, Table, as_text

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from burden_analysis import CompressionEffect


@dataclass(frozen=True)
class AccuracyTable:
    """Accuracies of one half of the grid, such as one embedding.

    Attributes
    ----------
    caption : str
        What is shown, generated from the numbers.
    accuracies : pandas.DataFrame
        Per cent, mean over seeds, NaN where missing. Rows: the last setting that varies and ``compression``; columns:
        the other settings and ``sparsity``.
    published : pandas.DataFrame or None
        The published values in the same cells.
    """

    caption: str
    accuracies: pd.DataFrame
    published: pd.DataFrame | None

    def to_csv(self) -> str:
        """Print as CSV at full precision; published values follow in columns of their own."""
        flat = _flat(self.accuracies, "")
        return to_csv(flat if self.published is None else flat.merge(_flat(self.published, " published")))

    def to_markdown(self) -> str:
        """Print as a Markdown pipe table with its caption; published values stand in parentheses."""
        columns = " / ".join(heading(str(name)) for name in self.accuracies.columns.names)
        return f"{self.caption} Columns: {columns}.\n\n{to_markdown(_flat(self._printed(), ''))}"

    def to_table(self) -> Table:
        """Print as text cells for HTML; published values stand in parentheses."""
        flat = _flat(self._printed(), "")
        columns = " / ".join(heading(str(name)) for name in self.accuracies.columns.names)
        return replace(
            as_text(flat, f"{self.caption} Columns: {columns}."), numeric=(False, *[True] * (flat.shape[1] - 1))
        )

    def to_latex(self, *, label: str | None = None) -> str:
        """Print as a floating LaTeX table; it needs the packages booktabs and multirow.

        Parameters
        ----------
        label : str, optional
            For cross references.

        Returns
        -------
        str
            The LaTeX text.
        """
        printed = self._printed().map(escaped)
        rows, columns = ([escaped(heading(str(n))) for n in axis.names] for axis in (printed.index, printed.columns))
        printed = printed.rename_axis(index=rows, columns=columns)
        style = printed.style.format_index(_latex_level).format_index(_latex_level, axis="columns")
        return style.to_latex(
            column_format="r" * (printed.index.nlevels + printed.shape[1]),
            hrules=True,
            multicol_align="c",
            caption=escaped(self.caption),
            label=label,
            position_float="centering",
        )

    def save(self, path: str | Path) -> Path:
        """Write the table; the suffix decides the format.

        Parameters
        ----------
        path : str or Path
            Ends in ``.csv``, ``.md`` or ``.tex``.

        Returns
        -------
        Path
            The file written.
        """
        path = Path(path)
        printers = dict(zip(SUFFIXES, (self.to_csv, self.to_markdown, self.to_latex), strict=True))
        if path.suffix not in printers:
            raise unknown_name("table format", path.suffix or path.name, SUFFIXES)
        return write_whole(path, printers[path.suffix]())

    def _printed(self) -> pd.DataFrame:
        text = self.accuracies.map(_two_decimals)
        return text if self.published is None else text + self.published.map(lambda x: f" ({_two_decimals(x)})")


def accuracy_tables(
    table: pd.DataFrame, published: pd.DataFrame | None = None, *, blocks: Sequence[str] = SETUP
) -> list[AccuracyTable]:
    """Lay accuracies out as the study's Tables 1 and 2 do, own numbers beside the published ones.

    Of the settings that vary, the last (the learning rate) groups the rows; the first of three or more (the embedding)
    makes one table each; the others are columns, above sparsity. No cell is emphasised: the best of single-seed cells
    is a matter of luck, `difference_table` has the differences with their intervals.

    Parameters
    ----------
    table : pandas.DataFrame
        As for `burden_analysis.compression_effect`; several seeds are averaged.
    published : pandas.DataFrame, optional
        As `table`, such as `burden_analysis.published_tables()`: shown in the cells that `table` has.
    blocks : sequence of str
        Columns that are settings.

    Returns
    -------
    list of AccuracyTable
        One per value of the first setting.

    Raises
    ------
    InputError
        As `burden_analysis.compression_effect`; `published` lacks a column of `blocks`.
    """
    beside = None
    if published is not None:
        absent = [name for name in blocks if name not in published]
        if absent:
            raise InputError(
                f"the published table has no column {listing(absent)}, so cells cannot be matched: rename the settings "
                f"of the other one (it has {listing(map(str, published.columns))})"
            )
        beside = accuracy_means(published, blocks)["mean"]
    found = accuracy_means(table, blocks)
    means, counts = found["mean"], found["count"]
    varying = [name for name in blocks if len(means.index.unique(name)) > 1]
    constant = {name: means.index.unique(name)[0] for name in blocks if name not in varying}
    rows, rest = varying[-1:], varying[:-1]
    first, columns = (rest[0], rest[1:]) if len(rest) > 1 else (None, rest)
    parts: list[Any] = [None] if first is None else list(means.index.unique(first))
    made = []
    for value in parts:
        keep = slice(None) if first is None else means.index.get_level_values(first) == value
        fixed = constant if first is None else {first: value, **constant}
        here = means[keep].index
        axes = _axis(here, [*rows, "compression"]), _axis(here, [*columns, "sparsity"])
        own = _laid_out(means, *axes, fixed)
        other = None if beside is None else _laid_out(beside, *axes, fixed)
        made.append(AccuracyTable(_caption(own, other, fixed, counts[keep]), own, other))
    return made


def difference_table(effect: CompressionEffect) -> pd.DataFrame:
    """Tabulate what a reader should look at: each ratio's difference from compression 0, with its interval.

    Parameters
    ----------
    effect : CompressionEffect
        From `burden_analysis.compression_effect`.

    Returns
    -------
    pandas.DataFrame
        One row per scope and ratio: cells won, tied and lost; mean difference in percentage points with its interval
        and Holm-adjusted p over the unit that is judged, and how many units. `save_table` writes it.
    """
    found = of_family(effect.table, Family.RATIO)
    keys = ["scope", "ratio"]
    cells = found.loc[found["unit"] == "cell", [*keys, "wins", "ties", "losses"]]
    units = found.loc[found["unit"] == effect.unit, [*keys, "effect", "ci_low", "ci_high", "p_adjusted", "n"]]
    names = {"wins": "won", "ties": "tied", "losses": "lost", "effect": "mean difference", "n": f"{effect.unit}s"}
    return cells.merge(units, on=keys).rename(columns=names)


def _axis(index: pd.Index[Any], names: list[str]) -> pd.Index[Any]:
    """List what occurs: a cross product would add set-ups that nobody trained."""
    keys = index.to_frame(index=False)[names].drop_duplicates().sort_values(names)
    return pd.MultiIndex.from_frame(keys) if len(names) > 1 else pd.Index(keys[names[0]])


def _laid_out(
    means: pd.Series[float], rows: pd.Index[Any], columns: pd.Index[Any], fixed: dict[str, Any]
) -> pd.DataFrame:
    """Look every cell of two axes up; NaN where there is none."""
    keys = rows.to_frame(index=False).merge(columns.to_frame(index=False), how="cross").assign(**fixed)
    values = means.reindex(pd.MultiIndex.from_frame(keys[list(means.index.names)])).to_numpy(float)
    return pd.DataFrame(values.reshape(len(rows), len(columns)), index=rows, columns=columns)


def _caption(own: pd.DataFrame, other: pd.DataFrame | None, fixed: dict[str, Any], counts: pd.Series[int]) -> str:
    axes = [listing(heading(str(name)) for name in axis.names) for axis in (own.index, own.columns)]
    where = "".join(f", {heading(name)} {_level(value)}" for name, value in fixed.items())
    text = f"Held-out accuracy (%) by {axes[0]} (rows) and {axes[1]} (columns){where}."
    if (own.index.get_level_values("compression") == 0).any():
        text += " Compression 0 is the baseline."
    seeds = counts[counts > 0]
    if len(seeds) and seeds.max() > 1:
        text += f" Mean over seeds (n = {span(seeds)})."
    else:
        text += " One seed per cell: no single cell tells an effect from luck."
    if lacking := int(own.isna().to_numpy().sum()):
        text += f" {MISSING}: no accuracy ({counted(lacking, 'cell')})."
    return text if other is None else f"{text} {_beside(own, other)}"


def _beside(own: pd.DataFrame, published: pd.DataFrame) -> str:
    gap, n = mean_gap(own, published)
    if not n:
        return "In parentheses: published values; no cell has both."
    mean = f"{gap:+.2f}".replace("-", "−")
    both = f"{n} of {own.size} cells have both; own minus published: mean {mean} points"
    return f"In parentheses: published values ({both})."


def _flat(frame: pd.DataFrame, suffix: str) -> pd.DataFrame:
    flat = frame.copy()
    keys = frame.columns.to_frame(index=False).itertuples(index=False)
    flat.columns = pd.Index([" / ".join(map(_level, key)) + suffix for key in keys])
    return flat.reset_index()


def _two_decimals(value: float) -> str:
    return MISSING if np.isnan(value) else f"{value:.2f}"


def _level(value: Hashable) -> str:
    return level(value) if isinstance(value, (int, float)) else str(value)


def _latex_level(value: Hashable) -> str:
    return escaped(_level(value))
