"""Finished recordings merged into one store: equal content, nothing lost, and found again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.utils.prune
import xarray as xr
import zarr

from burden_analysis import open_study
from burden_analysis.cli.main import main
from recorders import Recorder
from recorders.contract import InputError
from recorders.settings.settings import Settings
from recorders.store.lock import exclusive
from recorders.study.packing import pack_stores
from recorders.study.record import record_study
from recorders.study.resources import Resources
from tests.recorders.own_loop import RUN, network, train

HERE = Resources(torch.device("cpu"), workers=1, stacked=True)
SETTINGS = Settings().with_values(
    strategies=("iterative", "random"), sparsities=(0.5,), seeds=(0,), epochs=1, hidden=(8,), probe_every=1, interval=5
)


def loop(store: Path, seed: int, steps: int = 12, interval: int = 5, **more: Any) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.nn.utils.prune.random_unstructured(model[0], "weight", 0.1 * (seed + 1))
    run = RUN | {"seed": seed, "sparsity": round(0.1 * (seed + 1) * 108 / 192, 2)}
    with Recorder(store, model, optimizer, run=run, interval=interval, **more) as recorder:
        if seed == 1:
            recorder.log(margin=2.5)
        train(model, optimizer, steps, recorder)


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("loops")
    for seed in (0, 1):
        loop(folder / "a.zarr", seed)
    loop(folder / "b.zarr", 2)
    return folder / "a.zarr", folder / "b.zarr"


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("studies")
    record_study(SETTINGS, folder / "a.zarr", name="fig2", using=HERE)
    record_study(SETTINGS.with_values(seeds=(1, 2)), folder / "b.zarr", name="fig2", using=HERE)
    return folder / "a.zarr", folder / "b.zarr"


def by_run(study: xr.Dataset) -> dict[str, xr.Dataset]:
    """Every run without what is the store's own: names of recordings, attributes."""
    plain = study.drop_vars("recording").drop_attrs(deep=False)
    return {str(plain.run_id[i].item()): plain.isel(run=[i]) for i in range(plain.sizes["run"])}


def same(packed: Path, *stores: Path) -> None:
    """Every run of the packed store is that of the store it came from, on one grid of updates."""
    found, expected = by_run(open_study(packed)), {k: v for s in stores for k, v in by_run(open_study(s)).items()}
    assert list(found) == list(expected)
    for name, run in expected.items():
        mine = found[name]
        for key, variable in run.variables.items():
            other = mine[key].variable
            if "update" in variable.dims and other.sizes["update"] > variable.sizes["update"]:
                assert other.isel(update=slice(variable.sizes["update"], None)).isnull().all()
                other = other.isel(update=slice(variable.sizes["update"]))
            xr.testing.assert_identical(xr.Dataset({"x": other}), xr.Dataset({"x": variable}))
        for key in set(mine.variables) - set(run.variables):
            assert mine[key].isnull().all(), key


def masks(store: Path) -> dict[tuple[str, str], np.ndarray]:
    found = {}
    for _, group in zarr.open_group(store, mode="r").groups():
        for row, run in enumerate(np.asarray(group["run_id"][:])):
            for _, array in group["masks"].arrays():
                found[str(run), str(array.attrs["parameter"])] = np.asarray(array[row])
    return found


