"""What is in image files: read as it is, or named."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from recorders.contract import InputError
from recorders.data import load
from recorders.data.decoding import decode_image

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def kept(path: Path, image: Image.Image, **how: object) -> Path:
    image.save(path, **how)  # type: ignore[arg-type]
    return path


def opaque(alpha: int) -> Image.Image:
    return Image.fromarray(np.dstack([GREY, GREY, GREY, np.full_like(GREY, alpha)]), "RGBA")


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
def test_images_of_eight_bits_are_read_as_they_are(tmp_path: Path) -> None:
    grey = Image.fromarray(GREY)
    same = [
        kept(tmp_path / "a.png", grey),
        kept(tmp_path / "b.png", grey.convert("RGB")),
        kept(tmp_path / "c.png", grey.convert("P")),
        kept(tmp_path / "d.png", opaque(255)),
        kept(tmp_path / "e.gif", grey),
        kept(tmp_path / "f.tiff", grey),
        kept(tmp_path / "g.bmp", grey),
        kept(tmp_path / "h.pgm", grey),
    ]
    for path in same:
        assert torch.equal(decode_image(path), torch.from_numpy(GREY).expand(3, 3, 4)), path.name


def deep_rgb(path: Path) -> Path:
    """Write a PPM of 16 bits, which Pillow opens as RGB."""
    path.write_bytes(b"P6 2 1 65535\n" + bytes(range(12)))
    return path


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
def test_what_would_be_lost_is_named(tmp_path: Path) -> None:
    clear = Image.fromarray(GREY).convert("P")
    wrong = {
        "more than 8 bits": [
            kept(tmp_path / "a.png", Image.fromarray(GREY.astype(np.uint16) * 200)),
            kept(tmp_path / "a.tiff", Image.fromarray(GREY.astype(np.uint16) * 200)),
            kept(tmp_path / "b.tiff", Image.fromarray(GREY.astype(np.int32) * 70000)),
            deep_rgb(tmp_path / "c.ppm"),
        ],
        "floating-point pixels": [kept(tmp_path / "d.tiff", Image.fromarray(GREY.astype(np.float32)))],
        "transparent pixels": [
            kept(tmp_path / "e.png", opaque(254)),
            kept(tmp_path / "f.png", Image.fromarray(np.dstack([GREY, GREY // 2]), "LA")),
            kept(tmp_path / "g.png", clear, transparency=int(np.asarray(clear)[0, 0])),
        ],
        "2 images": [
            kept(tmp_path / "h.tiff", clear.convert("L"), save_all=True, append_images=[Image.fromarray(GREY[::-1])])
        ],
    }
    for message, paths in wrong.items():
        for path in paths:
            with pytest.raises(InputError, match=f"{re.escape(path.name)} .*{message}"):
                decode_image(path)


def test_what_is_no_image_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("hello")
    whole = kept(tmp_path / "whole.png", Image.fromarray(GREY))
    (tmp_path / "half.png").write_bytes(whole.read_bytes()[:-30])
    causes = {
        "pipe": "no regular file",
        "zero": "no regular file",
        "gone": "a link to nothing",
        "folder": "a directory",
        "empty": "it is empty",
        "text": "cannot identify image file",
        "half": "",
    }
    for name, cause in causes.items():
        with pytest.raises(InputError, match=rf"cannot read image .*{name}\.png \({cause}.*replace or remove it"):
            decode_image(tmp_path / f"{name}.png")
    with pytest.raises(InputError, match="is 4x3, the images before it 5x3"):
        decode_image(whole, (5, 3))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 11)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with pytest.raises(InputError, match="4x3, more than 11 pixels"):
            decode_image(whole)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    with pytest.raises(InputError, match=r"whole\.png \(Image size .*bomb"):
        decode_image(whole)


def folder(at: Path) -> Path:
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (at / part / name).mkdir(parents=True)
            for i in range(2):
                Image.fromarray(GREY + i + 5 * (name == "dog")).save(at / part / name / f"{i}.png")
    return at


def test_files_of_a_folder_are_read_in_order_or_named(tmp_path: Path) -> None:
    at = folder(tmp_path)
    inner = at / "train" / "cat" / "more"
    inner.mkdir()
    Image.fromarray(GREY + 50).save(inner / "0.PNG")
    for name in (".hidden", "Thumbs.db"):
        (at / "train" / "cat" / name).write_text("x")
    data = load(str(at))
    assert data.train_images[:, 0, 0, 0].tolist() == [0, 1, 50, 5, 6]
    assert data.train_labels.tolist() == [0, 0, 0, 1, 1]
    (at / "train" / "cat" / "notes.txt").write_text("x")
    with pytest.warns(UserWarning, match=r"notes\.txt left out"):
        load(str(at))
    (at / "train" / "cat" / "notes.txt").unlink()
    (inner / "back").symlink_to(at / "train" / "cat")
    with pytest.raises(InputError, match="back is a link to a folder that holds it"):
        load(str(at))
    (inner / "back").unlink()
    Image.fromarray(GREY).save(at / "test" / "stray.png")
    with pytest.raises(InputError, match=r"stray\.png lies beside the folders of the classes"):
        load(str(at))


def test_a_folder_beyond_the_memory_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorders.data.memory._machine_memory", lambda: 100)
    with pytest.raises(InputError, match=r"4 images of 4x3, as .*cat/0\.png is, take .* GB, this machine has"):
        load(str(folder(tmp_path)))
