"""Loads a data set by name, or an image folder by path."""

from __future__ import annotations

from pathlib import Path

from recorders.contract import unknown_name
from recorders.data.dataset import DataSet
from recorders.data.digits import digits
from recorders.data.folder import image_folder
from recorders.data.vision import LOADERS, vision

NAMES = ("digits", *LOADERS)


def load(name: str, root: Path | None = None, *, offline: bool = False) -> DataSet:
    """Load a data set as decoded uint8 images.

    Parameters
    ----------
    name : str
        One of `NAMES`, or the path of a folder with ``train/<class>/`` and ``test/<class>/``.
    root : Path, optional
        Where torchvision's data sets lie or are downloaded to. ``digits`` and folders need none.
    offline : bool
        Never download.

    Returns
    -------
    DataSet

    Raises
    ------
    InputError
        The name is unknown, no root was given, or a file is missing, truncated or corrupted (named).
    """
    if name == "digits":
        return digits()
    if name in LOADERS:
        return vision(name, root, offline=offline)
    if Path(name).is_dir():
        return image_folder(Path(name))
    raise unknown_name("data set", name, [*NAMES, "the path of an image folder"])
