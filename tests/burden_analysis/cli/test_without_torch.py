"""A recorded store is opened, compared and reported on a machine without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT_TORCH = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision"):
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, Absent())
store, folder = sys.argv[1:]
"""
PYTHON = """
from burden_analysis import burden_decomposition, compare_sparsities, compare_strategies, open_study
from reports import write_report

study = open_study(store)
comparisons = [
    compare_strategies(study, "gradient_norm", order=("iterative", "optimal", "random")),
    compare_sparsities(study, "gradient_norm"),
]
burden_decomposition(study)
print(write_report(study, comparisons, folder, command="python"))
"""
COMMANDS = """
from burden_analysis.cli.main import main

for arguments in (["show", store], ["compare", store], ["report", store, "--out", folder]):
    try:
        main(arguments)
    except SystemExit as ended:
        assert not ended.code, (arguments, ended.code)
"""


def run(script: str, store: Path, folder: Path) -> str:
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TORCH + script, str(store), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


def test_torch_is_absent_there(recorded_store: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="torch is not installed"):
        run("import recorders.probe.mask_probe", recorded_store, tmp_path)


def test_python_reads_compares_and_reports(recorded_store: Path, tmp_path: Path) -> None:
    assert run(PYTHON, recorded_store, tmp_path / "r").strip() == str(tmp_path / "r" / "report.html")


def test_the_command_line_shows_compares_and_reports(recorded_store: Path, tmp_path: Path) -> None:
    out = run(COMMANDS, recorded_store, tmp_path / "r")
    assert "19 of 20 runs finished\nmissing: mine-s0-seed1/mine-s0-seed1 (running)\n" in out
    assert "Not supported" in out or "contradicted" in out.lower()
    assert out.endswith(f"wrote {tmp_path / 'r' / 'report.html'}\n")
    names = {path.name for path in (tmp_path / "r").iterdir()}
    assert {"report.html", "report.json", "figure2.pdf", "figure2.csv", "burden.svg"} <= names
