from __future__ import annotations

import re
import subprocess
import sys
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import LineCollection, PathCollection, QuadMesh
from matplotlib.colors import to_hex

from burden_analysis import compression_effect, published_tables
from recorders.contract import InputError
from reports import compression_figure
from reports.drawing.style import LOOKS
from reports.figures.compression.panels import colour_limit


def table(blocks=6, gain=0.0, seeds=1, seed=0, wild=False):
    rng = np.random.default_rng(seed)
    rows = [
        {
            "learning_rate": (b + 1) / 1000,
            "sparsity": s,
            "compression": r,
            "seed": i,
            "accuracy": round(70 + gain * (r > 0) + 0.3 * rng.normal() - 9 * (wild and b == 0 and r == 0.8), 2),
        }
        for b, s, r, i in product(range(blocks), (0.8, 0.9), (0.0, 0.4, 0.8), range(seeds))
    ]
    return pd.DataFrame(rows)


def draw(frame, **options):
    effect = compression_effect(frame, blocks=("learning_rate",), **options)
    return effect, compression_figure(effect)


@pytest.fixture(scope="module")
def published():
    effect = compression_effect(published_tables())
    return effect, compression_figure(effect)


def maps(drawn):
    return [ax for ax in drawn.figure.axes if ax.get_label() != "<colorbar>" and mesh(ax)]


def mesh(ax):
    return next((drawn for drawn in ax.collections if isinstance(drawn, QuadMesh)), None)


def test_every_published_difference_is_drawn_once(published):
    effect, drawn = published
    panels = maps(drawn)
    assert len(panels) == 32
    shown = np.sort(np.concatenate([mesh(ax).get_array().ravel() for ax in panels]))
    assert np.allclose(shown, np.sort(effect.differences["difference"]))
    cells = drawn.data[drawn.data["panel"] == "a"]
    assert len(cells) == 640
    assert cells["value"].sum() == pytest.approx(effect.differences["difference"].sum())


def test_a_cell_lies_where_its_labels_say(published):
    effect, drawn = published
    where = {"embed_dim": 768, "num_heads": 6, "epochs": 60, "learning_rate": 0.005}
    cells = effect.differences[np.logical_and.reduce([effect.differences[k] == v for k, v in where.items()])]
    panel = next(ax for ax in maps(drawn) if ax.get_title() == "embed dim 768\nnum heads 6\nepochs 60")
    same = [ax for ax in maps(drawn) if ax.get_subplotspec().colspan == panel.get_subplotspec().colspan]
    shown = mesh(same[2]).get_array()  # learning rates .00125, .0025, .005, .01 from the top
    expected = cells.pivot_table(index="sparsity", columns="compression", values="difference")
    assert np.allclose(shown, expected.to_numpy())
    assert same[2].get_ylim() == (0, len(expected))  # the origin is below: sparsity grows upwards
    for axis, levels in ((same[2].xaxis, expected.columns), (same[2].yaxis, expected.index)):
        places = axis.get_majorticklocs()
        assert places.tolist() == [k + 0.5 for k in range(len(levels))]
        assert axis.get_major_formatter().format_ticks(places) == [f"{level:g}" for level in levels]


def test_zero_is_white_and_signs_have_the_colours_of_the_caption(published):
    _, drawn = published
    image = mesh(maps(drawn)[0])
    middle, less, more = (to_hex(image.cmap(image.norm(x))) for x in (0.0, image.norm.vmin, image.norm.vmax))
    assert middle == "#ffffff"
    assert (less.upper(), more.upper()) == (LOOKS["optimal"].colour, LOOKS["iterative"].colour)
    assert image.norm.vmin == -image.norm.vmax == -2.2
    assert all(mesh(ax).norm.vmax == 2.2 for ax in maps(drawn))


def test_cells_beyond_the_colours_are_marked(published):
    effect, drawn = published
    triangles = [c for ax in maps(drawn) for c in ax.collections if isinstance(c, PathCollection)]
    marked = sum(len(points.get_offsets()) for points in triangles)
    assert marked == (effect.differences["difference"].abs() > 2.2).sum() == 46
    assert "triangles mark 46 cells beyond" in drawn.caption
    thick = [ax.spines["left"].get_linewidth() > 1 for ax in maps(drawn)]
    assert sum(thick) == len(effect.unstable) == 4


def test_means_and_intervals_are_those_of_the_tests(published):
    effect, drawn = published
    for quantity, column in (("mean", "effect"), ("low", "ci_low"), ("high", "ci_high")):
        rows = drawn.data[(drawn.data["panel"] == "b") & (drawn.data["quantity"] == quantity)]
        tests = effect.table[(effect.table["unit"] == "block") & (effect.table["family"] == "ratio")]
        assert rows["value"].tolist() == tests[column].tolist()


