"""Unpacks chunks of stores that strangers may have made: nothing is allocated that the metadata do not account for."""

from __future__ import annotations

import os
from functools import cache

from numcodecs.zstd import Zstd

from recorders.contract import InputError

_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD = Zstd()
_LONGEST_TEXT = 2**26  # bytes of a chunk of texts


def check_size(size: int, what: str) -> None:
    """Refuse to read more bytes at once than this machine has memory."""
    if size > (most := _memory()):
        raise InputError(
            f"{what} takes {size / 1e9:.3g} GB, this machine has {most / 1e9:.3g}: open other variables, or pass "
            "chunks={} to open_study"
        )


def unpacked(content: bytes, size: int | None) -> bytes:
    """Decode zstd.

    Parameters
    ----------
    content : bytes
        As stored.
    size : int, optional
        Bytes that must come out; texts may be of any length up to 64 MiB.

    Raises
    ------
    ValueError
        More or less would come out, or it is no zstd.
    """
    says = _frame_size(content)
    if says is None:
        raise ValueError("it is not packed with zstd")
    if says > _LONGEST_TEXT if size is None else says != size:
        raise ValueError(f"it holds {says} bytes, not {'at most 64 MiB' if size is None else size}")
    found: bytes = _ZSTD.decode(content)
    return found


def _frame_size(content: bytes) -> int | None:
    """Read how many bytes a zstd frame holds (RFC 8878, section 3.1.1.1); None where it does not say."""
    if content[:4] != _MAGIC or len(content) < 5:
        return None
    descriptor = content[4]
    single, wide = descriptor >> 5 & 1, descriptor >> 6
    length = (single, 2, 4, 8)[wide]
    start = 5 + (0 if single else 1) + (0, 1, 2, 4)[descriptor & 3]
    if not length or len(content) < start + length:
        return None
    return int.from_bytes(content[start : start + length], "little") + (256 if length == 2 else 0)


@cache
def _memory() -> int:
    """Memory of this machine in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**40
