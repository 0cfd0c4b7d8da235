"""torchvision's data sets, read from a data root; a missing, truncated or corrupted file is named."""

from __future__ import annotations

import struct
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import torch

from recorders.contract import InputError
from recorders.data.dataset import DataSet

# Class in torchvision.datasets, by our name.
LOADERS = {
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
}


def vision(name: str, root: Path | None, *, offline: bool) -> DataSet:
    """Load one of torchvision's data sets."""
    if root is None:
        raise InputError(f"data set {name!r} needs a data root: give --data-root DIR or set BURDEN_DATA")
    from torchvision import datasets  # 1 s to import

    kind = getattr(datasets, LOADERS[name])
    problem = _problem(kind, root)
    if problem and (offline or problem.damaged):
        how = "delete it and drop --offline to download it" if problem.damaged else "drop --offline to download it"
        raise InputError(f"{problem}; {how}, or give a --data-root that holds {name}")
    try:
        train, test = (kind(str(root), train=flag, download=problem is not None) for flag in (True, False))
    except Exception as error:  # torchvision and urllib raise many kinds
        cause = " ".join(str(error).split())
        raise InputError(
            f"{problem or 'cannot read ' + name} and it could not be downloaded ({cause}); "
            f"give a --data-root that holds {name}"
        ) from error
    return DataSet(name, *_images(train), *_images(test), classes=len(train.classes))


class _Problem(NamedTuple):
    path: Path
    damaged: bool

    def __str__(self) -> str:
        return f"{self.path} is {'truncated or corrupted' if self.damaged else 'missing'}"


def _problem(kind: Any, root: Path) -> _Problem | None:
    """Find the first file of a data set that is missing or damaged."""
    from torchvision.datasets import MNIST
    from torchvision.datasets.utils import check_integrity

    if issubclass(kind, MNIST):
        folder = root / kind.__name__ / "raw"
        checks = [(folder / Path(url).stem, _is_idx) for url, _ in kind.resources]
    else:
        folder = root / kind.base_folder
        checks = [
            (folder / file, partial(check_integrity, md5=md5)) for file, md5 in (*kind.train_list, *kind.test_list)
        ]
    for path, intact in checks:
        if not path.is_file():
            return _Problem(path, damaged=False)
        if not intact(path):
            return _Problem(path, damaged=True)
    return None


def _is_idx(path: Path) -> bool:
    """Whether a file's length is what its IDX header announces (torchvision checks only that it exists)."""
    with path.open("rb") as file:
        header = file.read(4)
        if len(header) < 4 or header[:3] != b"\0\0\x08":
            return False
        dims = file.read(4 * header[3])
    shape = struct.unpack(f">{len(dims) // 4}I", dims[: len(dims) // 4 * 4])
    return len(shape) == header[3] and path.stat().st_size == 4 + len(dims) + prod(shape)


def _images(part: Any) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.as_tensor(part.data)
    images = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)
    return images.contiguous(), torch.as_tensor(part.targets)
