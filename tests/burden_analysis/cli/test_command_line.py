from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

from burden_analysis.cli.main import main
from recorders.store.layout import Layout
from recorders.store.recording import create_recording
from recorders.store.writer import RecordingWriter

Burden = Callable[..., tuple[int, str, str]]
SMALL = ("--hidden", "12", "8", "--epochs", "2", "--interval", "4", "--sparsities", "0.5", "0.8", "--seeds", "0", "1")


@pytest.fixture
def burden(capsys: pytest.CaptureFixture[str]) -> Burden:
    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reproduce") / "results"
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "burden_analysis.cli",
        "reproduce",
        "fig2",
        "--out",
        str(folder),
        *SMALL,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"wrote {folder / 'report.html'}\n"
    assert len(done.stderr.splitlines()) == 12  # one plain line a run, no bar
    return folder


def test_reproduce_leaves_store_figure_and_report(results: Path) -> None:
    names = {p.name for p in results.iterdir()}
    figures = {f"{stem}.{suffix}" for stem in ("figure2", "burden") for suffix in ("pdf", "svg", "png", "csv", "txt")}
    assert names == {"study.zarr", "report.html", "report.json", "sensitivity.csv", *figures}
    report = json.loads((results / "report.json").read_text())
    assert "reproduce fig2" in json.dumps(report)


def test_the_report_judges_what_burden_claims_judges(burden: Burden, results: Path) -> None:
    code, out, _ = burden("claims", results / "study.zarr", "--published", "--json")
    assert code == 0
    report = json.loads((results / "report.json").read_text())
    claims = json.loads(out)
    assert {name: c["sentence"] for name, c in report["claims"].items()} == {
        n: c["sentence"] for n, c in claims.items()
    }
    rows = (results / "sensitivity.csv").read_text().splitlines()
    assert rows[0] == "claim,indicator,window,scale,dropped,outcome,p,n,reason"
    assert len(rows) - 1 == sum(len(claims[name]["evidence"]["robustness"]["table"]) for name in ("C1", "C2"))


def test_show_lists_every_run(burden: Burden, results: Path) -> None:
    code, out, _ = burden("show", results / "study.zarr")
    assert code == 0
    assert out.count("complete") == 12
    assert "12 of 12 runs finished" in out


def test_a_profile_is_printed_where_it_is_asked_for(burden: Burden, tmp_path: Path) -> None:
    asked = ("record", "fig2", *SMALL, "--strategies", "iterative", "--seeds", "0", "--out", tmp_path / "s.zarr")
    code, out, _ = burden(*asked, "--profile")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["section", "seconds", "share"]
    rows = [line.split() for line in lines[1:12]]
    names = ["data", "forward", "backward", "optimiser", "masks", "indicators", "probe", "evaluation", "writing"]
    assert [row[0] for row in rows] == [*names, "other", "all"]
    seconds = [float(row[1]) for row in rows]
    assert sum(seconds[:-1]) == pytest.approx(seconds[-1], abs=0.06)  # each is rounded
    assert all(s > 0 for s in seconds[-2:])
    assert rows[-1][2] == "100.0%"
    assert re.fullmatch(r"2 runs took [\d.]+ s, recording them [\d.]+ s", lines[12])
    assert lines[13] == f"recorded into {tmp_path / 's.zarr'}"
    assert max(map(len, lines[:12])) <= 80
    code, out, _ = burden(*asked, "--profile")
    assert (code, out.splitlines()[0]) == (0, "no run was trained, so there is nothing to profile")
    assert burden(*asked)[:2] == (0, f"recorded into {tmp_path / 's.zarr'}\n")


