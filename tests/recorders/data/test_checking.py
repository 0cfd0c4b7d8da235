"""Images and labels that cannot be learnt from, whoever made them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from recorders.contract import InputError
from recorders.data import DataSet, Feed, load
from recorders.data import idx_files as idx
from recorders.data.checking import check_informative
from tests.recorders.data.test_data import IDX, write_idx


def images(n: int = 4, side: int = 3) -> torch.Tensor:
    return torch.arange(n * 2 * side * side, dtype=torch.uint8).view(n, 2, side, side)


def made(train: torch.Tensor | None = None, labels: object = (0, 1, 2, 0), test: torch.Tensor | None = None) -> DataSet:
    train, test = images() if train is None else train, images(2) if test is None else test
    own = labels if isinstance(labels, torch.Tensor) else torch.tensor(labels)
    return DataSet("mine", train, own, test, torch.tensor([0, 1]), 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: made(images(0)), r"training images of mine must be at least one, .* got \(0, 2, 3, 3\)"),
        (lambda: made(images()[0]), r"of shape \(image, channel, height, width\), got \(2, 3, 3\)"),
        (lambda: made(labels=(0, 1, 2)), "mine has 4 training images, but 3 labels for them"),
        (lambda: made(labels=(0, 1, 2, 3)), "label 3 of the training images of mine is none of its 3 classes, 0 to 2"),
        (lambda: made(labels=(0, 1, -2, 2)), "label -2 of the training images"),
        (lambda: made(labels=(0.0, 1.0, 2.0, 0.0)), r"must be int64, one for each image, got float32 of shape \(4,\)"),
        (lambda: made(labels=((0,), (1,), (2,), (0,))), r"got int64 of shape \(4, 1\)"),
        (lambda: made(test=images(2, 4)), "training and test images of mine are 2x3x3 and 2x4x4: resize them"),
    ],
)
def test_wrong_images_and_labels_are_named(make: Callable[[], DataSet], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_a_channel_of_one_value_becomes_zero_and_is_said() -> None:
    train = images()
    train[:, 1] = 7
    with pytest.warns(UserWarning, match="channel 2 of 2 of the training images of mine has one value everywhere"):
        check_informative("mine", train, torch.tensor([0, 1, 2, 0]))
    data = made(train, test=images(2)).normalised()
    assert data.train_images[:, 1].eq(0).all()
    assert torch.equal(data.test_images[:, 1], images(2)[:, 1].float() - 7)
    expected = (train[:, 0].float() - train[:, 0].float().mean()) / train[:, 0].float().std()
    torch.testing.assert_close(data.train_images[:, 0], expected)
    lazy = Feed(made(train)).batch(torch.arange(4)[None], [0], 0)[0][0]
    torch.testing.assert_close(lazy, data.train_images)


def test_nothing_to_learn_from_is_named() -> None:
    with pytest.raises(InputError, match="all pixels of all training images of mine have one value"):
        check_informative("mine", torch.full((4, 2, 3, 3), 9, dtype=torch.uint8), torch.tensor([0, 1, 2, 0]))
    with pytest.raises(InputError, match="all training images of mine have the label 1"):
        check_informative("mine", images(), torch.ones(4, dtype=torch.int64))
    assert made(torch.full((4, 2, 3, 3), 0.1)).normalised().train_images.eq(0).all()
    with pytest.raises(InputError, match="NaN or infinite"):
        made(torch.full((4, 2, 3, 3), torch.nan)).normalised()


def test_more_padding_than_memory_is_named() -> None:
    with pytest.raises(InputError, match=r"6 images of 1000000x1000000 take .* GB, this machine has"):
        made().padded(1_000_000)


def rewritten(raw: Path, name: str, shape: tuple[int, ...], values: object = 0) -> None:
    head = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
    (raw / name).write_bytes(head + np.broadcast_to(np.asarray(values, np.uint8), shape).tobytes())


TRAIN, LABELS, TEST = "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte"


@pytest.mark.parametrize(
    ("name", "shape", "value", "message"),
    [
        (LABELS, (5,), 0, "mnist has 6 training images, but 5 labels for them.*raw"),
        (LABELS, (6,), 200, "label 200 of the training images of mnist is none of its 10 classes"),
        (LABELS, (6,), 1, "all training images of mnist have the label 1"),
        (LABELS, (6, 1), 0, f"{LABELS} holds 2-dimensional data, not 1-dimensional"),
        (TRAIN, (6,), 0, f"{TRAIN} holds 1-dimensional data, not 3-dimensional"),
        (TRAIN, (6, 28, 28, 1), 0, "holds 4-dimensional data"),
        (TRAIN, (0, 28, 28), 0, f"{TRAIN} holds nothing"),
        (TRAIN, (6, 28, 28), 3, "all pixels of all training images of mnist have one value"),
        (TEST, (4, 14, 14), 0, "training and test images of mnist are 1x28x28 and 1x14x14"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*taken as a set of your own")
def test_wrong_files_of_mnist_are_named(
    tmp_path: Path, name: str, shape: tuple[int, ...], value: int, message: str
) -> None:
    rewritten(write_idx(tmp_path), name, shape, value)
    with pytest.raises(InputError, match=message):
        load("mnist", tmp_path, offline=True)


@pytest.mark.parametrize("offline", [True, False])
def test_what_is_no_file_is_not_downloaded_over(tmp_path: Path, offline: bool) -> None:
    raw = write_idx(tmp_path)
    (raw / TRAIN).unlink()
    (raw / TRAIN).symlink_to("/dev/zero")
    with pytest.raises(InputError, match=f"{TRAIN} is no regular file; delete it"):
        load("mnist", tmp_path, offline=offline)


def test_a_damaged_copy_of_the_published_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = write_idx(tmp_path)
    published = {
        name: ((raw / name).stat().st_size, hashlib.md5((raw / name).read_bytes()).hexdigest()) for name in IDX
    }
    monkeypatch.setitem(idx._PUBLISHED, "MNIST", published)
    assert len(load("mnist", tmp_path, offline=True).train_labels) == 6  # nothing is said of the published one
    damaged = bytearray((raw / TRAIN).read_bytes())
    damaged[100] ^= 1
    (raw / TRAIN).write_bytes(damaged)
    with pytest.raises(InputError, match=f"{TRAIN} is as long as the published file, but differs from it"):
        load("mnist", tmp_path, offline=True)


def test_a_failed_download_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import MNIST

    monkeypatch.setattr(MNIST, "mirrors", [])
    with pytest.raises(InputError, match="is missing and it could not be downloaded"):
        load("mnist", tmp_path / "new", offline=False)
    assert list(tmp_path.iterdir()) == []
