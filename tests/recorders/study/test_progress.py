"""What a person sees while a study trains: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import termios

import pytest

from recorders.contract import Status
from recorders.study.progress import Progress

SCRIPT = """
from recorders.contract import Status
from recorders.study.progress import Progress
with Progress() as progress:
    progress.start(4, 3)
    progress.ended("a-s0.9-seed0", Status.COMPLETE, "")
    progress.ended("b-s0.9-seed0", Status.FAILED, "too sparse")
    progress.ended("c-s0.9-seed0", Status.COMPLETE, "")
"""


def test_plain_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        progress.start(4, 2)
        progress.ended("a-s0.9-seed0", Status.COMPLETE, "")
        progress.ended("b-s0.9-seed0", Status.FAILED, "too sparse")
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == "2 of 4 runs are finished already"
    assert lines[1].startswith("[3/4] a-s0.9-seed0 complete (")
    assert lines[2].startswith("[4/4] b-s0.9-seed0 failed: too sparse (")


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(silent=True) as progress:
        progress.start(4, 2)
        progress.ended("a", Status.COMPLETE, "")
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal() -> None:
    terminal, screen = os.openpty()
    termios.tcsetwinsize(screen, (24, 80))
    subprocess.run([sys.executable, "-c", SCRIPT], stderr=screen, check=True)
    os.close(screen)
    shown = b""
    while True:
        try:
            read = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
        if not read:
            break
        shown += read
    text = shown.decode()
    assert "1 of 4 runs are finished already" in text
    assert "b-s0.9-seed0 failed: too sparse" in text
    assert "4/4" in text
    assert "complete" not in text  # the bar says it