def test_nothing_is_cut_and_type_is_legible(published):
    for _, drawn in (published, draw(table(blocks=2)), draw(table(blocks=1))):
        box = drawn.figure.bbox
        renderer = drawn.figure.canvas.get_renderer()
        texts = [
            t for t in drawn.figure.findobj(lambda a: hasattr(a, "get_fontsize")) if t.get_visible() and t.get_text()
        ]
        for text in texts:
            assert 5.0 <= text.get_fontsize() <= 7.0
            x0, y0, x1, y1 = text.get_window_extent(renderer).extents
            if x1 > x0:
                assert box.x0 - 1 <= x0, text
                assert x1 <= box.x1 + 1, text
                assert box.y0 - 1 <= y0, text
                assert y1 <= box.y1 + 1, text


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 8), st.sampled_from([-1.0, 0.0, 1.0]), st.sampled_from([1, 3, 6]), st.booleans())
def test_the_caption_counts_what_is_drawn(blocks, gain, seeds, wild):
    effect, drawn = draw(table(blocks, gain, seeds, seed=blocks, wild=wild))
    cells = effect.differences.groupby(["learning_rate", "sparsity", "compression"])["difference"].mean().round(9)
    told = re.search(r"more accurate: (\d+) of (\d+); white, equal: (\d+); orange, less accurate: (\d+)", drawn.caption)
    more, total, same, less = map(int, told.groups())
    assert (more, total, same, less) == ((cells > 0).sum(), len(cells), (cells == 0).sum(), (cells < 0).sum())
    n = effect.table.query("unit == @effect.unit and family == 'ratio' and scope == 'all blocks'")["n"].max()
    assert f"{n:.0f} {effect.unit}{'' if n == 1 else 's'} (all blocks)" in drawn.caption
    assert ("t intervals" in drawn.caption) is bool(n >= 5)
    assert ("Thick frames" in drawn.caption) is bool(effect.unstable)
    for ratio in effect.ratios:
        wins = (cells.xs(ratio, level="compression") > 0).sum()
        assert f"Ratio {ratio:g}: blue, more accurate: {wins} of {2 * blocks};" in drawn.description


def test_few_units_are_drawn_one_by_one_without_bars():
    effect, drawn = draw(table(blocks=2, seeds=4))
    units = drawn.data[drawn.data["quantity"] == "unit"]
    per_seed = effect.differences.groupby(["seed", "compression"])["difference"].mean()
    assert sorted(units["value"]) == pytest.approx(sorted(per_seed))
    below = [ax for ax in drawn.figure.findobj() if hasattr(ax, "get_xlabel") and ax.get_xlabel()]
    assert len(below) == 1
    assert not any(isinstance(drawn, LineCollection) and drawn.get_segments() for drawn in below[0].collections)
    points = [drawn for drawn in below[0].collections if isinstance(drawn, PathCollection)]
    assert sum(len(drawn.get_offsets()) for drawn in points) == len(units)
    assert "small points: every seed; no interval below 5 seeds" in drawn.caption


def test_missing_cells_are_grey_and_named():
    frame = table()
    frame.loc[
        (frame["learning_rate"] == 0.001) & (frame["sparsity"] == 0.8) & (frame["compression"] == 0.4), "accuracy"
    ] = np.nan
    _, drawn = draw(frame)
    image = mesh(maps(drawn)[0])
    assert np.isnan(np.ma.filled(image.get_array(), np.nan)).sum() == 1
    assert to_hex(maps(drawn)[0].get_facecolor()) == "#d0d0d0"
    assert (
        "Left out: learning_rate=0.001, sparsity=0.8, seed=0, compression 0.4: accuracy is not finite." in drawn.caption
    )


def test_the_limit_comes_from_stable_blocks():
    effect, drawn = draw(table(wild=True))
    cells = drawn.data[drawn.data["panel"] == "a"]
    stable = effect.differences.loc[effect.differences["stable"], "difference"].abs().max()
    assert colour_limit(cells) == pytest.approx(np.ceil(10 * stable) / 10)
    assert colour_limit(cells.assign(value=0.0)) == 0.1


def test_too_many_set_ups_say_how_to_get_there():
    with pytest.raises(InputError, match="9 set-ups do not fit the 8 of a page: select some rows"):
        draw(table(blocks=9))


def test_every_name_is_what_it_says_whatever_is_imported_first():
    script = "from reports import *\nimport reports.figures.compression.figure\nprint(compression_figure.__name__)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "compression_figure\n"


def test_files_are_whole_and_reproducible(tmp_path):
    first, second = (draw(table())[1] for _ in range(2))
    saved = first.save_all(tmp_path)
    assert [path.name for path in saved] == [f"compression.{kind}" for kind in ("pdf", "svg", "png", "csv", "txt")]
    assert (tmp_path / "compression.txt").read_text().strip() == first.caption
    assert len(pd.read_csv(tmp_path / "compression.csv")) == len(first.data)
    for kind in ("pdf", "svg", "png"):
        assert second.render(kind) == (tmp_path / f"compression.{kind}").read_bytes()
