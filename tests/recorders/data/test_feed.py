"""Batches, held-out images and samples, prepared on the device."""

from __future__ import annotations

from dataclasses import replace

import torch

from recorders.data import Feed, load


def test_the_probe_sees_every_class_of_a_sorted_set() -> None:
    data = load("digits")
    order = data.test_labels.argsort()
    data = replace(data, test_images=data.test_images[order], test_labels=data.test_labels[order])
    first, again = (Feed(data).sample(64) for _ in range(2))
    assert len(first[1].unique()) == 10
    assert torch.equal(first[0], again[0])
    assert len(Feed(data).sample(10_000)[1]) == len(data.test_labels)


def test_a_feed_of_uint8_images_gives_what_normalising_them_all_gives() -> None:
    data = load("digits")
    lazy, eager = Feed(data), Feed(data.normalised())
    indices = torch.tensor([[3, 1, 2], [5, 5, 0]])
    for a, b in zip(lazy.batch(indices, [0, 1], 0), eager.batch(indices, [0, 1], 0), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    ours, others = ([x for x, _ in feed.held_out()] for feed in (lazy, eager))
    torch.testing.assert_close(torch.cat(ours), torch.cat(others), rtol=1e-5, atol=1e-5)
    assert sum(map(len, others)) == len(data.test_labels)


def test_augmentation_is_a_function_of_seed_and_epoch() -> None:
    feed = Feed(load("digits"), flip=True, crop_padding=1)
    indices = torch.arange(40)[None].expand(2, -1)
    first = feed.batch(indices, [0, 1], 0)[0]
    assert not torch.equal(first[0], first[1])
    later = feed.batch(indices, [0, 1], 1)[0]
    assert not torch.equal(first[0], later[0])
    assert torch.equal(Feed(load("digits"), flip=True, crop_padding=1).batch(indices[:1], [1], 0)[0][0], first[1])