def test_a_file_system_without_locks_is_named_with_the_way_round(
    burden: Burden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr("fcntl.flock", refuse)
    store, packed = tmp_path / "s.zarr", tmp_path / "p.zarr"
    recorded = (
        "record",
        "fig2",
        *SMALL,
        "--strategies",
        "iterative",
        "--seeds",
        "0",
        "--stacked",
        "yes",
        "--out",
        store,
    )
    for asked in (recorded, ("pack", store, "--out", packed)):
        code, out, err = burden(*asked)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert "has no file locks (Operation not supported): " in err
        assert "pass --no-lock" in err
        assert burden(*asked, "--no-lock")[0] == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.zarr", "s.zarr"]


def test_a_dry_run_has_no_profile(burden: Burden, tmp_path: Path) -> None:
    code, out, err = burden("record", "fig2", "--dry-run", "--profile", "--out", tmp_path / "s.zarr")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "--profile times runs, and --dry-run trains none" in err


def test_show_prints_remarks_of_several_runs_once(burden: Burden, tmp_path: Path) -> None:
    runs = [{"run_id": f"x-{seed}", "strategy": "x", "sparsity": 0.5, "seed": seed} for seed in range(3)]
    layout = Layout(runs, {"w": (2, 2)}, [], np.array([1, 2]))
    create_recording(tmp_path / "s.zarr", "a", layout, config={}, provenance={})
    writer = RecordingWriter(tmp_path / "s.zarr", "a", [0, 1, 2])
    for row, text in enumerate(("too dense", "", "too dense")):
        writer.write_remark(row, text)
    code, out, _ = burden("show", tmp_path / "s.zarr")
    assert code == 0
    assert out.count("remark") == 1
    assert "remark: x-0 and 1 further run: too dense" in out


def test_compare_prints_a_table_a_verdict_or_json(burden: Burden, results: Path) -> None:
    code, out, _ = burden("compare", results / "study.zarr", "--indicator", "gradient_norm")
    assert code == 0
    assert "gradient_norm" in out
    code, out, _ = burden("compare", results / "study.zarr", "--by", "sparsity", "--json")
    assert code == 0
    assert json.loads(out)["by"] == "sparsity"


def test_compare_judges_the_published_accuracies(burden: Burden) -> None:
    code, out, _ = burden("compare", "--by", "compression", "--published")
    assert code == 0
    assert "Not supported (could have been seen): that compressing the input" in out
    assert "stable blocks            each ratio    0.8" in out
    code, out, _ = burden("compare", "--by", "compression", "--published", "--json")
    content = json.loads(out)
    assert (code, content["by"], len(content["differences"])) == (0, "compression", 640)


def test_compare_by_compression_needs_runs_with_one(burden: Burden, results: Path) -> None:
    code, _, err = burden("compare", results / "study.zarr", "--by", "compression")
    assert (code, "has no coordinate 'compression'" in err, len(err.splitlines())) == (2, True, 1)
    code, _, err = burden("compare", results / "study.zarr", "--by", "compression", "--published")
    assert (code, "pass either --published or a store" in err) == (2, True)


def test_figure_takes_its_format_from_the_suffix(burden: Burden, results: Path, tmp_path: Path) -> None:
    for suffix, head in (("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89PNG")):
        code, out, _ = burden("figure", results / "study.zarr", "--out", tmp_path / f"f.{suffix}")
        assert code == 0
        assert (tmp_path / f"f.{suffix}").read_bytes().startswith(head)
        assert "n = 2" in out  # the caption
    code, _, err = burden("figure", results / "study.zarr", "--out", tmp_path / "f.pdf")
    assert (code, "exists: choose another --out, or pass --overwrite" in err) == (2, True)
    code, _, err = burden("figure", results / "study.zarr", "--out", tmp_path / "f.gif")
    assert (code, "gif" in err, len(err.splitlines())) == (2, True, 1)
    code, out, _ = burden("figure", results / "study.zarr", "--out", tmp_path / "g.svg", "--order", "random", "optimal")
    assert (code, "ratio of optimal to random" in out, "Not drawn: iterative." in out) == (0, True, True)
    code, _, err = burden("figure", results / "study.zarr", "--out", tmp_path / "h.svg", "--order", "mine")
    assert (code, "no run of mine in the study" in err, len(err.splitlines())) == (2, True, 1)


def test_report_does_not_write_into_a_used_folder(burden: Burden, results: Path, tmp_path: Path) -> None:
    code, _, err = burden("report", results / "study.zarr", "--out", results)
    assert (code, "holds files: choose another --out, or pass --overwrite" in err) == (2, True)
    code, out, _ = burden("report", results / "study.zarr", "--out", tmp_path / "new")
    assert (code, out) == (0, f"wrote {tmp_path / 'new' / 'report.html'}\n")


def test_a_finished_study_is_not_trained_again(burden: Burden, results: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (results / "study.zarr").rglob("*")}
    code, _, err = burden("record", "fig2", "--out", results / "study.zarr", *SMALL)
    assert code == 0
    assert err == "12 of 12 runs are finished already\n"
    after = {p: p.stat().st_mtime_ns for p in (results / "study.zarr").rglob("*") if "fig2" in p.parts}
    assert {p: t for p, t in before.items() if "fig2" in p.parts} == after


def test_dry_run_prints_the_plan_and_writes_nothing(burden: Burden, tmp_path: Path) -> None:
    code, out, _ = burden("record", "fig2", "--dry-run", "--seeds", "0", "--sparsities", "0.9", "--out", tmp_path / "s")
    assert code == 0
    *plan, total = out.splitlines()
    assert plan == [
        "iterative-s0.9-seed0",
        "random-s0.9-seed0",
        "optimal-s0.9-seed0  (after iterative-s0.9-seed0)",
        f"3 runs of 720 steps, 45 records each, into {tmp_path / 's'} as fig2",
    ]
    assert re.fullmatch(r"3 runs in all: about [\d.]+ \w+ of training .*, at most \d+ MB in the store", total)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "plan"),
    [
        ("--out tables fig2", "3 runs of 36 steps, 3 records each, into tables as fig2"),
        ("fig2 --out tables", "3 runs of 36 steps, 3 records each, into tables as fig2"),
        (
            "--out fig2 tables --preset tables-mini --compressions 0",
            "1 runs of 36 steps, 3 records each, into fig2 as tables",
        ),
    ],
)
def test_the_study_is_the_word_that_stands_where_the_study_stands(burden: Burden, arguments: str, plan: str) -> None:
    small = "--epochs 3 --learning-rate 0.01 --seeds 0 --sparsities 0.8 --dry-run"
    code, out, err = burden("record", *arguments.split(), *small.split())
    assert (code, err) == (0, "")
    assert plan in out.splitlines()


