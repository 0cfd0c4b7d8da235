"""Files of MNIST's format: a header that says the shape, then bytes."""

from __future__ import annotations

import hashlib
import struct
from math import prod
from pathlib import Path

import numpy as np
import torch

_BYTES = b"\0\0\x08"
# Of the files torchvision unpacks, by their length; what is as long claims to be one of them.
_PUBLISHED = {
    "MNIST": {
        "train-images-idx3-ubyte": (47040016, "6bbc9ace898e44ae57da46a324031adb"),
        "train-labels-idx1-ubyte": (60008, "a25bea736e30d166cdddb491f175f624"),
        "t10k-images-idx3-ubyte": (7840016, "2646ac647ad5339dbf082846283269ea"),
        "t10k-labels-idx1-ubyte": (10008, "27ae3e4e09519cfbb04c329615203637"),
    }
}


def idx_problem(path: Path, kind: str, dims: int) -> str:
    """Say what is wrong with a file.

    Parameters
    ----------
    path : Path
        A regular file.
    kind : str
        Name of the data set.
    dims : int
        How many dimensions it must have.

    Returns
    -------
    str
        What the file is, empty where nothing is wrong.
    """
    shape = _shape(path)
    if shape is None:  # torchvision checks only that it exists
        return "is truncated or corrupted"
    if len(shape) != dims:
        return f"holds {len(shape)}-dimensional data, not {dims}-dimensional"
    if not prod(shape):
        return f"holds nothing: its shape is {shape}"
    _, md5 = _PUBLISHED.get(kind, {}).get(path.name, (0, ""))
    if md5 and not is_own(path, kind) and hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != md5:
        return f"is as long as the published file, but differs from it (MD5 is not {md5}), so it is corrupted"
    return ""


def is_own(path: Path, kind: str) -> bool:
    """Whether a file cannot be meant to be the published one: that one has another length."""
    length, _ = _PUBLISHED.get(kind, {}).get(path.name, (path.stat().st_size, ""))
    return path.stat().st_size != length


def idx_tensor(path: Path) -> torch.Tensor:
    """Read a file that `idx_problem` found nothing wrong with, as uint8."""
    shape = _shape(path)
    assert shape is not None
    return torch.from_numpy(np.fromfile(path, np.uint8, offset=4 + 4 * len(shape)).reshape(shape))


def _shape(path: Path) -> tuple[int, ...] | None:
    """Read the shape; none where the file's length is not what its header announces."""
    with path.open("rb") as file:
        header = file.read(4)
        if len(header) < 4 or header[:3] != _BYTES:
            return None
        dims = file.read(4 * header[3])
    shape = struct.unpack(f">{len(dims) // 4}I", dims[: len(dims) // 4 * 4])
    intact = len(shape) == header[3] and path.stat().st_size == 4 + len(dims) + prod(shape)
    return shape if intact else None
