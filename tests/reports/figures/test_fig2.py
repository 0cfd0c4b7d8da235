from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.font_manager import FontProperties
from matplotlib.text import Annotation, Text

from recorders.contract import InputError
from reports import Figure, figure2
from reports.drawing.style import LOOKS, contrast
from tests.reports.synthetic_study import build

SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)


@pytest.fixture(scope="module")
def figure(study: xr.Dataset) -> Figure:
    return figure2(study)


@pytest.fixture(scope="module")
def broken(broken_study: xr.Dataset) -> Figure:
    return figure2(broken_study)


def texts(drawn: Figure) -> list[Text]:
    axes = drawn.figure.axes
    ticks = [
        tick.label1
        for ax in axes
        for axis in (ax.xaxis, ax.yaxis)
        for tick in axis.get_major_ticks()
        if min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
        and tick.label1.get_visible()
    ]
    own = [t for ax in axes for t in (*ax.texts, ax.title, ax.xaxis.label, ax.yaxis.label)]
    return [t for t in (*ticks, *own, *drawn.figure.texts) if t.get_visible() and t.get_text()]


def box(text: Text) -> tuple[float, float, float, float]:
    # Of an annotation only the words: its connector may touch a line.
    bounds = Text.get_window_extent(text)
    return bounds.x0, bounds.y0, bounds.x1, bounds.y1


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"seeds": 2, "sparsities": (0.9,)},
        {"seeds": 3, "sparsities": SPARSITIES, "absent": [f"random-0.9-{k}" for k in range(3)]},
        {"sparsities": (0.7, 0.9), "statuses": {f"optimal-0.9-{k}": "failed" for k in range(5)}, "records": 7},
    ],
)
def test_text_is_legible_inside_and_apart(case):
    drawn = figure2(build(**case))
    found = texts(drawn)
    assert {5.0 <= t.get_fontsize() <= 7.0 for t in found} == {True}
    width, height = drawn.figure.canvas.get_width_height()
    boxes = {t: box(t) for t in found}
    for text, (x0, y0, x1, y1) in boxes.items():
        assert x0 >= 0, text
        assert y0 >= 0, text
        assert x1 <= width, text
        assert y1 <= height, text
    for (first, a), (second, b) in combinations(boxes.items(), 2):
        apart = a[2] <= b[0] + 1 or b[2] <= a[0] + 1 or a[3] <= b[1] + 1 or b[3] <= a[1] + 1
        assert apart, (first, second)


def test_labels_stay_clear_of_panels(figure):
    for ax in figure.figure.axes:
        for label in (t for t in ax.texts if isinstance(t, Annotation)):
            assert box(label)[0] > ax.bbox.x1
            assert box(label)[1] >= ax.bbox.y0 - 2
            assert contrast(label.get_color(), "#ffffff") >= 4.5


@pytest.mark.parametrize(("sparsities", "mm"), [((0.9,), 89), ((0.7, 0.9), 183), ((0.7, 0.8, 0.9), 183)])
def test_width_is_exact_in_every_format(sparsities, mm):
    drawn = figure2(build(sparsities=sparsities, seeds=2, records=6))
    assert drawn.figure.get_figwidth() * 25.4 == pytest.approx(mm)
    points = mm / 25.4 * 72
    assert float(re.search(rb"MediaBox \[ 0 0 ([\d.]+)", drawn.render("pdf")).group(1)) == pytest.approx(points)
    assert float(re.search(r'<svg[^>]* width="([\d.]+)pt"', drawn.render("svg").decode()).group(1)) == pytest.approx(
        points
    )
    assert int.from_bytes(drawn.render("png")[16:20], "big") == int(mm / 25.4 * 300)


def test_same_numbers_give_the_same_bytes(figure):
    script = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]); import matplotlib as mpl; "
        "mpl.rcParams['lines.linewidth'] = 9; mpl.rcParams['font.size'] = 30; "
        "from tests.reports.synthetic_study import build; from reports import figure2; f = figure2(build()); "
        "print(*(hashlib.sha256(f.render(k)).hexdigest() for k in ('pdf', 'svg', 'png')))"
    )
    there = subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__).parents[3])],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"},
    ).stdout.split()
    assert [hashlib.sha256(figure.render(kind)).hexdigest() for kind in ("pdf", "svg", "png")] == there


def test_svg_text_is_text_and_fonts_are_embedded(figure):
    svg = figure.render("svg").decode()
    for word in ("iterative", "optimal", "random", "sparsity 0.9", "optimiser steps", "ratio to"):
        assert re.search(rf"<t(ext|span)[^>]*>{word}<", svg), word
    assert b"/FontFile2" in figure.render("pdf")


