"""Errors of a disk that is full or may not be written to, as one line that names the place."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recorders.contract import InputError, RunError


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the errors of a full or read-only disk into one line that names the place.

    Raises
    ------
    RunError
        No space left, or the quota is exceeded.
    InputError
        The place cannot be written to.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(
                f"no space left for {path}: free some and rerun the same command, what was committed is kept"
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise InputError(f"cannot write to {path}: {error.strerror}; choose another place") from error
        raise
