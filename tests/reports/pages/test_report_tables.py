from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import t as student

from burden_analysis import accuracy_table, compression_effect
from burden_analysis.compression.relative_indicators import compression_indicators
from burden_analysis.compression.study import compression_study, varies_compression
from recorders.settings.unstarted import unstarted
from reports import write_tables_report
from reports.tables.merging import merging_table
from reports.tables.provenance import provenance
from tests.reports import synthetic_study
from tests.reports.pages.test_page import Page
from tests.reports.synthetic_tables import build

COMMAND = "burden report 'a & b.zarr' --out results/"
FILES = {
    *(f"{stem}.{kind}" for stem in ("compression", "training") for kind in ("pdf", "svg", "png", "csv", "txt")),
    *(f"{stem}.{kind}" for stem in ("accuracy", "differences") for kind in ("csv", "md", "tex")),
    "tests.csv",
    "verdict.txt",
    "report.html",
    "report.json",
}


def write(dataset: xr.Dataset, folder: Path) -> tuple[str, dict]:
    page = write_tables_report(
        dataset, compression_study(dataset), folder, command=COMMAND, unstarted=unstarted(dataset)
    )
    twin = json.loads((folder / "report.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    text = page.read_text(encoding="utf-8")
    Page(text)  # well-formed
    return " ".join(" ".join(Page(text).text).split()), twin


@pytest.fixture(scope="module")
def written(half: xr.Dataset, tmp_path_factory) -> tuple[Path, str, dict]:
    folder = tmp_path_factory.mktemp("tables") / "new"
    return folder, *write(half, folder)


def test_every_file_is_left_and_nothing_else(written):
    assert {p.name for p in written[0].iterdir()} == FILES


def test_the_page_is_one_file_with_named_figures_and_captioned_tables(written):
    page = Page((written[0] / "report.html").read_text(encoding="utf-8"))
    tags = [tag for tag, _ in page.elements]
    assert not {"script", "link", "iframe", "object", "img"} & set(tags)
    assert tags.count("table") == tags.count("caption") >= 8
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    figures = [a for tag, a in page.elements if tag == "svg"]
    assert len(figures) == 2
    for attributes in figures:
        assert attributes["role"] == "img"
        assert set(attributes["aria-labelledby"].split()) <= set(ids)
    for _, attributes in page.elements:
        for name in re.findall(r"url\(#([^)]+)\)", " ".join(v or "" for v in attributes.values())):
            assert name in ids


def test_the_verdict_comes_first_with_the_published_one_beside_it(written, half):
    folder, text, twin = written
    table = accuracy_table(half)
    effect = compression_effect(table, blocks=table.attrs["blocks"])
    places = [text.index(part) for part in (effect.verdict, "Figure 1.", "Held-out accuracy (%) by", "Every test over")]
    assert places == sorted(places)
    assert f"This study {effect.outcome.words} " in text
    assert "The 800 published accuracies not supported (could have been seen) 298 / 7 / 335" in text
    assert twin["effect"]["outcome"] == effect.outcome
    assert twin["published"]["outcome"] == "unsupported"
    told = (folder / "verdict.txt").read_text()
    assert effect.verdict in told
    assert twin["published"]["verdict"] in told


def test_the_counts_beside_the_outcome_are_those_of_the_cells(written, half):
    _, text, twin = written
    differences = [row["difference"] for row in twin["effect"]["differences"]]
    counts = [sum(np.sign(d) == sign for d in differences) for sign in (1, 0, -1)]
    assert sum(counts) == 2 * 2 * 2 * 3 - 1
    overall = next(r for r in twin["effect"]["table"] if r["unit"] == "seed" and r["family"] == "overall")
    low, high = (f"{overall[name]:+.2f}".replace("-", "−") for name in ("ci_low", "ci_high"))
    mean = f"{overall['effect']:+.2f}".replace("-", "−")
    told = f"{counts[0]} / {counts[1]} / {counts[2]} {mean} [{low}, {high}] {overall['p']:.3g} 3 seeds"
    assert told in text


def test_what_is_missing_is_named(written):
    _, text, twin = written
    assert "1 run missing" in text
    assert "iterative-s0.8-seed1-compression=0.4" in text[text.index("1 run missing") : text.index("Every test over")]
    assert "tables-lr0.001 6 of 6 5 of 6 6 of 6" in text
    assert "Not begun, so without a recording: learning_rate 0.002" in text
    assert "No run is missing" not in text
    assert twin["unstarted"] == ["learning_rate 0.002"]
    assert "learning_rate=0.001, sparsity=0.8, seed=1, compression 0.4: planned" in text


def test_a_finished_study_misses_nothing(tmp_path):
    dataset = build()
    assert unstarted(dataset) == []
    text, _ = write(dataset, tmp_path)
    assert "No run is missing." in text
    assert "36 runs (36 complete): 1 strategy, 2 sparsities, 3 seeds, 3 compression ratios." in text


def test_without_a_baseline_there_is_a_report_and_no_verdict(tmp_path):
    dataset = build(ratios=(0.4, 0.8))
    text, twin = write(dataset, tmp_path)
    assert "This study not judged" in text
    assert "Not judged: no baseline: the table has compression 0.4, 0.8, but not 0." in text
    assert "Compression 0 is the baseline" not in text
    assert twin["effect"] is None
    assert not {p.name for p in tmp_path.iterdir()} & {"compression.pdf", "differences.csv", "tests.csv"}
    own = pd.read_csv(tmp_path / "accuracy.csv")
    assert own.shape == (4, 4)
    assert own[["0.8", "0.95"]].notna().all(axis=None)


def test_a_study_without_a_finished_run_is_written_too(tmp_path):
    dataset = build(rates=(0.001,), axes=())
    dataset = dataset.assign(
        status=("run", np.full(dataset.sizes["run"], "planned", object)),
        accuracy=dataset["accuracy"] * np.nan,
    )
    text, _ = write(dataset, tmp_path)
    assert "18 runs (0 complete, 18 planned)" in text
    assert "no cell has an accuracy at compression 0" in text
    assert "Figure training was not drawn: no complete run has an accuracy" in text
    assert "No complete run recorded its tokens." in text


def test_published_numbers_stand_beside_cells_with_the_same_settings(tmp_path):
    dataset = build(rates=(0.005,), axes=(), data="cifar10", setup="384x3", epochs=40, resize=32, patch=4)
    text, _ = write(dataset, tmp_path)
    assert "stand beside those of this study (cifar10 at 32 pixels, patches of 4) where settings agree" in text
    csv = pd.read_csv(tmp_path / "accuracy.csv")
    assert csv.loc[csv["compression"] == 0, "0.8 published"].notna().all()
    published = f"({csv['0.8 published'].iloc[0]:.2f})"
    assert published in text
    assert published in (tmp_path / "accuracy.tex").read_text()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"data": "digits", "setup": "384x3", "epochs": 40, "rates": (0.005,)}, "this study is on digits"),
        ({"data": "cifar10", "setup": "384x3", "epochs": 7, "rates": (0.005,)}, "none of them has the settings"),
    ],
)
def test_other_settings_have_no_published_numbers_beside_them(options, why):
    study = compression_study(build(axes=(), **options))
    assert study.beside is None
    assert why in study.relation