def test_mean_and_ratio_are_geometric_and_paired(study, figure):
    data = figure.data
    at = data[(data["panel"] == "weight") & (data["sparsity"] == 0.8) & (data["step"] == 360)]
    seeds = at[at["quantity"] == "seed"].set_index(["strategy", "seed"])["value"]
    mean = at[at["quantity"] == "geometric mean"].set_index("strategy")["value"]
    assert mean["random"] == pytest.approx(np.exp(np.log(seeds["random"].to_numpy(float)).mean()))
    ratio = at[(at["quantity"] == "ratio") & (at["strategy"] == "optimal")]
    logs = np.log(seeds["optimal"].to_numpy(float) / seeds["iterative"].to_numpy(float))
    assert ratio["value"].item() == pytest.approx(np.exp(logs.mean()))
    assert ratio["against"].item() == "iterative"


def test_every_drawn_line_is_in_the_data(figure):
    def rounded(values):  # a logarithmic axis takes values there and back
        return tuple(f"{value:.10g}" for value in values)

    known = {rounded(v) for _, v in figure.data.groupby(["panel", "sparsity", "strategy", "quantity"])["value"]}
    seeds = {rounded(v) for _, v in figure.data.groupby(["panel", "sparsity", "strategy", "seed"])["value"]}
    lines = [line for ax in figure.figure.axes for line in ax.lines if len(line.get_ydata()) > 2]
    assert len(lines) == 3 + 2 * 3 * (3 * 6 + 2)
    for line in lines:
        assert rounded(line.get_ydata()) in known | seeds


@pytest.mark.parametrize("n", [1, 2, 4, 5])
def test_caption_and_drawing_agree_at_few_seeds(n):
    drawn = figure2(build(seeds=n, records=12))
    bands = [c for ax in drawn.figure.axes for c in ax.collections if isinstance(c, PolyCollection)]
    bars = [c for ax in drawn.figure.axes for c in ax.collections if isinstance(c, LineCollection)]
    bold = [line for ax in drawn.figure.axes for line in ax.lines if line.get_linewidth() > 1]
    assert (len(bands), len(bars), len(bold)) == (12 if n >= 3 else 0, 12 if n >= 5 else 0, 18 if n >= 5 else 0)
    assert f"n = {n} per strategy and sparsity" in drawn.caption
    assert f"seed pairs (n = {n})" in drawn.caption
    assert ("(Bonferroni t over 12 records)" in drawn.caption) == (n >= 3)
    assert ("no band, since an interval needs 3 seeds" in drawn.caption) == (n < 3)
    assert ("Bold lines" in drawn.caption) == (n >= 5)
    assert ("Bars:" in drawn.caption) == (n >= 5)
    assert ("Fewer than 5 seeds" in drawn.caption) == (n < 5)
    assert "recorded every 12 steps" in drawn.caption
    assert "Left out" not in drawn.caption


def test_bars_are_where_the_band_excludes_one(figure):
    data = figure.data
    band = data.pivot_table(index=["panel", "sparsity", "strategy", "step"], columns="quantity", values="value")
    outside = (band["low"] > 1) | (band["high"] < 1)
    assert outside.any()
    assert not outside.all()
    flags = band["excludes one"].dropna()
    pd.testing.assert_series_equal(flags == 1, outside[flags.index], check_names=False)


def test_description_says_where_curves_end(figure):
    data = figure.data
    end = data[(data["panel"] == "gradient") & (data["sparsity"] == 0.9) & (data["strategy"] == "random")]
    mean = end.loc[end["quantity"] == "geometric mean", "value"].iloc[-1]
    ratio = end.loc[end["quantity"] == "ratio", "value"].iloc[-1]
    assert f"random {mean:.3g} ({ratio:.3g} times iterative)" in figure.description


def test_what_is_left_out_is_said(broken):
    assert "2 runs that did not complete: optimal-0.7-1 (diverged), iterative-0.8-2 (failed)" in broken.caption or (
        "2 runs that did not complete: iterative-0.8-2 (failed), optimal-0.7-1 (diverged)" in broken.caption
    )
    assert "n = 4–5 per strategy and sparsity" in broken.caption
    assert "where there are at least 5 seeds" in broken.caption
    titles = [ax.get_title() for ax in broken.figure.axes[:3]]
    assert titles == ["sparsity 0.7\nn = 4–5", "sparsity 0.8\nn = 4–5", "sparsity 0.9\nn = 5; no random"]
    drawn = broken.data.query("sparsity == 0.7 and strategy == 'optimal'")
    assert set(drawn["seed"].dropna()) == {0, 2, 3, 4}


def test_a_study_without_a_finished_run_still_draws():
    names = [f"{s}-0.9-{k}" for s in ("iterative", "optimal", "random") for k in range(2)]
    drawn = figure2(build(seeds=2, sparsities=(0.9,), statuses=dict.fromkeys(names, "running")))
    assert "No finished run to show." in drawn.caption
    assert "6 runs that did not complete" in drawn.caption
    assert [t.get_text() for t in drawn.figure.axes[1].texts] == ["no finished run"]
    assert drawn.data.empty
    assert drawn.render("svg")


