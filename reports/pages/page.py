"""What every report page is made of: templates, figures and tests fit for HTML, and a twin in strict JSON."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from burden_analysis.results.printed import in_words
from burden_analysis.results.words import number
from burden_analysis.results.written import to_json
from recorders.contract import printable
from reports.drawing.style import SINGLE, inches
from reports.files import write_whole
from reports.tables.table import Table, as_text, cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from reports.figures.base import Figure


def write_page(template: str, context: Mapping[str, Any], facts: Mapping[str, Any], folder: Path) -> Path:
    """Write ``report.html`` and its twin ``report.json``."""
    write_whole(folder / "report.json", to_json(facts, indent=2) + "\n")
    templates = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    return write_whole(folder / "report.html", templates.get_template(template).render(context))


def _shown(value: Any) -> Any:
    """Leave no control character of a name, a remark or a path on the page."""
    return printable(value) if type(value) is str else value


def figure_parts(figures: Sequence[Figure], first: int = 1) -> list[dict[str, Any]]:
    """Make figures fit for the page: inline SVG with a text alternative, and a caption, numbered from `first`."""
    parts = []
    for k, figure in enumerate(figures, start=first):
        svg = inline(figure.render("svg").decode(), f"figure{k}", f"Figure {k}", figure.description)
        narrow = figure.figure.get_figwidth() <= inches(SINGLE)
        parts.append({"number": k, "svg": Markup(svg), "caption": figure.caption, "narrow": narrow})
    return parts


def figure_facts(figures: Sequence[Figure]) -> list[dict[str, str]]:
    """Caption and text alternative of figures, for the twin."""
    return [{"caption": figure.caption, "description": figure.description} for figure in figures]


def tests_table(tests: pd.DataFrame, caption: str) -> Table:
    """Print tests: what is read together stands together, estimate and interval, test and method."""
    table = in_words(tests)
    table["test"] = table["test"] + " (" + table.pop("method") + ")"
    intervals = zip(table["effect"], table.pop("ci_low"), table.pop("ci_high"), strict=True)
    table["effect"] = [
        cell(effect) if pd.isna(low) and pd.isna(high) else f"{number(effect)} [{number(low)}, {number(high)}]"
        for effect, low, high in intervals
    ]
    return as_text(table, caption)


def inline(svg: str, name: str, title: str, description: str) -> str:
    """Make an SVG file fit to stand in HTML: no prolog, its own ids and styles, a title and a description."""

    def own(tag: re.Match[str]) -> str:
        text = re.sub(r'\bid="', f'id="{name}-', tag[0])
        text = re.sub(r'href="#', f'href="#{name}-', text)
        return text.replace("url(#", f"url(#{name}-")

    # In tags alone: between them stand names that users gave.
    element = re.sub(r"<[^>]*>", own, svg[svg.index("<svg") :])
    # A bare `*` would style the whole page.
    element = re.sub(r"(<style[^>]*>)\*{", rf"\1#{name} *{{", element)
    root, rest = element.split(">", 1)
    return (
        f'{root} id="{name}" role="img" aria-labelledby="{name}-title {name}-description">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-description">{escape(printable(description))}</desc>{rest}'
    )
