"""Tables as CSV, Markdown, LaTeX and as text cells for HTML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from recorders.contract import unknown_name
from reports.files import write_whole
from reports.numbers import MISSING, number

SUFFIXES = (".csv", ".md", ".tex")
_WORDS = {
    "p_adjusted": "adjusted p",
    "ci_low": "interval from",
    "ci_high": "interval to",
    "attainable_p": "smallest attainable p",
    "excluded": "left out",
    "detectable": "detectable effect",
    "run_id": "run",
    "status_reason": "reason",
    "records_written": "records",
}
_LATEX = {
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    MISSING: "--",
    "χ": "$\\chi$",
    "²": "$^{2}$",
    "α": "$\\alpha$",
}
_LATEX_NUMBERS = {MISSING: "{--}", "∞": "{$\\infty$}", "−∞": "{$-\\infty$}"}


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
    """Print every cell of a frame; headers become words.

    Parameters
    ----------
    frame : pandas.DataFrame
        A tidy table, such as `Comparison.table`.
    caption : str
        What it shows.

    Returns
    -------
    Table
        The cells as text.
    """
    return Table(
        caption=caption,
        columns=tuple(heading(str(name)) for name in frame.columns),
        rows=tuple(tuple(cell(value) for value in row) for row in frame.itertuples(index=False)),
        numeric=tuple(pd.api.types.is_numeric_dtype(frame[name]) for name in frame.columns),
    )


def to_csv(table: pd.DataFrame) -> str:
    """Print a table as CSV, at full precision.

    Parameters
    ----------
    table : pandas.DataFrame
        Such as `Comparison.table`.

    Returns
    -------
    str
        The CSV text.
    """
    return table.to_csv(index=False, lineterminator="\n")


def to_markdown(table: pd.DataFrame) -> str:
    """Print a table as a Markdown pipe table.

    Parameters
    ----------
    table : pandas.DataFrame
        Such as `Comparison.table`.

    Returns
    -------
    str
        The Markdown text.
    """
    text = as_text(table, "")
    rule = ["---:" if numeric else ":---" for numeric in text.numeric]
    lines = [text.columns, rule, *text.rows]
    return "".join("| " + " | ".join(_one_line(value) for value in line) + " |\n" for line in lines)


def to_latex(table: pd.DataFrame, *, caption: str | None = None, label: str | None = None) -> str:
    """Print a table as LaTeX; it needs the packages booktabs and siunitx.

    Parameters
    ----------
    table : pandas.DataFrame
        Such as `Comparison.table`.
    caption, label : str, optional
        Make it a floating table.

    Returns
    -------
    str
        The LaTeX text.
    """
    numeric = [pd.api.types.is_numeric_dtype(table[name]) for name in table.columns]
    printed = pd.DataFrame(
        {
            _escaped(heading(str(name))): table[name].map(_braced if number else _escaped)
            for name, number in zip(table.columns, numeric, strict=True)
        },
        dtype=object,
    )
    style = printed.style.hide(axis="index")
    return style.to_latex(
        column_format="".join("S" if number else "l" for number in numeric),
        hrules=True,
        siunitx=True,
        caption=_escaped(caption) if caption else None,
        label=label,
        position_float="centering" if caption else None,
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


def heading(name: str) -> str:
    """Turn a column name into words: ``p_adjusted`` → ``adjusted p``."""
    return _WORDS.get(name, name.replace("_", " "))


def cell(value: Any) -> str:
    """Print one cell: numbers with three digits, lists joined, nothing as a dash."""
    if isinstance(value, str):
        return value or MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(cell(item) for item in value) or MISSING
    return MISSING if value is None or value is pd.NA else number(value)


def _one_line(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")


def _escaped(value: object) -> str:
    return "".join(_LATEX.get(mark, mark) for mark in cell(value))


def _braced(value: float) -> str:
    # siunitx parses what is not in braces, and only numbers can be parsed.
    text = cell(value)
    if text in _LATEX_NUMBERS:
        return _LATEX_NUMBERS[text]
    return f"{value:.3g}"
