"""One writing process per recording, enforced by the operating system: a killed process leaves no lock behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from recorders.contract import InputError
from recorders.store.disk import disk_errors


@contextmanager
def exclusive(store: Path, name: str | None = None) -> Iterator[None]:
    """Hold the right to write one recording."""
    what = f"recording {name!r} of {store}" if name else str(store)
    part = f"recording.{name}" if name else "study"  # a recording may be called "study"
    with _held(store, part, what, wait=False):
        yield


@contextmanager
def root_lock(store: Path) -> Iterator[None]:
    """Hold the store's list of recordings for a moment; waits for whoever holds it."""
    with _held(store, "root", str(store), wait=True):
        yield


@contextmanager
def _held(store: Path, part: str, what: str, *, wait: bool) -> Iterator[None]:
    # Beside the store, hidden: a foreign file inside a zarr group makes its readers warn.
    whole = store.absolute()  # "." has no name of its own
    path = whole.with_name(f".{whole.name}.{part}.lock")
    lock = FileLock(path, blocking=wait)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout as error:
            raise InputError(
                f"{what} is being written by another process: wait for it, or choose another store"
            ) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while held: filelock sees that whoever waited holds a file without a name
        lock.release()
