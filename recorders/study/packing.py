"""Packs finished recordings of one schedule into one: many small ones read slowly, and are many files."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

import zarr

from recorders.contract import SCHEMA_VERSION, InputError, Status, flat_config, variable
from recorders.settings.settings import FREE, Settings
from recorders.store.disk import disk_errors
from recorders.store.documents import write_group
from recorders.store.lock import exclusive
from recorders.store.recovery import recover_all
from recorders.store.root import open_root, recording_names
from recorders.upkeep.compaction import check_whole, consolidate_group, sync
from recorders.upkeep.packed import PACKED, Part, dims, write_packed

_LISTED = ("strategies", "sparsities", "compressions", "seeds")  # a packed recording has those of all its parts
_SHOWN = 5  # runs that a message names


@dataclass(frozen=True)
class Packed:
    """A recording of the new store.

    Attributes
    ----------
    name : str
        What it is called.
    parts : sequence of Part
        What it was made of.
    runs : int
        How many it holds.
    """

    name: str
    parts: Sequence[Part]
    runs: int


def pack_stores(
    stores: Iterable[str | PathLike[str]], out: str | PathLike[str], *, command: str = "", lock: bool = True
) -> list[Packed]:
    """Merge the finished recordings of stores into a new store: one recording for each schedule.

    Parameters
    ----------
    stores : iterable of path
        Folders of studies; they stay as they are.
    out : path
        The new store; it appears when it is whole.
    command : str
        The command that packs, for the provenance.
    lock : bool
        False where a file system has no locks; then it is yours to see that nobody writes meanwhile.

    Returns
    -------
    list of Packed
        The recordings of the new store.

    Raises
    ------
    InputError
        `out` exists; runs are unfinished, are being written, occur twice, or went on in a further recording; there is
        nothing to pack.
    RunError
        Something of a recording is lost or altered, or there is no space.
    """
    sources, target = [Path(store) for store in stores], Path(out)
    if not sources:
        raise InputError("no store to pack: give one or more")
    if target.exists():
        raise InputError(f"{target} exists: choose another --out")
    with ExitStack() as held:
        for store in dict.fromkeys(store.resolve() for store in sources):
            open_root(store, create=False)
            held.enter_context(exclusive(store, lock=lock))
            recover_all(store)
            for name in recording_names(store):
                held.enter_context(exclusive(store, name))
        parts = [Part(store, name) for store in sources for name in recording_names(store)]
        if not parts:
            raise InputError(f"{', '.join(map(str, sources))}: no recordings to pack")
        _check_finished(parts)
        groups = _by_schedule(parts)
        _check_distinct(groups)
        held.enter_context(exclusive(target, lock=lock))
        return _written(groups, target, command)


def _check_finished(parts: Sequence[Part]) -> None:
    unfinished, continued = [], []
    for part in parts:
        if "continues" in part.config:
            continued.append(part.name)
        for run, status in zip(part.texts("run_id"), part.texts("status"), strict=True):
            if not Status(status).finished:
                unfinished.append(f"{run} ({status})")
    if unfinished:
        raise InputError(f"unfinished: {_some(unfinished)}: finish or remove them, then pack")
    if continued:
        raise InputError(
            f"{_some(continued)}: a run that outgrew its recording and went on in this one cannot be packed; leave its "
            "store out"
        )


def _check_distinct(groups: Mapping[str, Sequence[Part]]) -> None:
    """Refuse runs that occur twice: of a study in one schedule, of loops, which are found by name, anywhere."""
    loops = [part for parts in groups.values() for part in parts if "run" in part.config]
    for parts in (loops, *groups.values()):
        found = Counter(run for part in parts for run in part.texts("run_id"))
        if twice := [run for run, count in found.items() if count > 1]:
            raise InputError(f"recorded twice: {_some(twice)}: leave one of the recordings out")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _by_schedule(parts: Sequence[Part]) -> dict[str, list[Part]]:
    groups: dict[str, list[Part]] = {}
    for part in parts:
        groups.setdefault(_schedule(part), []).append(part)
    return groups


def _schedule(part: Part) -> str:
    """All that runs of one recording share: settings, images, tensors, layers, steps, indicators, kinds of settings."""
    config = flat_config(part.config)
    loop = "run" in config
    free = ("run",) if loop else tuple(name for name in FREE if name != "axes")
    settings = config if loop else flat_config(Settings().as_dict()) | config
    known = {name for name, array in part.arrays.items() if variable(name) is not None or "combine" in array.attrs}
    return json.dumps(
        {
            "settings": {name: value for name, value in settings.items() if name not in free},
            "sample_every": part.attributes.get("sample_every", 1),
            "images": part.provenance.get("data", {}).get("sha256"),
            "runs": {
                name: part.arrays[name].dtype.kind in "OTU"
                for name in str(part.attributes["coordinates"]).split()
                if dims(part.arrays[name]) == ("run",)
            },
            "shared": {
                name: part.values(name).tolist() for name, array in part.arrays.items() if "run" not in dims(array)
            },
            "measured": sorted(name for name in known if "update" not in dims(part.arrays[name])),
            "masks": sorted((name, array.shape[1:]) for name, array in part.masks.items()),
        },
        sort_keys=True,
    )


def _written(groups: Mapping[str, Sequence[Part]], target: Path, command: str) -> list[Packed]:
    temporary = target.absolute().with_name(f".{target.absolute().name}.pack")
    with disk_errors(target):
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            temporary.mkdir(parents=True)
            write_group(temporary, {"burden_schema": SCHEMA_VERSION})
            packed: list[Packed] = []
            for parts in groups.values():
                for part in parts:
                    check_whole(part.store, part.name)
                name = _name(parts[0], [done.name for done in packed])
                runs = [run for part in parts for run in part.texts("run_id")]
                write_packed(temporary, name, parts, _attributes(parts, runs, command))
                packed.append(Packed(name, parts, len(runs)))
            consolidate_group(zarr.open_group(temporary, mode="r+", use_consolidated=False))
            sync(temporary)
            temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return packed


def _name(first: Part, taken: Sequence[str]) -> str:
    """Name a packed recording as the first of a study, which keeps its name; a loop's would be that of one run."""
    name = "packed" if "run" in first.config else first.name
    return next(n for i in range(1, len(taken) + 2) if (n := name if i == 1 else f"{name}-{i}") not in taken)


