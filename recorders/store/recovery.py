"""Finishes or removes what kills left half done in a store."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from numcodecs.zstd import Zstd

from recorders.contract import InputError
from recorders.store.disk import disk_errors
from recorders.store.documents import read_document
from recorders.store.lock import exclusive, root_lock
from recorders.store.manifest import leaves
from recorders.store.root import drop_consolidated
from recorders.store.stored_names import MASKS


def recover(store: Path, name: str) -> None:
    """Finish what a kill interrupted in one recording; the caller holds its lock.

    A swap (the old recording was moved away, the new one perhaps not yet moved in) is completed, a removal too.
    """
    old, new = store / f".{name}.old", store / f".{name}.compact"
    if old.exists():
        if not (store / name).exists():
            new.rename(store / name)
        shutil.rmtree(old)
    shutil.rmtree(store / f".{name}.removed", ignore_errors=True)


def recover_all(store: Path) -> None:
    """Finish what kills interrupted in a store, but for recordings that another process is writing."""
    for hidden in (*store.glob(".*.old"), *store.glob(".*.removed")):
        name = hidden.stem.removeprefix(".")
        with suppress(InputError), exclusive(store, name):
            recover(store, name)


def remove(store: Path, name: str) -> None:
    """Remove a recording; a kill leaves either all of it or none to see. The caller holds its lock."""
    hidden = store / f".{name}.removed"
    with disk_errors(store / name):
        shutil.rmtree(hidden, ignore_errors=True)
        with root_lock(store):
            drop_consolidated(store)
            (store / name).rename(hidden)
            shutil.rmtree(hidden)  # else whoever consolidates the store's metadata meets it


def clear_rows(recording: Path, rows: slice, *, but_readable: bool = False) -> None:
    """Remove what runs wrote before, or what of it cannot be read: a chunk that a power cut emptied is in their way."""
    for folder in (*recording.glob("*/c"), *recording.glob(f"{MASKS}/*/c")):
        document = read_document(folder.parent)
        if document["dimension_names"][1:2] not in (["record"], ["update"]) and folder.parent.parent.name != MASKS:
            continue
        size = document["chunk_grid"]["configuration"]["chunk_shape"][0]
        for first in range(rows.start // size, -(-rows.stop // size)):
            whole = (
                not but_readable
                and rows.start <= first * size
                and min((first + 1) * size, document["shape"][0]) <= rows.stop
            )
            _clear_chunks(folder / str(first), all_of_it=whole)


def _clear_chunks(place: Path, *, all_of_it: bool) -> None:
    """Remove chunks, or those that cannot be read, where they hold other runs too."""
    for path in list(leaves(place)) if place.exists() else ():
        if all_of_it or not _is_readable(path):
            path.unlink()


def _is_readable(chunk: Path) -> bool:
    try:
        Zstd().decode(chunk.read_bytes())
    except RuntimeError:
        return False
    return True
