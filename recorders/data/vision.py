"""torchvision's data sets, read from a data root; a missing, truncated or corrupted file is named."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from recorders.contract import InputError
from recorders.data.dataset import DataSet
from recorders.data.idx_files import idx_problem, idx_tensor, is_own

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
    if problem:
        _download(name, kind, root, problem)
    if issubclass(kind, datasets.MNIST):
        return _of_idx_files(name, kind, root)
    try:
        train, test = (kind(str(root), train=flag) for flag in (True, False))
    except Exception as error:  # torchvision raises many kinds
        raise InputError(f"cannot read {name} in {root} ({' '.join(str(error).split())})") from error
    return DataSet(name, *_images(train), *_images(test), classes=len(train.classes))


class _Problem(NamedTuple):
    path: Path
    what: str
    damaged: bool = True

    def __str__(self) -> str:
        return f"{self.path} {self.what}"


def _problem(kind: Any, root: Path) -> _Problem | None:
    """Find the first file of a data set that is missing or damaged."""
    for path, problem_of in _checks(kind, root):
        try:
            if not path.is_file():
                there = path.exists() or path.is_symlink()
                return _Problem(path, "is no regular file" if there else "is missing", damaged=there)
            if what := problem_of(path):
                return _Problem(path, what)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
    return None


def _checks(kind: Any, root: Path) -> list[tuple[Path, Any]]:
    """List every file with what finds its problem."""
    from torchvision.datasets import MNIST

    if issubclass(kind, MNIST):
        dims = {path: 3 if "images" in path.name else 1 for path in _idx_paths(kind, root)}
        return [(path, partial(idx_problem, kind=kind.__name__, dims=n)) for path, n in dims.items()]
    folder = root / kind.base_folder
    files = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
    return [(folder / file, partial(_md5_problem, md5=md5)) for file, md5 in files]


def _md5_problem(path: Path, md5: str) -> str:
    from torchvision.datasets.utils import check_integrity

    return "" if check_integrity(path, md5=md5) else "is truncated or corrupted"


def _download(name: str, kind: Any, root: Path, problem: _Problem) -> None:
    folders = [root / kind.__name__ / "raw", root / kind.__name__, root]
    new = [folder for folder in folders if not folder.exists()]
    try:
        kind(str(root), download=True)
    except Exception as error:  # torchvision and urllib raise many kinds
        for folder in new:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        cause = " ".join(str(error).split())
        raise InputError(
            f"{problem} and it could not be downloaded ({cause}); give a --data-root that holds {name}"
        ) from error
    if left := _problem(kind, root):
        raise InputError(f"{left} after it was downloaded; delete it and try again")


def _idx_paths(kind: Any, root: Path) -> list[Path]:
    """List training images and labels, test images and labels."""
    return [root / kind.__name__ / "raw" / Path(url).stem for url, _ in kind.resources]


def _of_idx_files(name: str, kind: Any, root: Path) -> DataSet:
    paths = _idx_paths(kind, root)
    train_images, train_labels, test_images, test_labels = map(idx_tensor, paths)
    try:
        data = DataSet(
            *(name, train_images.unsqueeze(1), train_labels.long()),
            *(test_images.unsqueeze(1), test_labels.long()),
            classes=len(kind.classes),
        )
    except InputError as error:
        raise InputError(f"{error} ({paths[0].parent})") from None
    if any(is_own(path, kind.__name__) for path in paths):
        counts = f"{len(data.train_labels)} training and {len(data.test_labels)} test images"
        where = f"{paths[0].parent} does not hold the published {name}"
        warnings.warn(f"{where}: its {counts} are taken as a set of your own", stacklevel=2)
    return data


def _images(part: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.as_tensor(part.data).permute(0, 3, 1, 2).contiguous(), torch.as_tensor(part.targets)
