"""What the documentation shows is run as it stands there."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from burden_analysis import open_study, series

ROOT = Path(__file__).parents[3]


def snippet(page: str, about: str) -> str:
    """Return the one Python block of a page that mentions something."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    [found] = [block for block in blocks if about in block]
    return found


def run(script: str, folder: Path, code: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "script.py").write_text(script, encoding="utf-8")
    command = [sys.executable, "-W", "error", "script.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr


@pytest.mark.slow
def test_a_network_of_your_own_is_studied(tmp_path: Path) -> None:
    run(snippet("README.md", "record_study").replace("epochs=20", "epochs=8"), tmp_path)
    study = open_study(tmp_path / "own.zarr")
    assert sorted(set(study.strategy.values)) == ["gmp", "iterative"]
    assert set(study.status.values) == {"complete"}


@pytest.mark.slow
def test_a_pruning_method_of_your_own_is_studied(tmp_path: Path) -> None:
    run(snippet("docs/methods.md", "class RandomPruning").replace("epochs=20", "epochs=8"), tmp_path)
    study = open_study(tmp_path / "own.zarr")
    assert sorted(set(study.strategy.values)) == ["iterative", "shrinking"]
    assert set(study.status.values) == {"complete"}
    own = study.isel(run=study.strategy.values == "shrinking")
    assert float(own.regrown.sum()) == 0
    gone = own.pruned.sum(("update", "parameter")) / float(own.parameter_size.sum())
    np.testing.assert_allclose(gone, own.sparsity, atol=1e-4)


def test_a_killed_loop_of_your_own_goes_on(tmp_path: Path) -> None:
    script = snippet("docs/recording.md", "steps_done")
    doomed = script.replace(
        "        optimizer.step()\n",
        "        if recorder.step == 730:\n            import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n"
        "        optimizer.step()\n",
    )
    run(script, tmp_path / "whole")
    run(doomed, tmp_path / "killed", code=-9)
    assert open_study(tmp_path / "killed" / "study.zarr").records_written.item() >= 12  # step 600, or later
    run(script, tmp_path / "killed")
    whole, killed = (open_study(tmp_path / name / "study.zarr") for name in ("whole", "killed"))
    assert killed.status.item() == "complete"
    xr.testing.assert_equal(whole, killed)


def quoted(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(ROOT / "benchmarks" / "quoted.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_registered_quote_stands_in_its_page() -> None:
    done = quoted("list")
    assert done.returncode == 0, done.stderr
    pages = {line.partition(" | ")[0] for line in done.stdout.splitlines() if " | " in line and line[0] != " "}
    assert {"README.md", "docs/burden.md", "docs/published-tables.md", "docs/statistics.md"} <= pages


def test_published_numbers_are_quoted_as_they_are_computed() -> None:
    done = quoted("check", "--only", "published")
    assert (done.returncode, done.stdout) == (0, "0 numbers differ\n"), done.stdout + done.stderr


def test_a_wrong_number_is_found_and_put_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    module = importlib.import_module("quoted")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / "page.md").write_text("It wins 12 of\n1 600, by −0.50\npoints (p = 0.04), at 1.03.\n", encoding="utf-8")
    quote = module.Quote("page.md", "any", "wins {won} of {all:,}, by {by:+.2f} points (p = {p:.2g}), at {at:.2f}.")
    right = {"won": 12, "all": 1600, "by": -0.5, "p": 0.0404, "at": 1.03}
    assert list(quote.differences(right)) == []
    found = list(quote.differences(right | {"won": 13, "by": 0.504, "at": 1.035001}))
    assert [(name, old, new) for _, name, old, new in found] == [
        ("won", "12", "13"),
        ("by", "−0.50", "+0.50"),
        ("at", "1.03", "1.04"),
    ]
    module.refresh("page.md", [(place, new) for place, _, _, new in found])
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert text == "It wins 13 of\n1 600, by +0.50\npoints (p = 0.04), at 1.04.\n"
    with pytest.raises(SystemExit, match="has this text 0 times, not once"):
        module.Quote("page.md", "any", "loses {lost} of").found()
    assert module.printed(1.7e-8, ".1t") == "1.7×10⁻⁸"


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md", "benchmarks/README.md", "README.md"])
def test_paths_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    folder = (ROOT / page).parent
    named = re.findall(r"`((?:recorders|burden_analysis|reports|tests|benchmarks|docs)/[^`\s]*)`", text)
    linked = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    missing = [name for name in named if not re.search("NAME|PACKAGE", name) and not (ROOT / name).exists()]
    assert missing + [link for link in linked if not (folder / link).exists()] == []


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_names_that_a_page_gives_for_a_file_are_in_it(page: str) -> None:
    """Such as: `LOOKS` in `reports/drawing/style.py`."""
    text = (ROOT / page).read_text(encoding="utf-8")
    pairs = re.findall(r"((?:`\w+`, )*`\w+`) in `([\w/]+\.py)`", text)
    assert len(pairs) >= 1
    absent = [
        (name, path)
        for names, path in pairs
        for name in re.findall(r"\w+", names)
        if not re.search(rf"\b{name}\b", (ROOT / path).read_text(encoding="utf-8"))
    ]
    assert absent == []


def test_every_benchmark_is_listed() -> None:
    listed = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    scripts = [path.name for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text()]
    assert [name for name in scripts if f"`{name}`" not in listed] == []


def test_a_loop_that_makes_its_updates_itself_is_recorded(tmp_path: Path) -> None:
    run(snippet("docs/recording.md", "torch.func"), tmp_path)
    study = open_study(tmp_path / "study.zarr")
    assert (study.status.item(), study.step.values.tolist()) == ("complete", list(range(10, 101, 10)))
    assert np.isfinite(study.gradient_norm).all()


def test_an_indicator_of_ones_own_is_recorded_and_compared(tmp_path: Path) -> None:
    run(snippet("docs/recording.md", "snip"), tmp_path)
    study = open_study(tmp_path / "study.zarr")
    assert np.isfinite(series(study, "snip")).all()
    assert np.isfinite(series(study, "update_ratio_mean")).all()
