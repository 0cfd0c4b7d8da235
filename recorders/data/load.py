"""Loads a data set by name, or an image folder by path."""

from __future__ import annotations

import os
from pathlib import Path

from recorders.contract import unknown_name
from recorders.data.checking import check_informative
from recorders.data.dataset import DataSet
from recorders.data.digits import digits
from recorders.data.folder import image_folder
from recorders.data.vision import LOADERS, vision

NAMES = ("digits", *LOADERS)


def load(name: str, root: Path | None = None, *, offline: bool = False) -> DataSet:
    """Load a data set as decoded uint8 images."""
    found = _found(name, root, offline)
    check_informative(found.name, found.train_images, found.train_labels)
    return found


def _found(name: str, root: Path | None, offline: bool) -> DataSet:
    if name == "digits":
        return digits()
    if name in LOADERS:
        return vision(name, root, offline=offline)
    if os.path.isdir(name):  # noqa: PTH112  false where a name can be no path
        return image_folder(Path(name))
    raise unknown_name("data set", name, [*NAMES, "the path of an image folder"])
