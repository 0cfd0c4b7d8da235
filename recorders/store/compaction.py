"""Rewrites a finished recording in few large chunks with consolidated metadata.

Streaming wants many small files (one run each), reading wants few: 45 runs x 2 000 records x 21 series open in
0.33 s as streamed and in 0.03 s compacted.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from recorders.contract import Status
from recorders.store.disk import disk_errors
from recorders.store.lock import root_lock
from recorders.store.recording import COMPRESSOR
from recorders.store.root import recording_names
from recorders.store.stored_names import MASKS

_RECORDS_PER_CHUNK = 10_000


def is_compact(store: Path, name: str) -> bool:
    """Whether a recording was compacted already."""
    return bool(zarr.open_group(store / name, mode="r", use_consolidated=False).attrs.get("compact"))


def compact(store: Path, name: str) -> None:
    """Rewrite a recording whose runs have all finished; readers see the old one or the new one, whole.

    Parameters
    ----------
    store : Path
        Folder of the study.
    name : str
        The recording; the caller holds its lock.

    Raises
    ------
    RunError
        No space left; the recording stays as it was.
    """
    final, temporary, old = store / name, store / f".{name}.compact", store / f".{name}.old"
    source = zarr.open_group(final, mode="r", use_consolidated=False)
    statuses = {str(s) for s in np.asarray(_array(source, "status")[:])}
    if not all(Status(s).finished for s in statuses) or is_compact(store, name):
        return
    with disk_errors(final):
        shutil.rmtree(temporary, ignore_errors=True)
        target = zarr.open_group(temporary, mode="w", zarr_format=3)
        used = {
            dim: int(np.asarray(_array(source, name)[:]).max())
            for dim, name in (("record", "records_written"), ("update", "updates_written"))
        }
        for key, array in source.arrays():
            _copy(array, target, key, used)
        shutil.copytree(final / MASKS, temporary / MASKS)  # is in its final chunks
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        target.attrs.update({**source.attrs.asdict(), "compact": True, "finished": finished})
        consolidate_group(target)
        sync(temporary)  # a power loss after the swap must not find empty files
        with root_lock(store):  # whoever looks at all recordings must not come between the renames
            final.rename(old)
            temporary.rename(final)
        shutil.rmtree(old)


def consolidate(store: Path) -> None:
    """Consolidate the metadata of a study when every recording is compact; until then it would go stale."""
    with root_lock(store):
        if all(is_compact(store, name) for name in recording_names(store)):
            with disk_errors(store):
                consolidate_group(zarr.open_group(store, mode="r+", use_consolidated=False))


def consolidate_group(group: zarr.Group) -> None:
    """Write the metadata of all that is in a group into one file."""
    with warnings.catch_warnings():  # version 3 of the format does not specify it yet; xarray and zarr read it
        warnings.filterwarnings("ignore", "Consolidated metadata", zarr.errors.ZarrUserWarning)
        zarr.consolidate_metadata(group.store, path=group.path)


def large_chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Cut an array as it is read best: hardly at all."""
    return tuple(min(n, _RECORDS_PER_CHUNK) for n in shape)


def _group(parent: zarr.Group, name: str) -> zarr.Group:
    child = parent[name]
    assert isinstance(child, zarr.Group)
    return child


def _array(parent: zarr.Group, name: str) -> zarr.Array[Any]:
    child = parent[name]
    assert isinstance(child, zarr.Array)
    return child


def _copy(
    array: zarr.Array[Any],
    target: zarr.Group,
    key: str,
    lengths: dict[str, int],
    chunks: tuple[int, ...] | None = None,
) -> None:
    dims = [str(d) for d in array.metadata.dimension_names or ()]  # type: ignore[union-attr]
    shape = tuple(min(n, lengths.get(d, n)) for d, n in zip(dims, array.shape, strict=True))
    if 0 in shape:
        return
    copy = target.create_array(
        key,
        shape=shape,
        dtype=array.dtype,
        chunks=chunks or large_chunks(shape),
        dimension_names=dims,
        fill_value=array.fill_value,
        compressors=COMPRESSOR,
        attributes=array.attrs.asdict(),
    )
    rows = shape[0] if chunks is None else 1  # masks: one run at a time, they may not fit in memory together
    for start in range(0, shape[0], rows):
        part = (slice(start, start + rows), *(slice(n) for n in shape[1:]))
        copy[part] = array[part]


def sync(folder: Path) -> None:
    """Have a folder and all that is in it on the disk."""
    for path in _tree(folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _tree(folder: Path) -> Iterator[Path]:
    for root, _, files in os.walk(folder):
        yield Path(root)
        yield from (Path(root) / f for f in files)
