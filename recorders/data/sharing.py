"""Memory that worker processes share: the system's, or a file where that is too small (64 MB in a container)."""

from __future__ import annotations

import mmap
import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recorders.contract import RunError

_SHARED_MEMORY = Path("/dev/shm")
_ALIGNED = 64  # bytes; a view of another type must begin at a multiple of its size


@dataclass(frozen=True)
class SharedFile:
    """Tensors in a file that has no name any more: nothing is left of it, however its processes end.

    Attributes
    ----------
    descriptor : int
        Of the file; goes to the worker processes.
    layout : tuple of (offset, shape, dtype)
        Of each tensor.
    """

    descriptor: int
    layout: tuple[tuple[int, tuple[int, ...], torch.dtype], ...]

    def tensors(self) -> list[torch.Tensor]:
        """Map the file: tensors that read from it, and write into it."""
        mapped = mmap.mmap(self.descriptor, 0)
        return [
            torch.frombuffer(mapped, dtype=dtype, count=torch.Size(shape).numel(), offset=offset).view(shape)
            for offset, shape, dtype in self.layout
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self.descriptor), self.layout)

    def __del__(self) -> None:
        os.close(self.descriptor)


def _received(descriptor: Any, layout: Any) -> SharedFile:
    return SharedFile(descriptor.detach(), layout)


def share_memory(name: str, tensors: Sequence[torch.Tensor]) -> SharedFile | None:
    """Move tensors into shared memory, or copy them into a file where there is no room for them.

    Parameters
    ----------
    name : str
        What messages call them.
    tensors : sequence of Tensor
        On a CPU; moved in place.

    Returns
    -------
    SharedFile or None
        The file; none where the tensors are in shared memory now.

    Raises
    ------
    RunError
        There is no room in either place.
    """
    size = sum(tensor.nbytes for tensor in tensors)
    if _has_room(size):
        try:
            for tensor in tensors:
                tensor.share_memory_()
        except (RuntimeError, OSError):  # somebody else took the room meanwhile
            pass
        else:
            return None
    what = f"{_SHARED_MEMORY} has no room for {name} ({size / 1e6:.1f} MB)"
    try:
        shared = _written(tensors)
    except OSError as error:
        raise RunError(
            f"{what}, nor has the folder of temporary files ({error.strerror or error}): "
            "free some, set TMPDIR to a folder with room, or pass --stacked yes"
        ) from error
    warnings.warn(f"{what}: worker processes read it from a file in {tempfile.gettempdir()}", stacklevel=2)
    return shared


def _has_room(size: int) -> bool:
    """Whether the system's shared memory has room; where it cannot be looked at, trying tells."""
    try:
        there = os.statvfs(_SHARED_MEMORY)
    except (OSError, AttributeError):
        return True
    return size <= there.f_bavail * there.f_frsize


def _written(tensors: Sequence[torch.Tensor]) -> SharedFile:
    layout = []
    with tempfile.TemporaryFile() as file:
        for tensor in tensors:
            file.write(bytes(-file.tell() % _ALIGNED))
            layout.append((file.tell(), tuple(tensor.shape), tensor.dtype))
            file.write(tensor.contiguous().numpy().reshape(-1).view(np.uint8).data)
        file.flush()
        return SharedFile(os.dup(file.fileno()), tuple(layout))
