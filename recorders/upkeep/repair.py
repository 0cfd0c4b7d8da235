"""Repairs a store as far as nothing that can be read is lost by it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from recorders.contract import (
    COMMITS,
    MANIFEST,
    MARKS,
    SCHEMA_VERSION,
    TEXTS,
    Commit,
    Status,
    is_altered,
    row_checksums,
    text_checksum,
)
from recorders.store.disk import disk_errors
from recorders.store.documents import attributes_of, read_document, write_document, write_group
from recorders.store.files import drop
from recorders.store.lock import exclusive, root_lock
from recorders.store.manifest import mask_checksums
from recorders.store.recording import commits_metadata
from recorders.store.recovery import recover_all
from recorders.store.root import drop_consolidated, leftovers
from recorders.store.stored_names import MASKS
from recorders.store.writer import RecordingWriter
from recorders.upkeep.compaction import is_compact, seal_recording
from recorders.upkeep.verification import Finding, Harm, store_findings


def repair_store(store: Path) -> Iterator[str]:
    """Mark broken runs for a rerun, drop what killed processes left, write manifests for what was read whole.

    Parameters
    ----------
    store : Path
        Folder of the study.

    Yields
    ------
    str
        What was done, one line each.

    Raises
    ------
    InputError
        Another process writes into the store.
    """
    with exclusive(store), disk_errors(store):
        recover_all(store)
        for place in leftovers(store):
            drop(place)
            yield f"{place}: removed"
        findings = list(store_findings(store))
        if any(finding.harm is Harm.GROUP and not finding.recording for finding in findings):
            yield write_root(store)
        for name in dict.fromkeys(finding.recording for finding in findings if finding.recording):
            with exclusive(store, name):
                yield from repair_recording(store, name, [f for f in findings if f.recording == name])


def write_root(store: Path) -> str:
    """Write the store's own metadata anew, which say its schema alone; returns what was done."""
    drop(store / "zarr.json")
    write_group(store, {"burden_schema": SCHEMA_VERSION})
    return f"{store / 'zarr.json'}: written anew"


def repair_recording(store: Path, name: str, findings: Iterable[Finding]) -> Iterator[str]:
    """Repair one recording, whose lock the caller holds."""
    restored = [finding for finding in findings if finding.harm is Harm.RECORDING and _restored(store / name, finding)]
    yield from (f"{finding.place}: written anew" for finding in restored)
    left = [finding for finding in findings if finding not in restored]
    harms = {harm: [finding for finding in left if finding.harm is harm] for harm in Harm}
    if broken := harms[Harm.RECORDING]:
        place = _moved_aside(store, name)
        yield f"{broken[0].place}: {broken[0].what}; what there is of recording {name!r} was moved to {place}"
        return
    for finding in harms[Harm.GROUP]:
        drop(finding.place)
        write_group(finding.place.parent, {}, MASKS)
        yield f"{finding.place}: written anew"
    for finding in harms[Harm.LEFTOVER]:
        drop(finding.place)
        yield f"{finding.place}: removed"
    if broken := harms[Harm.RUNS]:
        yield from _mark_runs(store, name, broken)
    elif harms[Harm.MANIFEST] and is_compact(store, name):
        attributes = attributes_of(store / name)
        with root_lock(store):
            drop_consolidated(store)
            seal_recording(store / name, attributes)
        yield f"{store / name}: manifest written"


def _restored(folder: Path, finding: Finding) -> bool:
    """Write the metadata of an array anew from the consolidated ones of its recording."""
    try:
        known = (read_document(folder).get("consolidated_metadata") or {}).get("metadata") or {}
    except (OSError, ValueError):
        return False
    path = str(finding.place.parent.relative_to(folder))
    if finding.place.name != "zarr.json" or path not in known or is_altered(known[path], path, must_tell=True):
        return False
    drop(finding.place)
    finding.place.parent.mkdir(parents=True, exist_ok=True)
    write_document(finding.place.parent, known[path])
    return True


def _moved_aside(store: Path, name: str) -> Path:
    """Take a recording that cannot be opened out of its store; nothing is deleted."""
    aside = store.with_name(f"{store.name}.damaged")
    place = next(p for k in itertools.count(1) if not (p := aside / f"{name}-{k}").exists())
    with root_lock(store):
        aside.mkdir(exist_ok=True)
        if (store / "zarr.json").exists():
            drop_consolidated(store)
        (store / name).rename(place)
    return place


