from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from recorders.contract import InputError
from recorders.data import DataSet, load

IDX = {
    "train-images-idx3-ubyte": (6, 28, 28),
    "train-labels-idx1-ubyte": (6,),
    "t10k-images-idx3-ubyte": (4, 28, 28),
    "t10k-labels-idx1-ubyte": (4,),
}


def write_idx(root: Path) -> Path:
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, shape in IDX.items():
        values = np.arange(np.prod(shape)) % 10
        header = struct.pack(f">I{len(shape)}I", 0x800 + len(shape), *shape)
        (raw / name).write_bytes(header + values.astype(np.uint8).tobytes())
    return raw


def write_images(folder: Path, size: tuple[int, int] = (5, 4)) -> None:
    for part in ("train", "test"):
        for label, grey in (("cat", 10), ("dog", 200)):
            (folder / part / label).mkdir(parents=True)
            for i in range(2):
                Image.new("L", size, grey + i).save(folder / part / label / f"{i}.png")


def test_digits_are_the_real_scans_split_once_and_for_all() -> None:
    data = load("digits")
    assert data.train_images.shape == (1437, 1, 8, 8)
    assert data.test_images.shape == (360, 1, 8, 8)
    assert data.train_images.dtype == torch.uint8
    assert int(data.train_images.max()) == 16
    assert torch.bincount(data.test_labels).tolist() == [36, 36, 35, 37, 36, 37, 36, 36, 35, 36]
    assert data.checksum() == load("digits").checksum()


@pytest.mark.mnist
def test_real_mnist(mnist_root: Path) -> None:
    data = load("mnist", mnist_root, offline=True)
    assert data.train_images.shape == (60000, 1, 28, 28)
    assert data.test_images.shape == (10000, 1, 28, 28)
    assert data.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert float(data.train_images.float().mean()) / 255 == pytest.approx(0.1307, abs=1e-4)


def test_idx_files_are_read_from_the_root(tmp_path: Path) -> None:
    write_idx(tmp_path)
    with pytest.warns(UserWarning, match="its 6 training and 4 test images are taken as a set of your own"):
        data = load("mnist", tmp_path, offline=True)
    assert data.train_images.shape == (6, 1, 28, 28)
    assert data.test_labels.tolist() == [0, 1, 2, 3]
    assert data.classes == 10


@pytest.mark.parametrize("offline", [True, False])
def test_a_truncated_file_is_named(tmp_path: Path, offline: bool) -> None:
    raw = write_idx(tmp_path)
    damaged = raw / "t10k-images-idx3-ubyte"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(InputError, match="t10k-images-idx3-ubyte is truncated or corrupted; delete it"):
        load("mnist", tmp_path, offline=offline)


@pytest.mark.parametrize("content", [b"", b"\0\0", b"\x1f\x8b\x08\x00", b"\0\0\x08\x03\0\0"])
def test_a_corrupted_header_is_named(tmp_path: Path, content: bytes) -> None:
    (write_idx(tmp_path) / "train-labels-idx1-ubyte").write_bytes(content)
    with pytest.raises(InputError, match="train-labels-idx1-ubyte is truncated or corrupted"):
        load("mnist", tmp_path, offline=True)


def test_a_missing_file_is_named_when_offline(tmp_path: Path) -> None:
    (write_idx(tmp_path) / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match="train-labels-idx1-ubyte is missing; drop --offline"):
        load("mnist", tmp_path, offline=True)
    with pytest.raises(InputError, match=r"cifar-10-batches-py/data_batch_1 is missing"):
        load("cifar10", tmp_path, offline=True)


def test_a_corrupted_cifar_batch_is_named(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"not it")
    with pytest.raises(InputError, match="data_batch_1 is truncated or corrupted"):
        load("cifar10", tmp_path, offline=True)


def test_names_and_root_are_checked() -> None:
    with pytest.raises(InputError, match="did you mean 'mnist'"):
        load("mnits")
    with pytest.raises(InputError, match="needs a data root: give --data-root DIR or set BURDEN_DATA"):
        load("mnist")


def test_an_image_folder(tmp_path: Path) -> None:
    write_images(tmp_path)
    data = load(str(tmp_path))
    assert data.train_images.shape == (4, 3, 4, 5)
    assert data.train_labels.tolist() == [0, 0, 1, 1]
    assert data.train_images[:, 0, 0, 0].tolist() == [10, 11, 200, 201]
    assert data.classes == 2


def test_bad_image_folders_name_the_culprit(tmp_path: Path) -> None:
    write_images(tmp_path / "a")
    (tmp_path / "a" / "train" / "dog" / "0.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"cannot read image .*train/dog/0\.png"):
        load(str(tmp_path / "a"))
    write_images(tmp_path / "b")
    Image.new("L", (6, 4)).save(tmp_path / "b" / "test" / "dog" / "1.png")
    with pytest.raises(InputError, match=r"test/dog/1\.png is 6x4, the images before it 5x4"):
        load(str(tmp_path / "b"))
    write_images(tmp_path / "c")
    shutil.rmtree(tmp_path / "c" / "test" / "dog")
    with pytest.raises(InputError, match="hold different classes: dog"):
        load(str(tmp_path / "c"))
    shutil.rmtree(tmp_path / "c" / "test")
    with pytest.raises(InputError, match="has no test/"):
        load(str(tmp_path / "c"))
    (tmp_path / "c" / "test").mkdir()
    with pytest.raises(InputError, match="no images in"):
        load(str(tmp_path / "c"))


def test_padding_and_normalising() -> None:
    data = load("digits")
    padded = data.padded(12)
    assert padded.image_shape == (1, 12, 12)
    assert torch.equal(padded.train_images[:, :, 2:10, 2:10], data.train_images)
    assert int(padded.train_images.sum()) == int(data.train_images.sum())
    normal = padded.normalised()
    assert float(normal.train_images.mean()) == pytest.approx(0, abs=1e-5)
    assert float(normal.train_images.std()) == pytest.approx(1, abs=1e-5)
    assert data.padded(0) is data
    with pytest.raises(InputError, match="image_size 4 is smaller than the 8x8 images of digits"):
        data.padded(4)


def test_the_checksum_sees_every_pixel_and_label() -> None:
    images, labels = torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 1])
    data = DataSet("x", images, labels, images.clone(), labels.clone(), 2)
    before = data.checksum()
    data.test_images[1, 0, 1, 1] = 1
    changed = data.checksum()
    data.test_labels[0] = 1
    assert len({before, changed, data.checksum()}) == 3