def test_loops_are_packed_without_a_difference(loops: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = loops
    [packed] = pack_stores(loops, tmp_path / "c.zarr", command="burden pack")
    assert (packed.name, packed.runs, len(packed.parts)) == ("packed", 3, 3)
    same(tmp_path / "c.zarr", a, b)
    expected = masks(a) | masks(b)
    assert not all(mask.all() for mask in expected.values())
    found = masks(tmp_path / "c.zarr")
    assert found.keys() == expected.keys()
    for key, mask in expected.items():
        np.testing.assert_array_equal(found[key], mask)
    study = open_study(tmp_path / "c.zarr")
    assert study["mask_source"][0, 0].item()
    np.testing.assert_array_equal(study["margin"].notnull().any("record"), [False, True, False])
    assert [p.name for p in tmp_path.iterdir()] == ["c.zarr"]
    plain = xr.open_zarr(tmp_path / "c.zarr", group="packed", consolidated=True)
    assert plain.attrs["compact"]
    assert plain["loss"].encoding["chunks"] == (3, 3)


def test_a_packed_store_equals_its_recordings_joined(loops: tuple[Path, Path], tmp_path: Path) -> None:
    """All at once, as one dataset: the recordings of one store."""
    pack_stores(loops[:1], tmp_path / "c.zarr")
    packed, joined = (open_study(store).drop_vars("recording") for store in (tmp_path / "c.zarr", loops[0]))
    assert packed.attrs.keys() == joined.attrs.keys()
    xr.testing.assert_identical(packed.drop_attrs(deep=False), joined.drop_attrs(deep=False))


def test_a_packed_recording_says_where_each_of_its_runs_comes_from(loops: tuple[Path, Path], tmp_path: Path) -> None:
    pack_stores(loops, tmp_path / "c.zarr", command="burden pack a b")
    [about] = open_study(tmp_path / "c.zarr").attrs["recordings"].values()
    expected = {n: parts for store in loops for n, parts in open_study(store).attrs["recordings"].items()}
    parts = about["provenance"]["packed"]["parts"]
    assert about["provenance"]["packed"]["command"] == "burden pack a b"
    assert {part["recording"]: {k: part[k] for k in ("config", "provenance")} for part in parts} == expected
    assert [part["runs"] for part in parts] == [[name] for name in expected]
    assert about["provenance"]["versions"] == parts[0]["provenance"]["versions"]
    assert about["config"]["run"] == {"strategy": "mine"}
    assert about["config"]["interval"] == 5


def test_a_packed_study_is_whole_and_a_rerun_finds_its_runs(studies: tuple[Path, Path], tmp_path: Path) -> None:
    store = tmp_path / "c.zarr"
    [packed] = pack_stores(studies, store)
    assert (packed.name, packed.runs) == ("fig2", 6)
    same(store, *studies)
    assert open_study(store)["compensation"].notnull().any()
    config = open_study(store).attrs["recordings"]["fig2"]["config"]
    assert (config["seeds"], config["sparsities"], config["epochs"]) == ([0, 1, 2], [0.5], 1)
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    assert record_study(SETTINGS.with_values(seeds=(0, 1, 2)), store, name="fig2", using=HERE) == []
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before
    further = SETTINGS.with_values(seeds=(1, 3), strategies=("iterative", "optimal"))
    trained = record_study(further, store, name="fig2", using=HERE)
    assert sorted(o.run.run_id for o in trained) == ["iterative-s0.5-seed3", "optimal-s0.5-seed1", "optimal-s0.5-seed3"]
    np.testing.assert_array_equal(
        *(masks(store)[f"{s}-s0.5-seed1", "hidden1.weight"] for s in ("iterative", "optimal"))
    )


def test_schedules_are_packed_one_by_one(loops: tuple[Path, Path], studies: tuple[Path, Path], tmp_path: Path) -> None:
    loop(tmp_path / "d.zarr", 5, interval=4)
    found = pack_stores([*loops, studies[0], tmp_path / "d.zarr"], tmp_path / "c.zarr")
    assert [(p.name, p.runs) for p in found] == [("packed", 3), ("fig2", 2), ("packed-2", 1)]
    assert open_study(tmp_path / "c.zarr").sizes["run"] == 6


@pytest.mark.parametrize("exist", [{}, {"exist": "overwrite"}, {"exist": "resume", "steps_done": 5}])
def test_a_loop_finds_its_packed_run(loops: tuple[Path, Path], tmp_path: Path, exist: dict[str, Any]) -> None:
    store = tmp_path / "c.zarr"
    pack_stores(loops, store)
    before = open_study(store)
    with pytest.raises(
        InputError, match=r"already holds run '.*seed2' in the packed recording 'packed', where it can"
    ) as e:
        loop(store, 2, **exist)
    assert "\n" not in str(e.value)
    xr.testing.assert_identical(open_study(store), before)
    loop(store, 7)
    assert open_study(store).sizes["run"] == 4


def fails(stores: list[Path], out: Path, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(out.parent.iterdir())
    with pytest.raises(SystemExit) as ended:
        main(["pack", *map(str, stores), "--out", str(out)])
    error = capsys.readouterr().err
    assert ended.value.code == 2, error
    assert message in error
    assert error.count("\n") == 1
    assert sorted(out.parent.iterdir()) == before


def test_what_cannot_be_packed_is_refused(
    loops: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = loops
    out = tmp_path / "out" / "c.zarr"
    out.parent.mkdir()
    fails([a, a], out, "recorded twice: mine-", capsys)
    fails([a, tmp_path / "none.zarr"], out, "is not a study store", capsys)
    half = tmp_path / "half.zarr"
    loop(half, 3, steps=4, interval=2, total_steps=9)
    fails([a, half], out, "unfinished: mine-s0.23-seed3 (interrupted): finish or remove", capsys)
    with exclusive(b, next(p.name for p in b.glob("mine*"))):
        fails([a, b], out, "is being written by process", capsys)
    with exclusive(a):
        fails([a, b], out, "is being written by process", capsys)
    loop(tmp_path / "long.zarr", 4, total_steps=7)
    fails([tmp_path / "long.zarr"], out, "went on in this one cannot be packed", capsys)
    out.mkdir()
    fails([a, b], out, "exists: choose another --out", capsys)


def test_nothing_half_written_is_left(
    loops: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("recorders.upkeep.packed._write_masks", full)
    with pytest.raises(ZeroDivisionError):
        pack_stores(loops, tmp_path / "c.zarr")
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_packed(
    loops: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "c.zarr"
    with pytest.raises(SystemExit) as ended:
        main(["pack", *map(str, loops), "--out", str(store)])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"packed 3 recordings, 3 runs into 'packed' of {store}\n")
    with pytest.raises(SystemExit):
        main(["show", str(store)])
    assert "3 of 3 runs finished" in capsys.readouterr().out
    assert json.loads(zarr.open_group(store / "packed", mode="r").attrs["provenance"])["packed"]["command"].startswith(
        "burden pack"
    )
