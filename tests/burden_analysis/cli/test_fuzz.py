"""Random flags, YAML and axes, as `benchmarks/fuzz.py` draws them: no traceback, one line for a refusal."""

from __future__ import annotations

import importlib
import random
from pathlib import Path

import pytest


def test_no_random_command_ends_in_a_traceback(monkeypatch: pytest.MonkeyPatch, recorded_store: Path) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "benchmarks")
    fuzz = importlib.import_module("fuzz")
    endings, faults = fuzz.fuzz(80, 1, recorded_store)
    assert faults == []
    assert endings.total() == 80
    assert {"record 2", "compare 2"} <= set(endings)
    assert any(ending.endswith(" 0") for ending in endings)


def test_a_fault_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "benchmarks")
    fuzz = importlib.import_module("fuzz")
    good = fuzz.Ending(2, "", "burden: no\n", "")
    assert fuzz.fault(good, [], ["show"]) == ""
    assert fuzz.fault(good, ["a"], ["show"]) == "left ['a']"
    assert fuzz.fault(fuzz.Ending(2, "", "burden: no\nmore\n", ""), [], ["show"]) == "2 lines of messages"
    assert fuzz.fault(fuzz.Ending(3, "", "burden: no\n", ""), [], ["show"]) == "exit code 3"
    assert fuzz.fault(fuzz.Ending(0, "\x1b[2J", "", ""), [], ["show"]) == "control characters"
    assert fuzz.fault(fuzz.Ending("traceback", "", "", "Trace\nKeyError: 1\n"), [], ["show"]) == "KeyError: 1"
    monkeypatch.chdir(tmp_path)
    drawn = [list(fuzz.cases(random.Random(3), tmp_path, 20)) for _ in range(2)]
    assert drawn[0] == drawn[1]
