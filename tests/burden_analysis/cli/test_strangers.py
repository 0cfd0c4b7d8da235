"""Stores, places and keyboards that nobody expects: one line, and nothing that commands a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from burden_analysis.cli.main import main
from recorders.contract import Status
from recorders.store.layout import Layout
from recorders.store.recording import create_recording
from recorders.store.root import open_root
from recorders.store.writer import RecordingWriter

NAME = "run\x1b[2J\u202e\r\nall runs finished"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store of one run, whose name and whose end are made to deceive."""
    path = tmp_path_factory.mktemp("strange") / "study.zarr"
    open_root(path, create=True)
    runs = [{"run_id": NAME, "strategy": "iterative", "sparsity": 0.5, "seed": 0, "allocation": ""}]
    layout = Layout(runs=runs, parameters={"fc.weight": (2, 2)}, layers=["fc"], steps=np.arange(1, 3))
    create_recording(path, "fig2", layout, config={"run": {}}, provenance={})
    RecordingWriter(path, "fig2", [0]).set_status(0, Status.FAILED, "gone\x07\nmissing: nothing")
    return path


def ended(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments])
    return int(end.value.code or 0)


def test_names_of_a_store_command_no_terminal(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("show", store) == 0
    out = capsys.readouterr().out
    assert not [mark for mark in out if mark != "\n" and not mark.isprintable()]
    assert "\\u001b[2J\\u202e" in out
    assert "missing: nothing" not in out.splitlines()
    assert "all runs finished" not in out.splitlines()
    assert ended("show", "\x1b[31m") == 2
    assert capsys.readouterr().err.startswith("burden: \\u001b[31m does not exist")


def test_nothing_is_written_into_a_store(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(store.rglob("*"))
    for arguments in (
        ("report", store, "--out", store, "--overwrite"),
        ("report", store, "--out", store / "fig2" / "report"),
        ("figure", store, "--out", store / "figure.pdf"),
        ("reproduce", "fig2", "--out", store / "results"),
        ("record", "fig2", "--out", store / "inner.zarr"),
    ):
        assert ended(*arguments) == 2
        assert "lies in the zarr store" in capsys.readouterr().err
    assert sorted(store.rglob("*")) == before
    assert ended("record", "fig2", "--out", "/") == 2
    assert "/ is no name for a store" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["x" * 5000, "\0", "a/" * 3000])
def test_a_place_that_can_be_none_is_one_line(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("show", place) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("burden: ")


def test_output_that_is_full_closed_or_of_few_letters(recorded_store: Path) -> None:
    def run(how: str, **environment: str) -> tuple[int, str]:
        command = f'"{sys.executable}" -m burden_analysis.cli {how}'
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, check=False, env={**os.environ, **environment}
        )
        return done.returncode, done.stderr

    assert run(f'show "{recorded_store}" > /dev/full') == (1, "burden: No space left on device\n")
    assert run(f'show "{recorded_store}" >&-') == (0, "")
    assert run("claims --published", PYTHONIOENCODING="ascii") == (0, "")


INTERRUPTED = """
import os, signal, sys
from burden_analysis.cli.__main__ import run

signal.signal(signal.SIGINT, signal.default_int_handler)  # else it is ignored where the tests run with nohup

module, turned, *sys.argv[1:] = sys.argv[1:]

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            try:
                os.kill(os.getpid(), signal.SIGINT)
                sum(range(1000))
            except KeyboardInterrupt:
                if turned == "turned":
                    raise ImportError("DLL load failed") from None
                raise

sys.meta_path.insert(0, Interrupt())
run()
"""


@pytest.mark.parametrize("turned", ["as it is", "turned"])  # libraries make an ImportError of it
@pytest.mark.parametrize("module", ["burden_analysis.cli.main", "tyro", "pandas", "xarray"])
def test_ctrl_c_while_importing_is_one_line(module: str, turned: str, recorded_store: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, module, turned, "show", str(recorded_store)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "burden: interrupted; rerun the same command to go on\n"
