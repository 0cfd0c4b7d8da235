from __future__ import annotations

import json
import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.text import Text

from burden_analysis import burden_decomposition, endpoint
from burden_analysis.cli.report import write_all
from recorders.contract import InputError
from reports import Figure, burden_figure, figure2, write_report
from reports.drawing.style import DOUBLE, SINGLE, inches
from reports.figures.burden.figure import burden_pages
from reports.tables.burden import burden_table
from tests.reports.figures.test_fig2 import box, texts
from tests.reports.synthetic_burden import build_probed
from tests.reports.synthetic_study import build


@pytest.fixture(scope="module")
def probed() -> xr.Dataset:
    return build_probed()


@pytest.fixture(scope="module")
def figure(probed: xr.Dataset) -> Figure:
    return burden_figure(probed)


def means(data: pd.DataFrame, term: str, sparsity: float) -> pd.Series:
    kept = data[(data["indicator"] == term) & (data["sparsity"] == sparsity) & (data["quantity"] == "mean")]
    return kept.set_index("step")["value"]


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"seeds": 2, "sparsities": (0.9,)},
        {"seeds": 3, "sparsities": (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)},
        {"sparsities": (0.7, 0.9), "statuses": {f"iterative-0.9-{k}": "failed" for k in range(5)}, "every": 4},
        {"strategies": ("iterative",), "seeds": 1, "updates": 1},
    ],
)
def test_text_is_legible_inside_and_apart(case):
    drawn = burden_figure(build_probed(**case))
    found = texts(drawn)
    assert {5.0 <= t.get_fontsize() <= 7.0 for t in found} == {True}
    width, height = drawn.figure.canvas.get_width_height()
    boxes: dict[Text, tuple[float, float, float, float]] = {t: box(t) for t in found}
    for text, (x0, y0, x1, y1) in boxes.items():
        assert x0 >= 0, text
        assert y0 >= 0, text
        assert x1 <= width, text
        assert y1 <= height, text
    for (first, a), (second, b) in combinations(boxes.items(), 2):
        apart = a[2] <= b[0] + 1 or b[2] <= a[0] + 1 or a[3] <= b[1] + 1 or b[3] <= a[1] + 1
        assert apart, (first, second)


def test_exact_widths_panel_letters_and_no_legend(figure):
    assert figure.figure.get_size_inches()[0] == pytest.approx(inches(DOUBLE))
    single = burden_figure(build_probed(seeds=2, sparsities=(0.9,)))
    assert single.figure.get_size_inches()[0] == pytest.approx(inches(SINGLE))
    assert [t.get_text() for t in figure.figure.texts if t.get_text() in "abc"] == ["a", "b", "c"]
    assert all(ax.get_legend() is None for ax in figure.figure.axes)


def test_plotted_means_are_those_of_the_decomposition_and_add_up(probed, figure):
    terms = burden_decomposition(probed)
    here = terms.isel(run=np.flatnonzero(terms["sparsity"] == 0.8))
    for term in ("fit", "new_fit", "compensation", "covariance"):
        plotted = means(figure.data, term, 0.8)
        np.testing.assert_allclose(plotted, here[term].mean("run"), rtol=1e-12)
        np.testing.assert_allclose(plotted.index, here["update_step"][0])
    total = sum(means(figure.data, term, 0.8) for term in ("fit", "compensation", "covariance"))
    np.testing.assert_allclose(total, means(figure.data, "new_fit", 0.8), rtol=1e-12)
    shares = figure.data.query("panel == 'share' and sparsity == 0.8").pivot_table("value", "step", "indicator")
    np.testing.assert_allclose(shares.abs().sum(axis=1), 1)
    assert (np.sign(shares["covariance"]) == np.sign(means(figure.data, "covariance", 0.8))).all()
    wanted = means(figure.data, "compensation", 0.8) / means(figure.data, "fit", 0.8)
    np.testing.assert_allclose(shares["compensation"] / shares["fit"], wanted)


def test_plotted_loads_are_the_recorded_quantiles(probed, figure):
    load = probed["load_weight_norm"].sel(layer="0", quantile=0.25)
    wanted = load.isel(run=np.flatnonzero((probed["strategy"] == "random") & (probed["sparsity"] == 0.9))).mean("run")
    data = figure.data.query("panel == 'load' and strategy == 'random' and sparsity == 0.9")
    np.testing.assert_allclose(data.loc[data["quantity"] == "quantile 0.25", "value"], wanted, rtol=1e-12)


def test_updates_that_were_not_probed_are_left_out_not_drawn_as_gaps(probed):
    drawn = burden_figure(build_probed(updates=20, every=4))
    assert len(means(drawn.data, "fit", 0.7)) == 5
    assert drawn.data.query("panel != 'schedule'")["value"].notna().all()