FLAGS = """
    --allocation --allow-empty-layers --axes --batch-size --compressions --config --crop-padding --data --data-root
    --depth --device --dry-run --durability --epochs --evaluate-every --flip --help --hidden --image-size --indicators
    --initial-sparsity --interval --learning-rate --learning-rate-shape --lock --merge-metric --mlp-ratio --momentum
    --no-allow-empty-layers --no-dry-run --no-flip --no-lock --no-offline --no-profile --no-proportional-attention
    --offline --optimizer --out --patch --precision --preset --probe-every --probe-size --profile
    --proportional-attention --pruning-end --pruning-interval --resize --sample-every --seeds --setup --sparsities
    --stacked --strategies --weight-decay --workers
"""


def test_the_flags_are_as_they_were_and_help_shows_closed_sets(burden: Burden) -> None:
    code, out, _ = burden("record", "--help")
    assert code == 0
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", out)) == set(FLAGS.split())
    for choices in ("adam,sgd", "constant,cosine", "float32,bfloat16", "global,matched,uniform,erk", "auto,yes,no"):
        assert f"{{{choices}}}" in out
    text = " ".join(out.replace("│", " ").split())
    assert "--epochs INT Passes over the training images. (default: fig2: 60; tables: 40)" in text
    assert "--batch-size INT Images per optimiser step. (default: 128)" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recrod"], "unknown command 'recrod': choose from .*; did you mean 'record'?"),
        (["record", "fgi2"], "unknown study 'fgi2': choose from fig2, tables; did you mean 'fig2'?"),
        (["record"], "study"),
        (["record", "fig2", "--strategies", "iteratve"], "did you mean 'iterative'?"),
        (["record", "fig2", "--sparsities", "1.0"], r"sparsities must be less than 1, got 1\.0"),
        (["record", "fig2", "--optimizer", "adan"], r"invalid choice 'adan' for argument '--optimizer'.*'adam', 'sgd'"),
        (["record", "fig2", "--config", "flat.yaml"], r"epochs is now training\.epochs: write training: \{epochs: 5\}"),
        (["record", "--out", "fig2", "fig3"], "unknown study 'fig3'"),
        (["record", "fig2", "--data", "mnits"], "unknown data set 'mnits': .*did you mean 'mnist'?"),
        (["record", "fig2", "--epohcs", "3"], "--epohcs.*--epochs"),
        (["record", "fig2", "--epochs", "three"], "three"),
        (["record", "fig2", "--config", "none.yaml"], "cannot read none.yaml"),
        (["record", "fig2", "--device", "tpu0"], "device 'tpu0'"),
        (["record", "fig2", "--workers", "0"], "workers must be positive"),
        (["record", "fig2", "--sparsities", "0.9999"], "sparsity 0.9999 empties layer 'output.weight'"),
        (["record", "fig2", "--probe-size", "0"], r"probe\.size must be greater than 0, got 0"),
        (["show", "nothing.zarr"], "nothing.zarr"),
        (["compare"], "needs a STORE, or --by compression --published"),
        (["compare", "study.zarr", "--by", "sparsity", "--order", "random", "iterative"], "--order names strategies"),
        (["compare", "--published"], "pass --by compression with --published"),
        (["compare", "--by", "compression", "--published", "--window", "0.5"], "--window do not apply"),
        (["record", "fig2", "--out", "/proc/nowhere/s.zarr"], "cannot write to /proc/nowhere"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    burden: Burden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flat.yaml").write_text("epochs: 5")
    code, out, err = burden(*arguments)
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("burden: ")
    assert re.search(message, err), err
    assert not [p for p in tmp_path.rglob("*") if p.name not in ("zarr.json", "study.zarr", "flat.yaml")]


def test_wrong_names_inside_a_store_are_one_line(burden: Burden, results: Path) -> None:
    code, _, err = burden("compare", results / "study.zarr", "--indicator", "gradient_nrom")
    assert code == 2
    assert "did you mean 'gradient_norm'" in err
    assert len(err.splitlines()) == 1


def test_a_foreign_or_newer_store_is_refused(burden: Burden, tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "foreign", mode="w", zarr_format=3)
    zarr.open_group(tmp_path / "newer", mode="w", zarr_format=3, attributes={"burden_schema": 99})
    for name, message in (("foreign", "foreign"), ("newer", "schema 99")):
        for command in (["show", tmp_path / name], ["record", "fig2", "--out", tmp_path / name]):
            code, _, err = burden(*command)
            assert (code, message in err, len(err.splitlines())) == (2, True, 1), err


def test_an_output_folder_that_holds_something_else_is_refused(burden: Burden, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("ten years of work")
    code, _, err = burden("reproduce", "fig2", "--out", tmp_path)
    assert (code, "is no unfinished study of ours: choose another --out" in err) == (2, True)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_diverged_run_is_exit_code_1_and_the_others_go_on(burden: Burden, tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    arguments = (
        "--seeds",
        "0",
        "--sparsities",
        "0.5",
        "--epochs",
        "1",
        "--optimizer",
        "sgd",
        "--learning-rate",
        "1e38",
        "--interval",
        "10",
    )
    code, _, err = burden("record", "fig2", "--out", store, "--strategies", "random", "dense", *arguments)
    assert code == 1
    assert "run random-s0.5-seed0 diverged: loss or gradients are not finite" in err
    assert "run dense-s0-seed0 diverged" in err
    group = zarr.open_group(store / "fig2", mode="r")
    assert np.asarray(group["records_written"][:]).tolist() == [2, 2]  # type: ignore[index]


def test_help_imports_neither_torch_nor_the_rooms() -> None:
    code = (
        "import sys\nfrom burden_analysis.cli.main import main\n"
        "try:\n    main(['record', '--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'zarr', 'xarray', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--sparsities" in done.stdout


def test_a_reader_that_has_seen_enough_is_no_error(results: Path) -> None:
    show = f'"{sys.executable}" -m burden_analysis.cli show "{results / "study.zarr"}"'
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {show} | true"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
