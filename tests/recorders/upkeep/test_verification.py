"""Every file of a store, damaged in every way: somebody says so, the rest opens, and repairing leaves it whole."""

from __future__ import annotations

import random
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from burden_analysis import open_study
from burden_analysis.study.damage import DamageWarning
from recorders.contract import InputError, RunError, Status
from recorders.store.root import recording_names
from recorders.store.writer import RecordingWriter
from recorders.upkeep.compaction import compact, consolidate, is_compact
from recorders.upkeep.repair import repair_store
from recorders.upkeep.verification import Harm, store_findings
from tests.recorders.store.test_commits import ending, first, second
from tests.recorders.store.test_store import create

Damage = Callable[[Path, Path, random.Random], object]


def flip(path: Path, _: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    bit = draw.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def folder(path: Path, _: Path, __: random.Random) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Damage] = {
    "deleted": lambda path, *_: path.unlink(),
    "emptied": lambda path, *_: path.write_bytes(b""),
    "cut": lambda path, *_: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a folder": folder,
    "another file": lambda path, other, _: shutil.copyfile(other, path),
    "a flipped bit": flip,
}


@pytest.fixture(scope="module", params=[False, True], ids=["streamed", "compacted"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = create(tmp_path_factory.mktemp("whole") / "s.zarr", records=20)
    for row in range(3):
        for work in (first, second, ending):
            writer = RecordingWriter(store, "fig2", [row])
            if work is ending:
                writer.write_masks(row, {"a.weight": np.eye(2, 3) > 0, "b.weight": np.array([True, row > 1, True])})
                writer.set_status(row, Status.COMPLETE)
            else:
                work(writer)
    if request.param:
        compact(store, "fig2")
        consolidate(store)
    return store


def opened(store: Path) -> tuple[xr.Dataset | None, list[str]]:
    """Open a study, and give what was said."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            study = open_study(store)
        except InputError as error:
            return None, [str(error)]
    assert {warning.category for warning in said} <= {DamageWarning}
    return study, [str(warning.message) for warning in said]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named_stays_local_and_is_repaired(whole: Path, tmp_path: Path, damage: str) -> None:
    expected, _ = opened(whole)
    assert expected is not None
    draw = random.Random(damage)
    files = sorted(path for path in whole.rglob("*") if path.is_file())
    kinds: dict[tuple[str, ...], list[Path]] = {}
    for path in files:
        name, *rest = path.relative_to(whole).parts[1:] or ("",)
        kinds.setdefault((name if name in STATES else rest[0] if name == "masks" else "", path.name), []).append(path)
    for path in [draw.choice(paths) for paths in kinds.values() for _ in range(2)]:
        store = tmp_path / "s.zarr"
        shutil.rmtree(store, ignore_errors=True)
        shutil.copytree(whole, store)
        place = store / path.relative_to(whole)
        of_kind = [p for p in files if (p.name == "zarr.json") == (path.name == "zarr.json")]
        alike = [p for p in of_kind if p.read_bytes() != path.read_bytes()]
        DAMAGES[damage](place, draw.choice(alike), draw)
        where = str(path.relative_to(whole))
        findings = list(store_findings(store))
        assert findings, where
        assert any(place.is_relative_to(finding.place) or finding.place.name in where for finding in findings), where
        study, said = opened(store)
        if not said:  # nobody reads it: masks, and metadata that are consolidated
            assert study is not None
            xr.testing.assert_identical(study, expected)
            assert path.name == "zarr.json" or "masks" in where or "commits" in where, where
        elif study is not None:
            differ_only_where_said(study, expected, said, where)
        lines = list(repair_store(store))
        assert lines, where
        assert list(store_findings(store)) == [], where
        if recording_names(store):
            repaired, said = opened(store)
            assert repaired is not None
            assert not said, where
            nothing_is_lost(repaired, expected, findings[0].harm, where)
        else:
            assert any(store.with_name("s.zarr.damaged").iterdir())
            shutil.rmtree(store.with_name("s.zarr.damaged"))


STATES = ("status", "status_reason", "records_written", "updates_written", "initial_weights", "commits", "remarks")


def differ_only_where_said(study: xr.Dataset, expected: xr.Dataset, said: list[str], where: str) -> None:
    """What is there is what was written, but for what was said to be left out: that is NaN, or its run has failed."""
    text = " ".join(said)
    for name, variable in expected.variables.items():
        if name not in study.variables:
            assert str(name) in text, (name, where)
            continue
        for row in range(expected.sizes["run"] if "run" in variable.dims else 1):
            one, other = (v.isel(run=row) if "run" in v.dims else v for v in (study.variables[name], variable))
            if one.equals(other):
                continue
            failed = study["status"].values[row] == "failed" and study["run_id"].values[row] in text
            gone = str(name) in text and (one.dtype.kind != "f" or bool(np.isnan(one.values).all()))
            assert failed or gone, (name, row, where, said)


def nothing_is_lost(repaired: xr.Dataset, expected: xr.Dataset, harm: Harm, where: str) -> None:
    """Records of runs that were not marked are those that were written."""
    for row, status in enumerate(repaired["status"].values):
        if status == "complete":
            xr.testing.assert_equal(repaired.isel(run=row), expected.isel(run=row))
        else:
            assert status == "failed"
            assert harm is Harm.RUNS, where
            assert repaired["status_reason"].values[row].startswith("damaged: ")


def test_chunks_that_were_swapped_are_noticed(whole: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    shutil.copytree(whole, store)
    one, other = (next((store / "fig2" / name / "c").rglob("0/0")) for name in ("loss", "mine"))
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    study, said = opened(store)
    assert study is not None
    assert len(said) == 2
    rows = slice(None) if is_compact(store, "fig2") else slice(1)
    assert "loss" not in study or np.isnan(study["loss"].values[rows]).all()
    assert {finding.place.relative_to(store / "fig2").parts[0] for finding in store_findings(store)} == {"loss", "mine"}


def test_a_copy_of_what_is_damaged_is_refused(whole: Path, tmp_path: Path) -> None:
    if is_compact(whole, "fig2"):
        return
    store = tmp_path / "s.zarr"
    shutil.copytree(whole, store)
    shutil.rmtree(store / "fig2" / "sparsity" / "c")
    with pytest.raises(RunError, match="fig2/sparsity/c/0 is missing, so recording 'fig2' stays as it is: restore"):
        compact(store, "fig2")
    assert sorted(p.name for p in store.iterdir()) == ["fig2", "zarr.json"]


def test_marks_that_nobody_made_are_not_believed(whole: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    for mark in (10**15, -5, 3):
        shutil.rmtree(store, ignore_errors=True)
        shutil.copytree(whole, store)
        zarr.open_array(store / "fig2" / "records_written", mode="r+")[1] = mark
        study, said = opened(store)
        assert said
        if study is not None:
            assert study["status"].values.tolist() == ["complete", "failed", "complete"]
            assert study["records_written"].values.tolist() == [14, 0, 14]
        assert any("records_written" in str(finding.place) for finding in store_findings(store))


def test_leftovers_are_removed_and_a_store_without_a_manifest_gets_one(tmp_path: Path, recorded_store: Path) -> None:
    shutil.unpack_archive(recorded_store, tmp_path)
    store = min((path.parent for path in tmp_path.rglob("zarr.json")), key=lambda path: len(path.parts))
    before = open_study(store)
    (store / ".x.tmp").mkdir()
    name = recording_names(store)[0]
    (store / name / "loss" / "zarr.json.0.partial").write_text("half")
    harms = [finding.harm for finding in store_findings(store)]
    assert harms.count(Harm.LEFTOVER) == 2
    assert harms.count(Harm.MANIFEST) == len(recording_names(store))
    lines = list(repair_store(store))
    assert [line for line in lines if "removed" in line and ".x.tmp" in line]
    left = [finding for finding in store_findings(store) if finding.harm is not Harm.MANIFEST]
    assert left == []
    xr.testing.assert_identical(open_study(store), before)
    for done in [n for n in recording_names(store) if is_compact(store, n)]:
        assert not [finding for finding in store_findings(store) if finding.recording == done]