def test_published_numbers_are_not_matched_to_settings_that_they_do_not_tell_apart():
    dataset = build(axes=(), data="cifar10", setup="384x3", epochs=40, rates=(0.0025, 0.005))
    metric = np.where(np.arange(dataset.sizes["run"]) % 3 == 0, "random", "dot")
    dataset = dataset.assign_coords(merge_metric=("run", metric))
    study = compression_study(dataset)
    assert study.beside is None
    assert "they do not tell merge_metric apart" in study.relation


def test_recordings_are_told_apart_once(written):
    _, text, facts = written
    assert facts["title"] == "Report on the study tables"
    apart = text[text.index("Configuration that tells recordings apart") :]
    assert "recording learning_rate tables-lr0.001 0.001 tables-lr0.003 0.003" in apart
    shared = text[text.index("Configuration, the same in all 2 recordings") : text.index("Configuration that tells")]
    assert "setup 48x3" in shared
    assert "learning_rate 0.001" not in shared


def test_a_resumed_recording_says_when():
    resumed = [{"created": "2025-11-22", "command": "burden record"}, {"created": "2025-11-23", "versions": {}}]
    parts = {"provenance": {"created": "2025-11-21", "resumed": resumed}, "config": {}}
    about, config = provenance({"tables": parts})
    assert about.rows == (
        ("created", "2025-11-21"),
        ("resumed.1.created", "2025-11-22"),
        ("resumed.1.command", "burden record"),
        ("resumed.2.created", "2025-11-23"),
    )
    assert config.rows == ()


def test_a_folder_of_images_may_be_cifar10():
    assert (
        compression_study(build(rates=(0.005,), axes=(), data="/data/cifar", setup="384x3", epochs=40)).beside
        is not None
    )


