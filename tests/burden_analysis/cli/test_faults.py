"""A few of the trials of `benchmarks/faults.py`, and that they would see what they look for."""

from __future__ import annotations

import importlib
import random
import shutil
import types
from collections import Counter
from pathlib import Path

import pytest

from burden_analysis import open_study
from recorders.upkeep.repair import repair_store


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "benchmarks")
    return importlib.import_module("faults")


@pytest.fixture
def store(tmp_path: Path, recorded_store: Path) -> Path:
    """A finished study that has its manifest."""
    shutil.unpack_archive(recorded_store, tmp_path / "s")
    store = min((path.parent for path in tmp_path.rglob("zarr.json")), key=lambda path: len(path.parts))
    shutil.rmtree(store / "mine-s0-seed1")  # a run that was going on when it was kept
    list(repair_store(store))
    return store


@pytest.mark.filterwarnings("always::burden_analysis.study.damage.DamageWarning")
@pytest.mark.parametrize(
    ("kinds", "times"), [(["deleted", "emptied", "cut", "a folder"], 8), (["flip"], 8), (["swap"], 4)]
)
def test_damage_is_named_and_repaired(
    faults: types.ModuleType, store: Path, tmp_path: Path, kinds: list[str], times: int
) -> None:
    found = faults.damaged(store, tmp_path, kinds, times, random.Random(0))
    assert found["times"] == times
    assert not any(found[bad] for bad in (*faults.BAD, "not repaired"))


def test_damage_that_nobody_named_would_be_seen(
    faults: types.ModuleType, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = faults.opened
    monkeypatch.setattr(faults, "opened", lambda place: (opened(place)[0], []))
    monkeypatch.setattr(faults, "command", lambda *_: ("traceback", ""))
    found = faults.damaged(store, tmp_path, ["deleted"], 6, random.Random(0))
    assert found["wrong"] > 0
    assert found["traceback"] == 18
    assert found["not repaired"] == 6


def test_values_that_differ_below_the_mark_would_be_seen(faults: types.ModuleType, store: Path) -> None:
    whole = open_study(store)
    assert faults.committed(whole, whole) == Counter()
    other = whole.copy(deep=True)
    other["loss"][3, 0] += 1
    other["weight_norm"][2, 1] = float("nan")
    assert {name: n for name, n in faults.committed(other, whole).items() if n} == {"wrong": 2, "lost": 1}


def test_a_store_is_read_beside_writers(faults: types.ModuleType, tmp_path: Path) -> None:
    found = faults.read_beside(tmp_path, 12)
    assert found["times"] == 12
    assert not any(found[bad] for bad in faults.BAD)
