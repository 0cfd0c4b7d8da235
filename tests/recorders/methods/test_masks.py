from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recorders.contract import InputError
from recorders.methods.allocation import active_count, check_reachable, erk, uniform
from recorders.methods.masks import largest, magnitude_masks, random_masks, top_threshold

SHAPES = {"a": (30, 20), "b": (10, 30), "c": (5, 10)}
N = 950
shapes = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3), st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=5
)
sparsities = st.floats(0, 0.999)


@pytest.mark.parametrize(
    ("scores", "active", "mask"),
    [
        ([3.0, 1.0, 2.0], 2, [1, 0, 1]),
        ([1.0, 1.0, 1.0, 1.0], 2, [1, 1, 0, 0]),  # ties: the first by index stay
        ([0.0, 2.0, 1.0, 1.0, 1.0], 3, [0, 1, 1, 1, 0]),
        ([5.0, 4.0], 0, [0, 0]),
        ([5.0, 4.0], 2, [1, 1]),
        ([0.0, 0.0, 0.0], 1, [1, 0, 0]),
    ],
)
def test_largest(scores: list[float], active: int, mask: list[int]) -> None:
    assert largest(torch.tensor(scores), active).int().tolist() == mask


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.data())
def test_largest_agrees_with_a_stable_sort(values: list[int], data: st.DataObject) -> None:
    active = data.draw(st.integers(0, len(values)))
    expected = np.zeros(len(values), dtype=bool)
    expected[np.argsort(-np.array(values), kind="stable")[:active]] = True
    np.testing.assert_array_equal(largest(torch.tensor(values, dtype=torch.float32), active).numpy(), expected)


@given(shapes, sparsities)
@settings(deadline=None)
def test_magnitude_masks_are_global_and_exact(shapes: dict[str, tuple[int, int]], sparsity: float) -> None:
    torch.manual_seed(0)
    weights = [torch.randn(s) for s in shapes.values()]
    masks = magnitude_masks(weights, sparsity)
    total = sum(w.numel() for w in weights)
    assert sum(int(m.sum()) for m in masks) == round((1 - sparsity) * total)
    kept = [w[m].abs() for w, m in zip(weights, masks, strict=True)]
    removed = [w[~m].abs() for w, m in zip(weights, masks, strict=True)]
    if sum(map(len, kept)) and sum(map(len, removed)):
        assert torch.cat(kept).min() >= torch.cat(removed).max()


@given(shapes, sparsities, st.sampled_from(["global", "uniform", "erk"]))
@settings(deadline=None)
def test_random_masks_have_exact_counts(shapes: dict[str, tuple[int, int]], sparsity: float, allocation: str) -> None:
    masks = random_masks(shapes, sparsity, allocation, seed=3)
    total = sum(m.numel() for m in masks.values())
    assert sum(int(m.sum()) for m in masks.values()) == round((1 - sparsity) * total)
    assert {name: tuple(m.shape) for name, m in masks.items()} == shapes


def test_random_masks_are_a_function_of_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = random_masks(SHAPES, 0.9, "global", seed=7)
    torch.manual_seed(2)
    again, other = random_masks(SHAPES, 0.9, "global", seed=7), random_masks(SHAPES, 0.9, "global", seed=8)
    assert all(torch.equal(first[n], again[n]) for n in SHAPES)
    assert not all(torch.equal(first[n], other[n]) for n in SHAPES)


@pytest.mark.parametrize("allocation", ["global", "uniform"])
def test_random_masks_of_one_seed_are_nested_over_sparsities(allocation: str) -> None:
    sparse, dense = (random_masks(SHAPES, s, allocation, seed=0) for s in (0.9, 0.7))
    assert all(bool((dense[n] | ~sparse[n]).all()) for n in SHAPES)


def test_matched_masks_copy_the_layer_counts_but_not_the_places() -> None:
    template = random_masks(SHAPES, 0.8, "erk", seed=0)
    masks = random_masks(SHAPES, 0.8, "matched", seed=1, matched=template)
    assert [int(m.sum()) for m in masks.values()] == [int(m.sum()) for m in template.values()]
    assert not torch.equal(masks["a"], template["a"])


def test_matched_masks_need_the_iterative_mask() -> None:
    with pytest.raises(InputError, match="needs the mask of an iterative run"):
        random_masks(SHAPES, 0.8, "matched", seed=0)


def test_uniform_allocation_by_hand() -> None:
    assert uniform(SHAPES, 0.9) == {"a": 60, "b": 30, "c": 5}
    # 1 / 3 of 1, 1 and 1 is one weight in all: the largest remainder, ties to the earlier layer.
    assert uniform({"a": (1, 1), "b": (1, 1), "c": (1, 1)}, 2 / 3) == {"a": 1, "b": 0, "c": 0}


def test_erk_allocation_by_hand() -> None:
    # Σ dims: 50, 40, 15. Budget 95 of 950: scale = 95 / 105, counts 45.24, 36.19, 13.57 → 45, 36, 14.
    assert erk(SHAPES, 0.9) == {"a": 45, "b": 36, "c": 14}
    # Budget 475: c (50 weights, would get 67.9) stays whole; 425 / 90 × 50 = 236.1 and 188.9.
    assert erk(SHAPES, 0.5) == {"a": 236, "b": 189, "c": 50}


@pytest.mark.parametrize(("sparsity", "size", "count"), [(0.7, 50200, 15060), (0.9, 338000, 33800), (0.5, 5, 2)])
def test_active_count(sparsity: float, size: int, count: int) -> None:
    assert active_count(sparsity, size) == count


def test_a_sparsity_that_empties_a_layer_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"sparsity 0\.995 empties layer 'c' \(50 weights\): stay at or below 0\.98"):
        check_reachable(SHAPES, 0.995, "global")
    check_reachable(SHAPES, 0.98, "global")
    check_reachable(SHAPES, 0.995, "erk")


def test_nan_weights_stay_active() -> None:
    masks = magnitude_masks([torch.tensor([[1.0, torch.nan], [torch.inf, 3.0]])], 0.5)
    assert masks[0].tolist() == [[False, True], [True, False]]


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.data())
def test_the_threshold_for_gpus_is_the_score_of_that_rank(values: list[int], data: st.DataObject) -> None:
    active = data.draw(st.integers(1, len(values)))
    found = top_threshold(torch.tensor(values, dtype=torch.float32), active)
    assert float(found) == sorted(values, reverse=True)[active - 1]
