"""Tables as CSV, Markdown and LaTeX, and results that can be printed as these."""

from __future__ import annotations

import html
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from burden_analysis.results.families import Family
from burden_analysis.results.outcome import Outcome
from burden_analysis.results.tests import Test
from burden_analysis.results.words import MISSING, number
from burden_analysis.results.written import plain, to_json
from recorders.contract import one_line, printable

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
    "δ": "$\\delta$",
    "×": "$\\times$",
    "−": "$-$",
}
_LATEX_NUMBERS = {MISSING: "{--}", "∞": "{$\\infty$}", "−∞": "{$-\\infty$}"}

_FORMULA = (*"=+-@\t\r\n", *"\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH COMMERCIAL AT}")
_DIGITS, _LEVEL_DIGITS = 3, 6
_LEVELS = ("sparsity", "compression", "ratio")  # columns of levels, which more digits tell apart
_NAMES = {"family": Family, "test": Test, "outcome": Outcome}


class Printed:
    """A result with a table and a verdict, printable in every common form."""

    if TYPE_CHECKING:

        @property
        def table(self) -> pd.DataFrame:
            """One row per test."""

        @property
        def verdict(self) -> str:
            """The result in words, made from the numbers of the table."""

    def to_csv(self) -> str:
        """Print the table as CSV, at full precision; as `tables.to_csv`."""
        return to_csv(self.table)

    def to_markdown(self) -> str:
        """Print the table as a Markdown pipe table; as `tables.to_markdown`."""
        return to_markdown(self.table)

    def to_latex(self, *, caption: str | None = None, label: str | None = None) -> str:
        """Print the table as LaTeX (booktabs, siunitx); as `tables.to_latex`."""
        return to_latex(self.table, caption=caption, label=label)

    def to_dict(self) -> dict[str, Any]:
        """Give everything as what strict JSON can hold; as `written.plain`."""
        content: dict[str, Any] = plain(self)
        return content

    def to_json(self) -> str:
        """Write everything as strict JSON; NaN and infinite numbers are null."""
        return to_json(self.to_dict())

    def _repr_html_(self) -> str:
        told = in_words(self.table)
        told = told.assign(**{name: told[name].map("{:.6g}".format, "ignore") for name in _LEVELS if name in told})
        table = told.to_html(index=False, na_rep="", float_format="{:.3g}".format)
        return f"<p>{html.escape(self.verdict)}</p>\n{table}"


def in_words(table: pd.DataFrame) -> pd.DataFrame:
    """Give a table the words that readers see in place of the names of families, tests and outcomes."""
    words = {name: {str(member): member.words for member in kind} for name, kind in _NAMES.items() if name in table}
    return table.assign(**{name: table[name].map(lambda v, to=to: to.get(v, v)) for name, to in words.items()})


def to_csv(table: pd.DataFrame) -> str:
    """Print a table as CSV, at full precision.

    Parameters
    ----------
    table : pandas.DataFrame
        Such as `Comparison.table`.

    Returns
    -------
    str
        The CSV text; what a spreadsheet would take for a formula begins with an apostrophe.
    """
    return spreadsheet_safe(in_words(table)).to_csv(index=False, lineterminator="\n")


def spreadsheet_safe(table: pd.DataFrame) -> pd.DataFrame:
    """Put an apostrophe before text that a spreadsheet would run as a formula; numbers stay as they are."""
    safe = table.rename(columns=_no_formula)
    texts = [k for k, kind in enumerate(safe.dtypes) if not pd.api.types.is_numeric_dtype(kind)]
    for k in texts:
        safe.isetitem(k, safe.iloc[:, k].map(_no_formula).to_numpy(object))
    return safe


def _no_formula(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return f"'{printable(value)}" if value.startswith(_FORMULA) else printable(value)


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
    table = in_words(table)
    rule = ["---:" if pd.api.types.is_numeric_dtype(table[name]) else ":---" for name in table.columns]
    lines = [[heading(str(name)) for name in table.columns], rule, *cells(table)]
    return "".join("| " + " | ".join(_in_cell(value) for value in line) + " |\n" for line in lines)


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
    table = in_words(table)
    numeric = [pd.api.types.is_numeric_dtype(table[name]) for name in table.columns]
    printed = pd.DataFrame(
        {
            escaped(heading(str(name))): table[name].map(partial(_braced, digits=_digits(name)) if number else escaped)
            for name, number in zip(table.columns, numeric, strict=True)
        },
        dtype=object,
    )
    style = printed.style.hide(axis="index")
    return style.to_latex(
        column_format="".join("S" if number else "l" for number in numeric),
        hrules=True,
        siunitx=True,
        caption=escaped(caption) if caption else None,
        label=label,
        position_float="centering" if caption else None,
    )


def heading(name: str) -> str:
    """Turn a column name into words: ``p_adjusted`` → ``adjusted p``."""
    # What is no identifier holds the value of a setting, which stays as it is.
    return _WORDS.get(name, name.replace("_", " ") if name.isidentifier() else name)


def cells(table: pd.DataFrame) -> list[list[str]]:
    """Print every cell of a table, row by row; levels with more digits than other numbers."""
    digits = [_digits(name) for name in table.columns]
    rows = table.itertuples(index=False)
    return [[cell(value, most) for value, most in zip(row, digits, strict=True)] for row in rows]


def cell(value: Any, digits: int = _DIGITS) -> str:
    """Print one cell: numbers with so many digits, lists joined, nothing as a dash."""
    if isinstance(value, str):
        return value or MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(cell(item, digits) for item in value) or MISSING
    return MISSING if value is None or value is pd.NA else number(value, digits)


def _in_cell(value: str) -> str:
    return one_line(value).replace("|", "\\|")


def escaped(value: object) -> str:
    """Print one cell as LaTeX text."""
    text = "".join(_LATEX.get(mark, mark) for mark in one_line(cell(value)))
    # After the end of a row a bracket would begin an option, and a star would be part of the command.
    return f"{{{text[0]}}}{text[1:]}" if text.startswith(("[", "*")) else text


def _digits(column: object) -> int:
    return _LEVEL_DIGITS if column in _LEVELS else _DIGITS


def _braced(value: float, digits: int) -> str:
    # siunitx parses what is not in braces, and only numbers can be parsed.
    text = cell(value)
    if text in _LATEX_NUMBERS:
        return _LATEX_NUMBERS[text]
    return f"{value:.{digits}g}"
