"""One writing process per recording, enforced by the operating system: a killed process leaves no lock behind.

The locks of a store lie beside the place where it really is: a store that has two names has one lock.
"""

from __future__ import annotations

import os
import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from recorders.contract import InputError
from recorders.store.disk import disk_errors

_UNLOCKED: Counter[Path] = Counter()  # stores of this process that are written without locks, as was asked


def real_place(store: str | os.PathLike[str]) -> Path:
    """Follow links: where a store is, or will be."""
    return Path(os.path.realpath(store))


@contextmanager
def exclusive(store: Path, name: str | None = None, *, lock: bool = True) -> Iterator[None]:
    """Hold the right to write a store, or one recording of it.

    Parameters
    ----------
    store : Path
        Folder of the study.
    name : str, optional
        The recording.
    lock : bool
        False where the file system has no locks: then nothing of the store is locked by this process meanwhile.

    Raises
    ------
    InputError
        Another process holds it; or the file system has no locks.
    """
    if not lock:
        with _unlocked(store):
            yield
        return
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
def _unlocked(store: Path) -> Iterator[None]:
    real = real_place(store)
    _UNLOCKED[real] += 1
    try:
        yield
    finally:
        _UNLOCKED[real] -= 1


@contextmanager
def _held(store: Path, part: str, what: str, *, wait: bool) -> Iterator[None]:
    real = real_place(store)
    if _UNLOCKED[real] > 0:
        yield
        return
    # Beside the store, hidden: a foreign file inside a zarr group makes its readers warn.
    path = real.parent / f".{real.name}.{part}.lock"
    lock = FileLock(path, blocking=wait, fallback_to_soft=False)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout as error:
            raise InputError(
                f"{what} is being written by {_holder(path)}: wait for it, or choose another store"
            ) from error
        except OSError as error:
            _check_locks(path, what, error)
            raise
    mine = _note_holder(path)
    try:
        yield
    finally:
        if mine[0] == os.getpid():  # a forked child leaves it to its parent
            if _identity(path) == mine:
                path.unlink(missing_ok=True)  # while held: filelock sees that whoever waited holds a nameless file
            lock.release()


def _identity(path: Path) -> tuple[int, int, int]:
    """Tell this process and the file under a name: it may have been deleted by hand, and made anew by another."""
    with suppress(OSError):
        about = path.stat()
        return os.getpid(), about.st_dev, about.st_ino
    return os.getpid(), 0, 0


def _note_holder(path: Path) -> tuple[int, int, int]:
    with suppress(OSError):  # a full disk shows where it matters
        path.write_text(f"{os.getpid()} {socket.gethostname()}\n", encoding="utf-8")
    return _identity(path)


def _holder(path: Path) -> str:
    """Name who holds a lock, as far as the file tells."""
    with suppress(OSError, ValueError):
        found = re.fullmatch(r"(\d+) (\S+)", path.read_text(encoding="utf-8").strip())
        if found:
            return f"process {found[1]} on host {found[2]}"
    return "another process"


def _check_locks(path: Path, what: str, error: OSError) -> None:
    """Say what to do where a file can be written, but not locked."""
    with suppress(OSError):
        path.open("a").close()
        if not path.stat().st_size:  # nobody's
            path.unlink()
        reason = error.strerror or str(error)
        raise InputError(
            f"{what} cannot be locked, its file system has no file locks ({reason}): make sure that no other process "
            "writes into it, then pass --no-lock (in Python lock=False), or choose another place"
        ) from error