def test_what_tells_a_study_of_compression_apart():
    dataset = build()
    one = dataset.isel(run=dataset["compression"].to_numpy() == 0.4)
    strategies = np.where(np.arange(one.sizes["run"]) % 2, "iterative", "random")
    assert varies_compression(dataset)
    assert varies_compression(one)  # nothing else to show
    assert not varies_compression(one.assign_coords(strategy=("run", strategies)))
    assert not varies_compression(dataset.drop_vars("compression"))


def test_a_part_of_other_settings_does_not_stand_in():
    dataset = build(rates=(0.001, 0.002))
    second = dataset.attrs["recordings"]["tables-lr0.002"]["config"]
    assert unstarted(dataset) == []
    second["epochs"] = 12  # so that 0.002 was not begun at 6 epochs, nor 0.001 at 12
    assert unstarted(dataset) == ["learning_rate 0.002", "learning_rate 0.001"]


def test_only_a_study_of_ours_has_parts_that_are_not_begun(half):
    assert unstarted(half) == ["learning_rate 0.002"]
    own = build()
    for parts in own.attrs["recordings"].values():
        parts["config"] = {"axes": 3, "what": "I like"}
    assert unstarted(own) == []


def test_tokens_and_speed_by_ratio(half):
    table = merging_table(half)
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert [rows[r]["tokens kept"] for r in ("0", "0.4", "0.8")] == ["17", "14", "11"]
    assert [rows[r]["runs"] for r in ("0", "0.4", "0.8")] == ["12", "11", "12"]
    assert [rows[r]["of 2"] for r in ("0", "0.4", "0.8")] == ["0", "3", "6"]
    assert rows["0"]["images per second"] == "200 ± 104"  # the second learning rate is three times as fast
    assert [rows[r]["times ratio 0"] for r in ("0", "0.4", "0.8")] == ["1", "1.4", "1.8"]
    assert merging_table(half.drop_vars("tokens_kept")) is None


@pytest.fixture(scope="module")
def weighed() -> xr.Dataset:
    """Weight norms of each seed at ratio 0.4 are a known multiple of those at 0; other indicators agree."""
    sizes = {"strategies": ("iterative",), "sparsities": (0.8, 0.9), "seeds": 4, "records": 10}
    parts = []
    for ratio in (0.0, 0.4):
        part = synthetic_study.build(**sizes)
        if ratio:
            times = xr.DataArray(2.0 ** (1 + part["seed"].to_numpy()), dims="run")
            part["weight_norm_mean"] = part["weight_norm_mean"] * times
        names = [f"{name}-{ratio}" for name in part["run_id"].to_numpy()]
        parts.append(part.assign_coords(compression=("run", [ratio] * part.sizes["run"]), run_id=("run", names)))
    joined = xr.concat(parts, "run", data_vars="minimal", coords="minimal", compat="override", join="override")
    joined.attrs = parts[0].attrs
    return joined


def test_indicators_are_relative_to_the_same_run_without_compression(weighed):
    table = compression_indicators(weighed).set_index("indicator")
    found = table.loc["weight_norm_mean"]
    logs = np.log10([2.0, 4.0, 8.0, 16.0])
    half = student.ppf(0.975, 3) * logs.std(ddof=1) / 2
    assert found[["ratio", "ci_low", "ci_high"]].tolist() == pytest.approx(
        [10 ** logs.mean(), 10 ** (logs.mean() - half), 10 ** (logs.mean() + half)]
    )
    assert table.loc["gradient_norm_mean", "ratio"] == pytest.approx(1)
    assert table["n"].eq(4).all()
    assert not {"compensation", "burden"} & set(table.index)  # not probed


def test_an_indicator_without_a_pair_has_no_row(weighed):
    alone = weighed.isel(run=(weighed["compression"].to_numpy() > 0) | (weighed["seed"].to_numpy() < 2))
    table = compression_indicators(alone)
    assert table["n"].eq(2).all()
    assert table["ci_low"].isna().all()
    assert compression_indicators(alone.isel(run=alone["compression"].to_numpy() > 0)).empty


def test_indicators_are_on_the_page(weighed, tmp_path):
    config = {"data": "digits", "setup": "48x3", "epochs": 6, "learning_rate": 0.001, "axes": []}
    weighed.attrs["recordings"] = {"fig2": {"config": config, "provenance": {}}}
    text, twin = write(weighed, tmp_path)
    rows = {row["indicator"]: row for row in twin["indicators"]}
    assert rows["weight_norm_mean"]["ratio"] == pytest.approx(2**2.5)
    assert "weight_norm_mean global L2 norm of the active weights 5.66 [" in text


def test_the_same_study_gives_the_same_files(written, half, tmp_path):
    write(half, tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (written[0] / name).read_bytes(), name
