"""How many weights each layer keeps: exact integer counts that add up to round((1 − s) · N)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np

from recorders.contract import InputError

Shapes = Mapping[str, tuple[int, ...]]


def active_count(sparsity: float, size: int) -> int:
    """Weights that stay active: round((1 − s) · N), ties to even."""
    return round((1 - sparsity) * size)


def uniform(shapes: Shapes, sparsity: float) -> dict[str, int]:
    """Keep the same share of every layer."""
    sizes = [prod(s) for s in shapes.values()]
    return dict(zip(shapes, _integers([(1 - sparsity) * n for n in sizes], sizes, sparsity), strict=True))


def erk(shapes: Shapes, sparsity: float) -> dict[str, int]:
    """Erdős–Rényi-Kernel: density ∝ Σ dims / Π dims, at most 1 (Mocanu et al. 2018; Evci et al. 2020, §3).

    Parameters and returns as `uniform`; smaller layers stay denser, and layers that would exceed density 1 are kept
    whole while the others share the rest.
    """
    sizes = np.array([prod(s) for s in shapes.values()], dtype=float)
    raw = np.array([sum(s) / prod(s) for s in shapes.values()])
    budget = active_count(sparsity, int(sizes.sum()))
    dense = np.zeros(len(sizes), dtype=bool)
    while True:
        free = ~dense
        scale = (budget - sizes[dense].sum()) / (raw[free] * sizes[free]).sum() if free.any() else 0.0
        over = free & (raw * scale > 1)
        if not over.any():
            break
        dense |= over
    wanted = np.where(dense, sizes, raw * scale * sizes)
    return dict(zip(shapes, _integers(list(wanted), [int(n) for n in sizes], sparsity), strict=True))


# `global` draws over all prunable weights together and `matched` copies the iterative mask: neither needs counts here.
LAYERWISE: dict[str, Callable[[Shapes, float], dict[str, int]]] = {"uniform": uniform, "erk": erk}


def check_reachable(shapes: Shapes, sparsity: float, allocation: str) -> None:
    """Refuse a sparsity at which a layer is expected to hold less than half a weight."""
    if allocation in LAYERWISE:
        kept: Mapping[str, float] = LAYERWISE[allocation](shapes, sparsity)
    else:
        kept = {name: (1 - sparsity) * prod(shape) for name, shape in shapes.items()}
    for name, count in kept.items():
        if count < 0.5:
            smallest = min(prod(s) for s in shapes.values())
            raise InputError(
                f"sparsity {sparsity:g} empties layer {name!r} ({prod(shapes[name])} weights): stay at or below "
                f"{1 - 1 / smallest:.4g}, or allow it with --allow-empty-layers"
            )


def _integers(wanted: Sequence[float], sizes: Sequence[int], sparsity: float) -> list[int]:
    """Round by largest remainder, so that the total is exact; ties go to the earlier layer."""
    total = active_count(sparsity, sum(sizes))
    floor = [min(int(w), n) for w, n in zip(wanted, sizes, strict=True)]
    by_remainder = sorted(range(len(wanted)), key=lambda i: (floor[i] - wanted[i], i))
    missing = total - sum(floor)
    while missing > 0:
        for i in by_remainder:
            if missing and floor[i] < sizes[i]:
                floor[i] += 1
                missing -= 1
    return floor