def test_recordings_of_other_intervals_make_no_gaps(study):
    # As `open_study` joins them: odd seeds were recorded half as often.
    sparse = study.copy(deep=True)
    skipped = np.ix_(study["seed"].to_numpy() % 2 == 1, np.arange(study.sizes["record"]) % 2 == 0)
    for name, variable in sparse.data_vars.items():
        if variable.dims[:2] == ("run", "record"):
            sparse[name].data[skipped] = np.nan
    data = figure2(sparse).data
    assert not data["value"].isna().any()
    lengths = data[data["quantity"] == "seed"].groupby(["panel", "sparsity", "strategy", "seed"]).size()
    assert set(lengths.loc["weight", 0.7, "random"]) == {30, 60}
    assert (data[data["quantity"] == "ratio"].groupby(["panel", "sparsity", "strategy"]).size() == 30).all()


def test_a_value_that_is_not_positive_leaves_a_gap_in_the_mean(study):
    zero = study.copy(deep=True)
    zero["gradient_mean_abs_mean"].data[0, 5] = 0.0
    drawn = figure2(zero.isel(run=zero["sparsity"].to_numpy() == 0.7))
    data = drawn.data[drawn.data["strategy"] == "iterative"]
    mean = data[(data["panel"] == "gradient") & (data["quantity"] == "geometric mean") & (data["sparsity"] == 0.7)]
    assert mean.loc[mean["value"].isna(), "step"].tolist() == [72]
    bold = [line for line in drawn.figure.axes[1].lines if line.get_linewidth() > 1]
    pieces = [line.get_xdata()[[0, -1]].tolist() for line in bold if line.get_color() == LOOKS["iterative"].colour]
    assert pieces == [[12, 60], [84, 720]]
    assert "Ratio not drawn: gradient_mean_abs_mean is zero or negative in iterative-0.7-0" in drawn.caption
    assert set(drawn.data.loc[drawn.data["quantity"] == "ratio", "panel"]) == {"weight"}


def test_save_all(figure, tmp_path):
    saved = figure.save_all(tmp_path / "new" / "folder")
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == sorted(p.name for p in saved)
    assert {p.suffix for p in saved} == {".pdf", ".svg", ".png", ".csv", ".txt"}
    read = pd.read_csv(tmp_path / "new" / "folder" / "figure2.csv")
    np.testing.assert_array_equal(read["value"], figure.data["value"])
    assert (tmp_path / "new" / "folder" / "figure2.txt").read_text().strip() == figure.caption


def test_rendered_figures_draw_each_format_once_and_do_not_change(study, tmp_path, monkeypatch):
    drawn, plain = figure2(study), figure2(study)
    draws: list[object] = []
    draw = drawn.figure.draw
    monkeypatch.setattr(drawn.figure, "draw", lambda renderer: (draws.append(renderer), draw(renderer)))
    done = drawn.rendered()
    assert len(draws) == 3
    drawn.figure.suptitle("changed later")
    for path in done.save_all(tmp_path)[:3]:
        assert path.read_bytes() == done.render(path.suffix[1:]) == plain.render(path.suffix[1:]), path.name
    assert len(draws) == 3
    assert drawn.render("svg") != plain.render("svg")
    assert len(draws) == 4


@pytest.mark.parametrize("name", ["figure.jpg", "figure", "figure.pdff"])
def test_unknown_format_names_the_possible_ones(figure, tmp_path, name):
    with pytest.raises(InputError, match=r"choose from pdf, svg, png"):
        figure.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_strategies_that_are_not_there():
    with pytest.raises(InputError, match="no run of iterative and random in the study: it has mine"):
        figure2(build(strategies=("mine",), seeds=1, records=4), order=("iterative", "random"))


def test_every_strategy_that_prunes_is_drawn_and_the_others_are_named():
    study = build(strategies=("dense", "mine", "random", "iterative", "gmp"), sparsities=(0.8,), seeds=5, records=8)
    drawn = figure2(study)
    assert set(drawn.data["strategy"]) == {"iterative", "random", "mine", "gmp"}
    assert "ratio of random, mine and gmp to iterative" in drawn.caption
    assert drawn.caption.endswith(" Not drawn: dense.")
    chosen = figure2(study, order=("mine", "gmp"))
    assert "ratio of gmp to mine" in chosen.caption
    assert chosen.caption.endswith(" Not drawn: dense, iterative and random.")
    alone = build(strategies=("dense",), sparsities=(0.8,), seeds=1, records=4)
    assert "Not drawn" not in figure2(alone).caption


def test_more_sparsities_than_columns():
    with pytest.raises(InputError, match=r"7 sparsities .* do not fit the 6 columns"):
        figure2(build(strategies=("iterative",), sparsities=(0.4, *SPARSITIES), seeds=1, records=4))


def test_two_runs_of_one_cell():
    once = build(strategies=("iterative",), sparsities=(0.9,), seeds=2, records=4)
    with pytest.raises(InputError, match=r"iterative-0\.9-1 and iterative-0\.9-1 have the same"):
        figure2(once.isel(run=[0, 1, 1]))


def test_unknown_indicator(study):
    with pytest.raises(InputError, match="gradient_nrm"):
        figure2(study, gradient="gradient_nrm")


def test_the_font_comes_with_matplotlib():
    from matplotlib import font_manager, get_data_path

    assert font_manager.findfont(FontProperties(family="DejaVu Sans")).startswith(get_data_path())
