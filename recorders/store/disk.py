"""Errors of a disk that is full or may not be written to, as one line that names the place."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recorders.contract import InputError, RunError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_WRONG_PLACE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG),
)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's errors about a place into one line that names it."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            raise RunError(
                f"no space left for {path}: free some and rerun the same command, what was committed is kept"
            ) from error
        if error.errno in _WRONG_PLACE:
            raise InputError(f"cannot write to {path}: {reason}; choose another place") from error
        raise RunError(f"cannot write to {path}: {reason}") from error
