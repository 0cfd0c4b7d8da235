"""Names as users wrote them: drawn as they are, on one line, and never so long that nothing else has room."""

from __future__ import annotations

import re
from html import unescape

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from burden_analysis import compression_effect
from reports import compression_figure, figure2, to_latex, token_map
from reports.drawing.names import MOST, short_name, short_names
from reports.pages.page import figure_parts
from tests.reports.synthetic_study import build

WRITTEN = ("$x_$", "cost $5 vs $10", "a_b^c%", "\\mathbbm{1} & <i>#~", '*{url(#a) id="b" --')


def called(*names: str) -> xr.Dataset:
    """A study of these strategies."""
    dataset = build(
        strategies=("iterative", "optimal", "random")[: len(names)], sparsities=(0.9995,), seeds=2, records=4
    )
    return dataset.assign_coords(strategy=("run", np.repeat(np.array(names, object), 2)))


def drawn(svg: str) -> set[str]:
    """Every text of an SVG, as its reader sees it."""
    return {unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)}


@pytest.mark.parametrize("names", [WRITTEN[:3], WRITTEN[2:]], ids=str)
def test_every_format_draws_names_as_they_are_written(names: tuple[str, ...]) -> None:
    figure = figure2(called(*names), order=names)
    assert {*names, "sparsity 0.9995"} <= drawn(figure.render("svg").decode())
    assert figure.render("png").startswith(b"\x89PNG")
    assert figure.render("pdf").startswith(b"%PDF")
    assert names[1] in figure.caption
    # What makes the file fit for a page touches tags alone.
    assert set(names) <= drawn(figure_parts([figure])[0]["svg"])


def test_long_and_odd_names_leave_room_for_the_panels() -> None:
    names = ("a" * 300, "a" * 150 + "b" + "a" * 149, "two\nlines \U0001f600 日本\x07")
    figure = figure2(called(*names), order=names)
    assert "two lines \U0001f600 日本\N{REPLACEMENT CHARACTER}" in drawn(figure.render("svg").decode())
    for kind in ("png", "pdf"):
        figure.render(kind)
    assert figure.figure.get_figwidth() * 25.4 == pytest.approx(89)
    assert all(ax.get_position().width > 0.3 for ax in figure.figure.axes)
    shown = [text.get_text() for ax in figure.figure.axes for text in ax.texts]
    assert {"a" * 15 + "…" + "a" * 8 + end for end in (" (1)", " (2)")} < set(shown)


@given(st.lists(st.text(), unique_by=lambda name: short_name(name, 10**6)))
def test_short_names_are_one_line_and_different(names: list[str]) -> None:
    found = short_names(names)
    assert list(found) == names
    assert all(len(short_name(name)) <= MOST for name in names)
    assert all(short.isprintable() and not re.search(r"\s\s", short) for short in found.values())
    assert len(set(found.values())) == len(names)


def test_a_short_name_keeps_both_ends() -> None:
    assert short_name("iterative magnitude pruning, global") == "iterative magni…, global"
    assert short_name("exactly twenty-four mark") == "exactly twenty-four mark"


def test_settings_and_labels_of_maps_are_drawn_as_they_are_written() -> None:
    rows = [
        {"opt": opt, "wd": wd, "sparsity": 0.9, "compression": c, "accuracy": 80 + c}
        for opt in ("$\\beta$", "x" * 300)
        for wd in ("$a_b$", "c")
        for c in (0.0, 0.5)
    ]
    svg = compression_figure(compression_effect(pd.DataFrame(rows), blocks=("opt", "wd"))).render("svg").decode()
    assert {"opt $\\beta$", "wd $a_b$"} <= drawn(svg)
    assert max(map(len, drawn(svg))) < 40
    tokens = token_map(np.zeros((1, 3, 8, 8)), {"$\\rho$ = 0.4": np.zeros((1, 5), int)})
    assert "$\\rho$ = 0.4" in drawn(tokens.render("svg").decode())


def test_latex_and_its_rows_escape_names() -> None:
    text = to_latex(
        pd.DataFrame({"strategy": ["[x] \\a", "*", "a\n\nb_$&%#{}^~"], "sparsity": [0.999, 0.9995, 0.9999]})
    )
    rows = [line for line in text.splitlines() if line.endswith("\\\\")][1:]
    assert rows == [
        "{[}x] \\textbackslash{}a & 0.999 \\\\",
        "{*} & 0.9995 \\\\",
        "a b\\_\\$\\&\\%\\#\\{\\}\\textasciicircum{}\\textasciitilde{} & 0.9999 \\\\",
    ]
