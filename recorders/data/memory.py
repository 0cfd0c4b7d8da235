"""How much memory there is, asked before much is taken: the system may promise more than it has."""

from __future__ import annotations

import os

from recorders.contract import InputError

_UNKNOWN = 1 << 62


def check_memory(what: str, size: int, advice: str) -> None:
    """Refuse what this machine cannot hold.

    Parameters
    ----------
    what : str
        What needs the memory, plural.
    size : int
        Bytes.
    advice : str
        What to do.

    Raises
    ------
    InputError
        There is less memory.
    """
    there = _machine_memory()
    if size > there:
        raise InputError(f"{what} take {size / 1e9:.3g} GB, this machine has {there / 1e9:.3g}: {advice}")


def _machine_memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return _UNKNOWN