def _attributes(parts: Sequence[Part], runs: Sequence[str], command: str) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    about = _common([part.provenance for part in parts])
    about["packed"] = {
        "created": now,
        "command": command,
        "parts": [
            {
                "store": str(part.store),
                "recording": part.name,
                "runs": part.texts("run_id"),
                "config": part.config,
                "provenance": part.provenance,
                "finished": part.attributes.get("finished"),
            }
            for part in parts
        ],
    }
    return {
        "config": json.dumps(_config(parts)),
        "provenance": json.dumps(about),
        "finished": max(str(part.attributes.get("finished", now)) for part in parts),
        PACKED: list(runs),
    }


def _config(parts: Sequence[Part]) -> dict[str, Any]:
    config = dict(parts[0].config)
    if "run" in config:
        return config | {"run": _common([part.config["run"] for part in parts])}
    for name in _LISTED:
        if name in config:
            config[name] = list(dict.fromkeys(value for part in parts for value in part.config.get(name, ())))
    return config


def _common(several: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Keep what all have alike, at any depth."""
    first, *others = several
    found: dict[str, Any] = {}
    for key, value in first.items():
        if not all(key in other for other in others):
            continue
        if all(other[key] == value for other in others):
            found[key] = value
        elif all(isinstance(one[key], Mapping) for one in several):
            found[key] = _common([one[key] for one in several])
    return found
