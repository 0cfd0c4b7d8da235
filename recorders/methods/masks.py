"""Which weights stay: masks with an exact number of active weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
import torch

from recorders.contract import InputError
from recorders.methods.allocation import LAYERWISE, Shapes, active_count
from recorders.seeding import Purpose, generator

Masks = dict[str, torch.Tensor]


def largest(scores: torch.Tensor, active: int) -> torch.Tensor:
    """Mark the `active` largest scores.

    Parameters
    ----------
    scores : Tensor, shape (N,)
        Any real scores; for magnitude pruning |w| (the study's eq. 12-13).
    active : int
        How many to mark.

    Returns
    -------
    Tensor of bool, shape (N,)
        True at exactly `active` places. Among scores equal to the threshold the first by index stay, so that the
        count is exact and the result the same on every device.
    """
    if active == 0:
        return torch.zeros_like(scores, dtype=torch.bool)
    if scores.device.type == "cpu":
        return _largest_here(scores, active)
    threshold = top_threshold(scores, active)
    mask = scores > threshold
    ties = (scores == threshold).nonzero().squeeze(1)
    mask[ties[: active - int(mask.sum())]] = True
    return mask


def _largest_here(scores: torch.Tensor, active: int) -> torch.Tensor:
    """Mark by NumPy: on a CPU it selects and compares several times faster than torch (benchmarks/mask_update.py)."""
    values, smallest = scores.numpy(), scores.numel() - active
    threshold = np.partition(values, smallest)[smallest]
    mask = values > threshold
    ties = np.flatnonzero(values == threshold)
    mask[ties[: active - np.count_nonzero(mask)]] = True
    return torch.from_numpy(mask)


def top_threshold(scores: torch.Tensor, active: int) -> torch.Tensor:
    """Find the score of rank `active` with `torch.topk`, from the nearer end: on a GPU `kthvalue` uses a single block.

    Parameters
    ----------
    scores : Tensor, shape (N,)
        On any device.
    active : int
        From 1 to N.

    Returns
    -------
    Tensor, shape ()
        The `active`-th largest score.
    """
    if 2 * active <= len(scores):
        return torch.topk(scores, active, sorted=False).values.min()
    return torch.topk(scores, len(scores) - active + 1, largest=False, sorted=False).values.max()


def magnitude_masks(weights: Sequence[torch.Tensor], sparsity: float) -> list[torch.Tensor]:
    """Keep the globally largest weights of all tensors together (the study's eq. 11-13).

    Parameters
    ----------
    weights : sequence of Tensor
        Every prunable tensor of one network.
    sparsity : float
        Share to remove.

    Returns
    -------
    list of Tensor of bool
        One mask per tensor; round((1 − s) · N) active weights in all. NaN counts as largest: a diverged network must
        not look healed by pruning.
    """
    scores = torch.cat([w.detach().reshape(-1) for w in weights]).abs()
    if scores.device.type != "cpu" or not scores.max().isfinite():  # on a CPU a look is 50 times cheaper
        scores = scores.nan_to_num_(nan=torch.inf, posinf=torch.inf)
    flat = largest(scores, active_count(sparsity, scores.numel()))
    parts = flat.split([w.numel() for w in weights])
    return [part.view_as(w) for part, w in zip(parts, weights, strict=True)]


def random_masks(
    shapes: Shapes, sparsity: float, allocation: str, seed: int, *, matched: Mapping[str, torch.Tensor] | None = None
) -> Masks:
    """Draw a random mask with an exact count.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Shape of every prunable tensor.
    sparsity : float
        Share of all prunable weights to remove.
    allocation : {"global", "matched", "uniform", "erk"}
        Uniform over all weights together; the per-layer counts of `matched`; the same share per layer;
        Erdős–Rényi-Kernel.
    seed : int
        The same seed draws the same order of weights, so masks of one seed are nested over sparsities.
    matched : mapping of str to Tensor of bool, optional
        The iterative mask whose layer counts ``matched`` copies.

    Returns
    -------
    dict of str to Tensor of bool
        One mask per tensor.

    Raises
    ------
    InputError
        ``matched`` without the iterative mask.
    """
    draw = generator(seed, Purpose.MASK)
    sizes = {name: prod(shape) for name, shape in shapes.items()}
    if allocation == "global":
        order = torch.randperm(sum(sizes.values()), generator=draw)
        flat = torch.zeros(len(order), dtype=torch.bool)
        flat[order[: active_count(sparsity, len(order))]] = True
        parts = flat.split(list(sizes.values()))
        return {name: part.view(shapes[name]) for name, part in zip(shapes, parts, strict=True)}
    if allocation == "matched":
        if matched is None:
            raise InputError("allocation 'matched' needs the mask of an iterative run: record that run first")
        counts = {name: int(matched[name].sum()) for name in shapes}
    else:
        counts = LAYERWISE[allocation](shapes, sparsity)
    masks = {}
    for name, size in sizes.items():
        mask = torch.zeros(size, dtype=torch.bool)
        mask[torch.randperm(size, generator=draw)[: counts[name]]] = True
        masks[name] = mask.view(shapes[name])
    return masks


def smallest(weight: torch.Tensor, candidates: torch.Tensor, count: int) -> torch.Tensor:
    """Mark the `count` candidates of smallest |w|, ties by index; bool, shaped like `weight`."""
    most = torch.finfo(weight.dtype).max
    magnitude = weight.detach().abs().nan_to_num(nan=most, posinf=most)
    scores = torch.where(candidates, -magnitude, -torch.inf)
    return largest(scores.reshape(-1), count).view_as(candidates) & candidates


def draw(candidates: torch.Tensor, count: int, random: torch.Generator) -> torch.Tensor:
    """Mark `count` candidates at random; bool, shaped like `candidates`."""
    places = candidates.reshape(-1).nonzero().squeeze(1)
    chosen = places[torch.randperm(len(places), generator=random)[:count].to(places.device)]
    drawn = torch.zeros(candidates.numel(), dtype=torch.bool, device=candidates.device)
    drawn[chosen] = True
    return drawn.view_as(candidates)
