from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from recorders.contract import InputError
from recorders.data import load
from recorders.data.images import Augmentation, channel_statistics, draw_augmentation, network_input

CPU = torch.device("cpu")


def pixels(images: int = 20, side: int = 6) -> torch.Tensor:
    return torch.randint(256, (images, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_batches_are_what_the_normalised_float_copy_holds() -> None:
    data = load("digits")
    statistics, order = channel_statistics(data.train_images), torch.randperm(100)
    batch = network_input(data.train_images, order, statistics)
    torch.testing.assert_close(batch, data.normalised().train_images[order], atol=1e-5, rtol=1e-5)
    held_out = network_input(data.test_images, order, statistics)
    torch.testing.assert_close(held_out, data.normalised().test_images[order], atol=1e-5, rtol=1e-5)


def test_statistics_are_exact_per_channel() -> None:
    images = pixels()
    images[:, 2] = 7
    statistics = channel_statistics(images)
    torch.testing.assert_close(statistics.mean.flatten(), images.float().mean((0, 2, 3)))
    expected = images.float().std((0, 2, 3))
    expected[2] = 1  # a channel of one value is left at 0
    torch.testing.assert_close(statistics.deviation.flatten(), expected)
    assert (network_input(images, torch.arange(20), statistics)[:, 2] == 0).all()


@pytest.mark.parametrize("size", [12, 6, 3, 0])
def test_resizing(size: int) -> None:
    images, indices = pixels(), torch.tensor([3, 3, 17])
    statistics = channel_statistics(images)
    batch = network_input(images, indices, statistics, size=size)
    normalised = (images[indices].float() - statistics.mean) / statistics.deviation
    expected = (
        normalised
        if size in (0, 6)
        else interpolate(normalised, size=(size, size), mode="bilinear", antialias=size < 6)
    )
    assert torch.equal(batch, expected)
    assert batch.dtype == torch.float32


def test_images_that_are_not_square_become_square() -> None:
    images = pixels()[:, :, :4]
    assert network_input(images, torch.arange(2), channel_statistics(images), size=6).shape == (2, 3, 6, 6)
    assert network_input(images, torch.arange(2), channel_statistics(images)).shape == (2, 3, 4, 6)


def test_flips_and_crops_by_hand() -> None:
    images = torch.arange(1, 10, dtype=torch.float32).view(1, 1, 3, 3).expand(3, 1, 3, 3)
    augmentation = Augmentation(
        torch.tensor([False, True, False, True]), torch.tensor([[1, 1], [1, 1], [0, 2], [2, 1]]), padding=1
    )
    untouched, shifted, both = augmentation.apply(images, torch.tensor([0, 2, 3])).squeeze(1)
    assert untouched.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert shifted.tolist() == [[0, 0, 0], [2, 3, 0], [5, 6, 0]]  # one up, one to the right of the centred crop
    assert both.tolist() == [[6, 5, 4], [9, 8, 7], [0, 0, 0]]


def test_augmentation_is_a_function_of_seed_epoch_and_image() -> None:
    def draw(seed: int, epoch: int, *, flip: bool = True, padding: int = 4) -> Augmentation:
        return draw_augmentation(seed, epoch, 5000, flip=flip, padding=padding, device=CPU)

    before = torch.get_rng_state()
    first, again, later, other = draw(0, 0), draw(0, 0), draw(0, 1), draw(1, 0)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.flipped, again.flipped)
    assert torch.equal(first.offsets, again.offsets)
    for different in (later, other):
        assert not torch.equal(first.flipped, different.flipped)
        assert not torch.equal(first.offsets, different.offsets)
    assert float(first.flipped.double().mean()) == pytest.approx(0.5, abs=0.03)
    assert first.offsets.unique().tolist() == list(range(9))
    assert not draw(0, 0, flip=False).flipped.any()
    assert torch.equal(draw(0, 0, flip=False).offsets, first.offsets)
    images = pixels()
    statistics, chosen = channel_statistics(images), draw_augmentation(0, 0, 20, flip=True, padding=2, device=CPU)
    whole = network_input(images, torch.arange(20), statistics, size=12, augmentation=chosen)
    part = network_input(images, torch.tensor([7, 3]), statistics, size=12, augmentation=chosen)
    assert torch.equal(part, whole[[7, 3]])
    assert not torch.equal(whole, network_input(images, torch.arange(20), statistics, size=12))


def test_an_image_folder_makes_batches(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for label, grey in (("cat", 10), ("dog", 200)):
            (tmp_path / part / label).mkdir(parents=True)
            Image.new("RGB", (8, 8), (grey, grey, grey)).save(tmp_path / part / label / "0.png")
    data = load(str(tmp_path))
    batch = network_input(data.train_images, torch.tensor([0, 1]), channel_statistics(data.train_images), size=16)
    assert batch.shape == (2, 3, 16, 16)
    assert batch[0].max() < 0 < batch[1].min()


def test_bad_input() -> None:
    with pytest.raises(InputError, match=r"must be uint8 .* got torch.float32"):
        channel_statistics(pixels().float())
    with pytest.raises(InputError, match=r"got torch.uint8 \(0, 3, 6, 6\)"):
        channel_statistics(pixels(0))
    with pytest.raises(InputError, match="padding must not be negative, got -1"):
        draw_augmentation(0, 0, 4, flip=True, padding=-1, device=CPU)
    with pytest.raises(InputError, match="image size must not be negative, got -2"):
        network_input(pixels(), torch.tensor([0]), channel_statistics(pixels()), size=-2)
