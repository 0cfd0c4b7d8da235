"""Tables as text cells for HTML, and as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from burden_analysis.results.printed import cell, cells, heading, to_csv, to_latex, to_markdown
from recorders.contract import unknown_name
from reports.files import write_whole

__all__ = ["SUFFIXES", "Table", "as_text", "cell", "heading", "save_table", "to_csv", "to_latex", "to_markdown"]

SUFFIXES = (".csv", ".md", ".tex")


@dataclass(frozen=True)
class Table:
    """A table as readers see it: text cells, the first of a row being its header.

    Attributes
    ----------
    caption : str
        What it shows.
    columns : tuple of str
        Column headers.
    rows : tuple of tuple of str
        Cells.
    numeric : tuple of bool
        Which columns hold numbers and are set flush right.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]


def as_text(frame: pd.DataFrame, caption: str) -> Table:
    """Print every cell of a frame; headers become words."""
    return Table(
        caption=caption,
        columns=tuple(heading(str(name)) for name in frame.columns),
        rows=tuple(map(tuple, cells(frame))),
        numeric=tuple(pd.api.types.is_numeric_dtype(frame[name]) for name in frame.columns),
    )


def save_table(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a table; the suffix decides the format.

    Parameters
    ----------
    table : pandas.DataFrame
        Such as `Comparison.table`.
    path : str or Path
        Ends in ``.csv``, ``.md`` or ``.tex``.

    Returns
    -------
    Path
        The file written.
    """
    path = Path(path)
    printers = dict(zip(SUFFIXES, (to_csv, to_markdown, to_latex), strict=True))
    if path.suffix not in printers:
        raise unknown_name("table format", path.suffix or path.name, SUFFIXES)
    return write_whole(path, printers[path.suffix](table))