def _mark_runs(store: Path, name: str, broken: list[Finding]) -> Iterator[str]:
    """Have broken runs failed, so that they are recorded again and nobody counts on them until then."""
    folder, by_row = store / name, {row: finding for finding in reversed(broken) for row in finding.rows}
    if is_compact(store, name):
        _open_again(store, name, [finding.place for finding in broken])
    names = [str(run) for run in np.asarray(zarr.open_array(folder / "run_id", mode="r")[:])]
    for row, finding in sorted(by_row.items()):
        _drop_unreadable_state(folder, row)
        writer = RecordingWriter(store, name, [row])
        writer.set_status(row, Status.FAILED, f"damaged: {finding.place} {finding.what}")
        writer.restate(row, _what_is_left(folder, row))
        yield f"{finding.place}: {finding.what}; run {names[row]} is marked to be recorded again"


def _drop_unreadable_state(folder: Path, row: int) -> None:
    """Remove what is said of a run where it cannot be read: it would be in the way of what is said anew."""
    group = zarr.open_group(folder, mode="r", use_consolidated=False)
    for name in (*TEXTS, *MARKS.values(), COMMITS, "status"):
        if name in group and (array := _array(group, name)).chunks[0] == 1:  # else it is of other runs too
            place = folder.joinpath(name, "c", str(row), *("0" for _ in array.shape[1:]))
            if place.is_dir() or _read(group, name, row) is None:
                drop(place)


def _open_again(store: Path, name: str, lost: list[Path]) -> None:
    """Undo what compaction made final: each run tells again what it committed, as far as it is whole."""
    folder, attributes = store / name, attributes_of(store / name)
    for place in lost:
        drop(place)
    group = zarr.open_group(folder, mode="r+", use_consolidated=False)
    runs = zarr.open_array(folder / "run_id", mode="r").shape[0]
    for _, array in group.create_hierarchy({COMMITS: commits_metadata(runs)}, overwrite=True):
        for row in range(runs):
            array[row] = _what_is_left(folder, row).text()  # type: ignore[index]
    coordinates = str(attributes["coordinates"]).split()
    manifest = {
        path: listed if path in coordinates or _is_label(folder / path) else None
        for path, listed in attributes.get(MANIFEST, {}).items()
    }
    with root_lock(store):
        drop_consolidated(store)
        write_group(folder, {**attributes, "compact": False, MANIFEST: manifest | {COMMITS: None}})


def _is_label(folder: Path) -> bool:
    """Whether an array names the places along its own dimension."""
    return bool(read_document(folder).get("dimension_names") == [folder.name])


def _what_is_left(folder: Path, row: int) -> Commit:
    """Write down anew what can be read of a run, after removing what is not what it committed."""
    group = zarr.open_group(folder, mode="r", use_consolidated=False)
    said = Commit.parsed(str(_read(group, COMMITS, row))) if COMMITS in group else None
    most = said.marks() if said else {}
    marks = {dim: most[dim][1] if dim in most else int(_read(group, mark, row) or 0) for dim, mark in MARKS.items()}
    left = Commit([marks["record"]] * 2, [marks["update"]] * 2)
    for name, document in _series(folder).items():
        if said is None or name in said.rows:
            count = marks[document["dimension_names"][1]]
            block = document["chunk_grid"]["configuration"]["chunk_shape"]
            values = _whole_blocks(group, name, row, count, block, said)
            left.rows[name] = row_checksums(values, block[1])
    masks = [str(path.parent.relative_to(folder)) for path in folder.glob(f"{MASKS}/*/zarr.json")]
    left.masks = mask_checksums(folder, row, masks)
    status = str(_read(group, "status", row))
    if status in list(Status) and Status(status).finished:
        left.ended = status
        left.texts = text_checksum({name: _read(group, name, row) for name in TEXTS if name in group})
    return left


def _whole_blocks(
    group: zarr.Group, name: str, row: int, count: int, shape: Sequence[int], said: Commit | None
) -> npt.NDArray[Any]:
    """Rows of a run; NaN, and removed, where a chunk cannot be read or is not what was committed."""
    array = _array(group, name)
    values = np.full((count, *array.shape[2:]), np.nan, array.dtype)
    for first in range(0, count, shape[1]):
        found = _read(group, name, (row, slice(first, min(count, first + shape[1]))))
        if found is None or (said is not None and next(said.differing(name, found, shape[1], first), None) is not None):
            folder = Path(str(array.store_path).removeprefix("file://"))
            drop(folder / "c" / str(row // shape[0]) / str(first // shape[1]))
        else:
            values[first : first + shape[1]] = found
    return values


def _series(folder: Path) -> dict[str, dict[str, Any]]:
    """Describe the arrays over records and updates."""
    documents = {path.parent.name: read_document(path.parent) for path in folder.glob("*/zarr.json")}
    return {n: d for n, d in documents.items() if d.get("dimension_names", [])[1:2] in (["record"], ["update"])}


def _read(group: zarr.Group, name: str, place: Any) -> Any:
    try:
        return np.asarray(_array(group, name)[place])
    except Exception:
        return None


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    found = group[name]
    assert isinstance(found, zarr.Array)
    return found
