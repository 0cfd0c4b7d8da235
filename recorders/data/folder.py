"""An image folder: ``train/<class>/`` and ``test/<class>/``."""

from __future__ import annotations

from pathlib import Path

import torch

from recorders.contract import InputError
from recorders.data.dataset import DataSet


def image_folder(folder: Path) -> DataSet:
    """Decode every image of a folder."""
    parts = {}
    for part in ("train", "test"):
        if not (folder / part).is_dir():
            raise InputError(f"image folder {folder} has no {part}/: it needs train/<class>/ and test/<class>/")
        parts[part] = _decode(folder / part)
    (train_images, train_labels, classes), (test_images, test_labels, test_classes) = parts["train"], parts["test"]
    if classes != test_classes:
        differing = sorted(set(classes) ^ set(test_classes))
        raise InputError(f"train/ and test/ of {folder} hold different classes: {', '.join(differing)}")
    if train_images.shape[1:] != test_images.shape[1:]:
        raise InputError(f"train/ and test/ of {folder} hold images of different sizes: resize them first")
    return DataSet(str(folder), train_images, train_labels, test_images, test_labels, len(classes))


def _decode(part: Path) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    from torchvision.datasets import ImageFolder  # 1 s to import
    from torchvision.transforms.functional import pil_to_tensor

    try:
        listing = ImageFolder(str(part))
    except FileNotFoundError as error:
        raise InputError(f"no images in {part}: {' '.join(str(error).split())}") from error
    images = torch.empty(0, dtype=torch.uint8)
    for i, (path, _) in enumerate(listing.samples):
        try:
            image = pil_to_tensor(listing.loader(path))
        except (OSError, SyntaxError) as error:  # Pillow raises SyntaxError for broken PNG chunks
            raise InputError(f"cannot read image {path} ({error}): replace or remove it") from error
        if i == 0:
            images = torch.empty((len(listing.samples), *image.shape), dtype=torch.uint8)
        if image.shape != images.shape[1:]:
            raise InputError(
                f"{path} is {_size(image.shape)}, the images before it {_size(images.shape[1:])}: resize them first"
            )
        images[i] = image
    return images, torch.tensor(listing.targets), listing.classes


def _size(shape: torch.Size) -> str:
    return f"{shape[2]}x{shape[1]}"
