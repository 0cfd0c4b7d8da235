"""Finishes or removes what kills left half done in a store."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from recorders.contract import InputError
from recorders.store.disk import disk_errors
from recorders.store.lock import exclusive, root_lock
from recorders.store.root import drop_consolidated


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
        shutil.rmtree(hidden)
