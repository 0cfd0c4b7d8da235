"""An image folder: ``train/<class>/`` and ``test/<class>/``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

from recorders.contract import InputError
from recorders.data.dataset import DataSet
from recorders.data.decoding import decode_image
from recorders.data.memory import check_memory

_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif")
_OF_DESKTOPS = ("thumbs.db", "desktop.ini")


def image_folder(folder: Path) -> DataSet:
    """Decode every image of a folder."""
    listed = {}
    for part in ("train", "test"):
        if not (folder / part).is_dir():
            raise InputError(f"image folder {folder} has no {part}/: it needs train/<class>/ and test/<class>/")
        try:
            listed[part] = _listing(folder / part)
        except OSError as error:
            raise InputError(f"cannot read {error.filename}: {error.strerror}") from error
    classes, there = sorted(listed["train"]), sorted(listed["test"])
    if classes != there:
        differing = sorted(set(classes) ^ set(there))
        raise InputError(f"train/ and test/ of {folder} hold different classes: {', '.join(differing)}")
    (train_images, train_labels), (test_images, test_labels) = (_decode(listed[part]) for part in ("train", "test"))
    return DataSet(str(folder), train_images, train_labels, test_images, test_labels, len(classes))


def _listing(part: Path) -> dict[str, list[Path]]:
    """List the images of each class, in the order of names."""
    entries = sorted(part.iterdir())
    classes = [entry for entry in entries if entry.is_dir()]
    if stray := [entry for entry in entries if entry not in classes and _is_image(entry)]:
        raise InputError(f"{stray[0]} lies beside the folders of the classes: move it into one of them")
    if not classes:
        raise InputError(f"no images in {part}: it needs a folder of images for each class")
    found, others = {}, []
    for folder in classes:
        files = [path for _, inside in sorted(_folders(folder)) for path in inside]
        found[folder.name] = [path for path in files if _is_image(path)]
        others += [path for path in files if not _is_image(path)]
        if not found[folder.name]:
            raise InputError(f"no images in {folder}: it needs files that end in {', '.join(_SUFFIXES)}")
    if told := [path for path in others if not path.name.startswith(".") and path.name.lower() not in _OF_DESKTOPS]:
        more = f" and {len(told) - 1} more" if told[1:] else ""
        warnings.warn(f"{told[0]}{more} left out: no image that ends in {', '.join(_SUFFIXES)}", stacklevel=2)
    return found


def _folders(folder: Path, around: frozenset[Path] = frozenset()) -> Iterator[tuple[str, list[Path]]]:
    """Find a folder and those in it, each with what else is in it; links are followed, unless they lead back."""
    real = folder.resolve()
    if real in around:
        raise InputError(f"{folder} is a link to a folder that holds it: remove it")
    entries = sorted(folder.iterdir())
    folders = [entry for entry in entries if entry.is_dir() and not _is_image(entry)]
    yield str(folder), [entry for entry in entries if entry not in folders]
    for entry in folders:
        yield from _folders(entry, around | {real})


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES


def _decode(listed: dict[str, list[Path]]) -> tuple[torch.Tensor, torch.Tensor]:
    samples = [(path, label) for label, name in enumerate(sorted(listed)) for path in listed[name]]
    with warnings.catch_warnings():  # of what files say beside their pixels
        warnings.simplefilter("ignore")
        first = decode_image(samples[0][0])
        images = _room_for(len(samples), first, samples[0][0])
        images[0] = first
        for i, (path, _) in enumerate(samples[1:], start=1):
            images[i] = decode_image(path, (first.shape[2], first.shape[1]))
    return images, torch.tensor([label for _, label in samples])


def _room_for(count: int, first: torch.Tensor, path: Path) -> torch.Tensor:
    """Take the memory for all images, after looking whether there is as much."""
    what = f"{count} images of {first.shape[2]}x{first.shape[1]}, as {path} is,"
    check_memory(what, count * first.numel(), "resize them first")
    return torch.empty((count, *first.shape), dtype=torch.uint8)
