"""What is measured at an optimiser step (docs/store.md), for one run or for a stack of runs."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from recorders.measure.active_places import ActivePlaces
from recorders.measure.device_buffer import wide
from recorders.measure.fused_sums import can_fuse, fused_sums

Tensors = Sequence[torch.Tensor]


def measure(weights: Tensors, gradients: Tensors, places: ActivePlaces) -> torch.Tensor:
    """Measure gradients and weights, as `recorders.contract.MEASURED` lists them.

    Parameters
    ----------
    weights, gradients : sequence of Tensor
        One of each per prunable tensor; gradients are taken at the masked weights and are dense. Of sparse gradients
        the entries of one place are added up first; of complex tensors moduli are measured.
    places : ActivePlaces
        Active weights of these tensors.

    Returns
    -------
    Tensor of float64, shape (5, run, parameter)
        ‖m ⊙ g‖₂, ‖g‖₂, Σ|m ⊙ g| / n, ‖m ⊙ w‖₂, Σ|m ⊙ w| / n; NaN per weight where no weight is active.
    """
    values = totals(weights, gradients, places)
    values[2::2].div_(places.counts)
    return values


def totals(weights: Tensors, gradients: Tensors, places: ActivePlaces) -> torch.Tensor:
    """Measure as `measure` does, with sums in the place of means per weight; without autograd."""
    tensors = zip(gradients, weights, places.shapes, strict=True)
    fused = [i for i, (gradient, weight, shape) in enumerate(tensors) if can_fuse(gradient, weight, shape)]
    if len(fused) == len(weights):
        return fused_sums(gradients, weights, fused, places)
    gradients, weights = [_dense(g) for g in gradients], [_dense(w) for w in weights]
    values = places.counts.new_zeros((5, places.runs, len(weights)))
    if fused:
        values += fused_sums(gradients, weights, fused, places)
    for dtype, device, positions in _alike(weights, set(range(len(weights))) - set(fused)):
        values += places.packed(positions, dtype, device).add(gradients, weights).to(values.device)
    return values


def norms(tensors: Tensors, places: ActivePlaces) -> torch.Tensor:
    """L2 norms of the active values of tensors, float64, shape (run, parameter)."""
    return totals(tensors, tensors, places)[0]


def _dense(tensor: torch.Tensor) -> torch.Tensor:
    """Lay a sparse tensor out, and take the moduli of a complex one: they have its norms."""
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    return tensor.detach().abs() if tensor.is_complex() else tensor


def _alike(weights: Tensors, positions: set[int]) -> list[tuple[torch.dtype, torch.device, list[int]]]:
    """Sort tensors by where they are added up, and how: half precision overflows, and has three digits."""
    found: dict[tuple[torch.dtype, torch.device], list[int]] = {}
    for i in sorted(positions):
        device = weights[i].device
        precise = weights[i].dtype is torch.float64 and wide(device) is torch.float64
        found.setdefault((torch.float64 if precise else torch.float32, device), []).append(i)
    return [(dtype, device, some) for (dtype, device), some in found.items()]
