"""One writing process per recording, enforced by the operating system: a killed process leaves no lock behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from recorders.contract import InputError
from recorders.store import disk_errors


@contextmanager
def exclusive(store: Path, name: str) -> Iterator[None]:
    """Hold the right to write one recording.

    Parameters
    ----------
    store : Path
        Folder of the study.
    name : str
        The recording, or ``"*"`` for the plan of a whole study.

    Raises
    ------
    InputError
        Another process is writing it.
    """
    store.parent.mkdir(parents=True, exist_ok=True)
    # Beside the store, hidden: a foreign file inside a zarr group makes its readers warn.
    path = store.with_name(f".{store.name}.{'study' if name == '*' else name}.lock")
    lock = FileLock(path, blocking=False)
    try:
        with disk_errors(path):
            lock.acquire()
    except Timeout as error:
        what = store if name == "*" else f"recording {name!r} of {store}"
        raise InputError(f"{what} is being written by another process: wait for it, or choose another store") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while held: whoever waited on this file finds it gone and makes its own
        lock.release()
