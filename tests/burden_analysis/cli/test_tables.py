from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr

from burden_analysis import compare_sparsities, open_study
from burden_analysis.cli.main import main
from recorders.contract import InputError
from recorders.store.documents import attributes_of
from recorders.upkeep.compaction import seal_recording

Burden = Callable[..., tuple[int, str, str]]
TINY = (
    *("--preset", "tables-mini", "--setup", "16x2", "--patch", "2", "--depth", "1", "--epochs", "1"),
    *("--seeds", "0", "1", "--sparsities", "0.8", "--interval", "6"),
)
RATES = ("tables-lr0.001", "tables-lr0.002")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.fixture
def burden(capsys: pytest.CaptureFixture[str]) -> Burden:
    return lambda *arguments: run(capsys, *arguments)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables") / "results"
    with pytest.raises(SystemExit) as ended:
        main(["reproduce", "tables", *TINY, "--compressions", "0", "0.8", "--out", str(folder)])
    assert not ended.value.code
    return folder


@pytest.fixture
def store(results: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(results / "study.zarr", tmp_path / "copy.zarr"))


def test_reproduce_leaves_tables_figures_verdict_and_report(results: Path) -> None:
    figures = {f"{stem}.{kind}" for stem in ("compression", "training") for kind in ("pdf", "svg", "png", "csv", "txt")}
    tables = {f"{stem}.{kind}" for stem in ("accuracy", "differences") for kind in ("csv", "md", "tex")}
    others = {"study.zarr", "tests.csv", "verdict.txt", "report.html", "report.json"}
    assert {p.name for p in results.iterdir()} == figures | tables | others
    twin = json.loads((results / "report.json").read_text())
    assert twin["command"].startswith("burden reproduce tables --preset tables-mini")
    assert len(twin["runs"]) == 8
    assert twin["effect"]["ratios"] == [0.8]
    assert twin["effect"]["blocks"] == ["learning_rate"]


def test_the_tables_hold_the_recorded_accuracies(results: Path) -> None:
    dataset = open_study(results / "study.zarr")
    table = pd.read_csv(results / "accuracy.csv").set_index(["learning_rate", "compression"])["0.8"]
    last = 100 * dataset["accuracy"].to_numpy()[:, -1]
    for (rate, ratio), value in table.items():
        here = (dataset["base_learning_rate"] == rate) & (dataset["compression"] == ratio)
        assert here.sum() == 2
        assert value == pytest.approx(last[here.to_numpy()].mean())


def test_the_figure_of_the_study_is_the_difference_map(burden: Burden, results: Path, tmp_path: Path) -> None:
    code, out, _ = burden("figure", results / "study.zarr", "--out", tmp_path / "f.svg")
    assert code == 0
    assert "Held-out accuracy at each compression ratio less that at compression 0" in out
    assert (tmp_path / "f.svg").read_bytes() == (results / "compression.svg").read_bytes()


def test_the_default_name_of_the_figure_says_what_it_is(
    burden: Burden, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert burden("figure", results / "study.zarr")[1].startswith("wrote compression.pdf")
    code, _, err = burden("figure", results / "study.zarr", "--out", "g.pdf", "--order", "random")
    assert (code, "does not apply to a study that varies compression" in err) == (2, True)
    code, _, err = burden("figure", results / "study.zarr")
    assert (code, "compression.pdf exists: choose another --out" in err) == (2, True)


def test_a_study_that_lacks_a_recording_says_so(burden: Burden, store: Path, tmp_path: Path) -> None:
    shutil.rmtree(store / RATES[1])
    group = zarr.open_group(store / RATES[0], mode="r+")
    group["status"][1] = "running"  # type: ignore[index]
    seal_recording(store / RATES[0], attributes_of(store / RATES[0]))
    code, out, _ = burden("show", store)
    assert code == 0
    assert "3 of 4 runs finished\nmissing: iterative-s0.8-seed1 (running)" in out
    assert "missing: every run of learning_rate 0.002 (not begun)" in out
    code, out, err = burden("report", store, "--out", tmp_path / "new")
    assert (code, err, out) == (0, "", f"wrote {tmp_path / 'new' / 'report.html'}\n")
    twin = json.loads((tmp_path / "new" / "report.json").read_text())
    assert twin["unstarted"] == ["learning_rate 0.002"]
    assert twin["effect"]["excluded"] == ["sparsity=0.8, seed=1, compression 0: running"]


def test_without_a_baseline_the_report_is_written_without_a_verdict(
    burden: Burden, store: Path, tmp_path: Path
) -> None:
    for name in RATES:
        ratios = zarr.open_group(store / name, mode="r+")["compression"]
        ratios[:] = np.where(np.asarray(ratios[:]) == 0, 0.4, ratios[:])  # type: ignore[index, call-overload]
        seal_recording(store / name, attributes_of(store / name))
    code, _, err = burden("report", store, "--out", tmp_path / "new")
    assert code == 0
    assert err == (
        "burden: did not judge the effect of compression: no baseline: the table has compression 0.4, 0.8, but not 0\n"
    )
    twin = json.loads((tmp_path / "new" / "report.json").read_text())
    assert (twin["effect"], "no baseline" in twin["not_judged"]) == (None, True)
    assert not (tmp_path / "new" / "compression.pdf").exists()
    code, _, err = burden("figure", store, "--out", tmp_path / "f.pdf")
    assert (code, "no baseline" in err, len(err.splitlines())) == (2, True, 1)


def test_indicators_say_which_runs_to_select(burden: Burden, results: Path) -> None:
    code, _, err = burden("compare", results / "study.zarr", "--by", "sparsity")
    wanted = "(ds.base_learning_rate == 0.001) & (ds.compression == 0.0)"
    assert (code, len(err.splitlines())) == (2, 1)
    assert f"they differ in base_learning_rate, compression, recording: select one first, ds.isel(run={wanted})" in err
    ds = open_study(results / "study.zarr")
    chosen = ds.isel(run=(ds.base_learning_rate == 0.001) & (ds.compression == 0.0))  # as the message says
    assert chosen.sizes["run"] == 2
    with pytest.raises(InputError, match="two sparsities or more"):
        compare_sparsities(chosen, "gradient_norm")


def test_runs_of_several_recordings_are_told_apart(burden: Burden, results: Path) -> None:
    _, out, _ = burden("show", results / "study.zarr")
    assert all(out.count(f"{name} ") == 4 for name in RATES)
    assert "8 of 8 runs finished" in out