def test_caption_states_n_centre_target_batch_and_worst_residual(probed, figure):
    worst = float(burden_decomposition(probed)["worst_residual"].max())
    assert "n = 5 per sparsity" in figure.caption
    assert "arithmetic means over seeds" in figure.caption
    assert "one-hot labels" in figure.caption
    assert "held-out batch of 1024 samples" in figure.caption
    stated = re.search(r"relative residual of at most ([\d.]+)×10⁻(\S+) over 300 updates of 15 runs", figure.caption)
    assert stated
    exponent = int(stated[2].translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")))
    assert float(stated[1]) * 10.0**-exponent == pytest.approx(worst, rel=0.05)
    assert "first hidden layer (0)" in figure.caption
    assert "Optimal and random: static" in figure.caption


def test_a_broken_identity_is_stated(probed):
    wrong = probed.assign(covariance=probed["covariance"] + 0.1 * probed["new_fit"])
    assert "relative residual of at most 0.1 over" in burden_figure(wrong).caption


def test_caption_and_description_follow_the_numbers():
    study = build_probed(seeds=3, statuses={"iterative-0.8-2": "failed"})
    drawn = burden_figure(study)
    assert "n = 2–3 per sparsity" in drawn.caption
    assert "Left out: 1 run that did not complete: iterative-0.8-2 (failed)" in drawn.caption
    covariance = means(drawn.data, "covariance", 0.9)
    assert f"is negative at {(covariance < 0).sum()} of 20 updates" in drawn.description
    assert f"largest at step {means(drawn.data, 'compensation', 0.9).idxmax():g} (" in drawn.description


def test_same_numbers_give_same_bytes_and_files(probed, figure, tmp_path):
    saved = figure.save_all(tmp_path)
    assert [p.name for p in saved] == [f"burden.{kind}" for kind in ("pdf", "svg", "png", "csv", "txt")]
    again = burden_figure(probed)
    for path in saved[:3]:
        assert path.read_bytes() == again.render(path.suffix[1:]), path.name
    assert saved[4].read_text().strip() == figure.caption


def test_refusals(probed):
    with pytest.raises(InputError, match="--probe-every 1"):
        burden_figure(build())
    static = probed.isel(run=np.flatnonzero(probed["strategy"] != "iterative"))
    with pytest.raises(InputError, match="no mask update: not zero, absent"):
        burden_figure(static)
    with pytest.raises(InputError, match="no mask update to decompose"):
        burden_figure(probed, strategy="random")
    with pytest.raises(InputError, match="load_inputz"):
        burden_figure(probed, load="load_inputz")
    with pytest.raises(InputError, match="layer"):
        burden_figure(probed, layer="7")
    with pytest.raises(InputError, match="one value per mask update"):
        figure2(probed, gradient="compensation")
    assert burden_pages(build()) == []
    assert burden_pages(static) == []


def test_other_loads_and_layers(probed):
    drawn = burden_figure(probed, load="load_inputs", layer="1")
    assert "Active inputs of a hidden unit in the hidden layer (1)" in drawn.caption


def test_every_strategy_that_updates_its_mask_has_a_burden_figure():
    names = ("iterative", "random", "gmp", "mine")
    study = build_probed(strategies=names, moving=("iterative", "gmp"), sparsities=(0.8,), seeds=2, records=8)
    first, second = burden_pages(study)
    assert "Burden of the mask updates of iterative " in first.caption
    assert first.caption.endswith("Not drawn: gmp and mine.")
    assert "Burden of the mask updates of gmp " in second.caption
    assert second.caption.endswith("Not drawn: iterative, mine and random.")


def test_pages_hold_six_sparsities():
    study = build_probed(seeds=1, sparsities=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7))
    assert len(burden_pages(study)) == 2
    with pytest.raises(InputError, match="7 sparsities"):
        burden_figure(study)


def test_table_is_mean_and_t_interval_of_the_endpoints(probed):
    table = burden_table(probed)
    assert table is not None
    assert [row[:3] for row in table.rows] == [("iterative", f"{s:g}", "5") for s in (0.7, 0.8, 0.9)]
    values = endpoint(probed, "compensation", window=1.0, scale="raw")
    values = values.to_numpy()[(probed["strategy"] == "iterative") & (probed["sparsity"] == 0.9)]
    half = 2.7764 * values.std(ddof=1) / np.sqrt(5)
    low, high = map(float, re.findall(r"[\d.]+", table.rows[2][3])[1:])
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), rel=5e-3)
    few = burden_table(build_probed(seeds=2))
    assert few is not None
    assert "[" not in few.rows[0][3]
    assert burden_table(build()) is None


def test_report_has_the_section(probed, tmp_path):
    page = write_report(probed, [], tmp_path, command="burden report").read_text()
    section = page[page.index('<section aria-labelledby="burden">') :].split("</section>")[0]
    assert section.count("<svg") == 1
    assert "<strong>Figure 2.</strong> Burden of the mask updates of iterative" in section
    assert '<caption id="burden-table">' in section
    facts = json.loads((tmp_path / "report.json").read_text())["burden"]
    assert facts["figures"][0]["caption"].startswith("Burden of the mask updates")
    assert facts["table"][0]["n"] == "5"


def test_report_says_when_nothing_was_probed(probed, tmp_path):
    page = write_report(build(), [], tmp_path, command="burden report").read_text()
    assert "This study was not probed" in page
    static = probed.isel(run=np.flatnonzero(probed["strategy"] != "iterative"))
    assert "a static mask has no burden" in write_report(static, [], tmp_path, command="c").read_text()


@pytest.mark.parametrize("was_probed", [True, False])
def test_the_command_line_writes_the_figure_when_probed(probed, tmp_path, monkeypatch, was_probed):
    monkeypatch.setattr("burden_analysis.open_study", lambda store: probed if was_probed else build(), raising=False)
    write_all(tmp_path / "study.zarr", tmp_path / "out", "burden report")
    written = {path.name for path in (tmp_path / "out").glob("burden.*")}
    assert written == ({f"burden.{kind}" for kind in ("pdf", "svg", "png", "csv", "txt")} if was_probed else set())
