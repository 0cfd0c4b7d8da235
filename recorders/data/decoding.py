"""One image file as 8-bit RGB pixels: what would lose depth, transparency or frames is named instead."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from recorders.contract import InputError

_TRANSPARENT = ("RGBA", "RGBa", "LA", "La", "PA")


def decode_image(path: Path, size: tuple[int, int] | None = None) -> torch.Tensor:
    """Decode an image.

    Parameters
    ----------
    path : Path
        A regular file, or a link to one.
    size : tuple of int, optional
        Width and height it must have; compared before anything is decoded.

    Returns
    -------
    Tensor of uint8, shape (3, height, width)

    Raises
    ------
    InputError
        No regular file, no image, a damaged one, one of another or of an immense size, of more than 8 bits a channel,
        with transparent pixels, or of several frames.
    """
    from PIL import Image
    from torchvision.transforms.functional import pil_to_tensor  # 1 s to import

    if not path.is_file():
        kind = "a directory" if path.is_dir() else "no regular file" if path.exists() else "a link to nothing"
        raise InputError(f"cannot read image {path} ({kind}): replace or remove it")
    try:
        with Image.open(path) as image:
            _check(image, path, size, Image.MAX_IMAGE_PIXELS)
            pixels: torch.Tensor = pil_to_tensor(_rgb(image, path))
    except InputError:
        raise
    except Exception as error:  # Pillow raises many kinds for damaged files, and DecompressionBombError
        cause = "it is empty" if not path.stat().st_size else " ".join(re.sub(r"<.*>", "", str(error)).split())
        raise InputError(f"cannot read image {path} ({cause or type(error).__name__}): replace or remove it") from error
    return pixels


def _check(image: Any, path: Path, size: tuple[int, int] | None, most: int | None) -> None:
    """Look at what the header says."""
    if size is not None and image.size != size:
        own, before = ("x".join(map(str, shape)) for shape in (image.size, size))
        raise InputError(f"{path} is {own}, the images before it {before}: resize them first")
    if most is not None and image.width * image.height > most:
        raise InputError(f"{path} is {image.width}x{image.height}, more than {most} pixels: resize it first")
    if image.mode == "F":
        raise InputError(f"{path} holds floating-point pixels, images are kept with 8 bits a channel: convert it first")
    if _is_deep(image):
        raise InputError(f"{path} holds more than 8 bits a channel, which would be lost: convert it to 8 bits first")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # what telephones put behind a photograph is no frame of it
        raise InputError(f"{path} holds {frames} images: save each as a file of its own")


def _is_deep(image: Any) -> bool:
    """Whether a channel has more than 8 bits; Pillow opens several such kinds as RGB and drops the lower bits."""
    raw = str([tile[3] for tile in image.tile])
    maximum = re.findall(r"\d+", raw) if image.format == "PPM" else []
    return image.mode.startswith("I") or bool(re.search(r";(12|16|32)", raw)) or any(int(n) > 255 for n in maximum)


def _rgb(image: Any, path: Path) -> Any:
    if image.mode not in _TRANSPARENT and "transparency" not in image.info:
        return image.convert("RGB")
    full = image.convert("RGBA")
    if full.getchannel("A").getextrema()[0] < 255:
        raise InputError(f"{path} has transparent pixels, which would be lost: lay it over a background first")
    return full.convert("RGB")
