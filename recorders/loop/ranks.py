"""The ranks of a process group: who records, and how they measure tensors that are spread over them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from recorders.contract import InputError
from recorders.measure.active_places import ActivePlaces
from recorders.measure.indicators import measure, totals

Tensors = Sequence[torch.Tensor]
_NORMS, _SUMS = [0, 1, 3], [2, 4]  # of what `measure` gives
_PATIENCE = timedelta(seconds=60)
_meetings = count()


def is_first_rank() -> bool:
    """Whether this process records: the first rank, or one without a process group."""
    return not (dist.is_available() and dist.is_initialized()) or dist.get_rank() == 0


def is_sharded(model: nn.Module) -> bool:
    """Whether a network's parameters are spread over ranks (DTensor, as FSDP2 has them)."""
    return any(_is_spread(p) for p in model.parameters())


def check_sharded(model: nn.Module, *, masks: object, **others: object) -> None:
    """Refuse what needs whole tensors on one rank, where a network's are spread over several."""
    asked = [name for name, value in others.items() if value] + (["masks='zeros'"] if isinstance(masks, str) else [])
    if asked and is_sharded(model):
        raise InputError(
            f"the model's parameters are sharded (DTensor, FSDP2): {asked[0]} needs whole ones, leave it out"
        )


def meet(model: nn.Module) -> None:
    """Wait until every rank is here, where they measure together: one that stays away would hang the others for ever.

    Raises
    ------
    InputError
        Some rank does not come.
    """
    if not is_sharded(model):
        return
    store, number = dist.distributed_c10d._get_default_store(), next(_meetings)
    keys = [f"recorder/{number}/{rank}" for rank in range(dist.get_world_size())]
    store.set(keys[dist.get_rank()], "here")
    try:
        store.wait(keys, _PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"the model's parameters are sharded, and not all ranks made a Recorder within {_PATIENCE.seconds} s: "
            "make it on every rank, they measure together and the first one records"
        ) from error


def whole(tensor: Any) -> torch.Tensor:
    """Gather a tensor that is spread over ranks; all of them must ask for it."""
    full: torch.Tensor = tensor.full_tensor() if _is_spread(tensor) else tensor
    return full


def measure_together(weights: Tensors, gradients: Tensors, places: ActivePlaces) -> torch.Tensor:
    """Measure tensors that may be spread over ranks: each rank's square sums and sums, added up over all.

    Parameters
    ----------
    weights, gradients : sequence of Tensor
        As for `measure`.
    places : ActivePlaces
        Active weights of the whole tensors.

    Returns
    -------
    Tensor of float64, shape (5, 1, parameter)
        As `measure`, of the whole tensors, on every rank.
    """
    if not any(map(_is_spread, weights)):
        return measure(weights, gradients, places)
    gradients = [_like(gradient, weight) for gradient, weight in zip(gradients, weights, strict=True)]
    shares = [_share(mask, weight) for mask, weight in zip(places.masks, weights, strict=True)]
    values = totals([*map(_own, weights)], [*map(_own, gradients)], ActivePlaces(shares, stacked=False))
    values[_NORMS] = values[_NORMS].square()
    values /= torch.tensor([_copies(weight) for weight in weights], dtype=values.dtype, device=values.device)
    dist.all_reduce(values)
    values[_NORMS] = values[_NORMS].sqrt()
    values[_SUMS] /= places.counts
    return values


def _is_spread(tensor: torch.Tensor) -> bool:
    return type(tensor) not in (torch.Tensor, nn.Parameter) and hasattr(tensor, "full_tensor")


def _own(tensor: Any) -> torch.Tensor:
    local: torch.Tensor = tensor.to_local() if _is_spread(tensor) else tensor
    return local


def _like(gradient: Any, weight: Any) -> torch.Tensor:
    """Spread a gradient as its weight is."""
    if not _is_spread(weight) or gradient.placements == weight.placements:
        return gradient  # type: ignore[no-any-return]
    spread: torch.Tensor = gradient.redistribute(placements=weight.placements)
    return spread


def _share(mask: torch.Tensor | None, weight: Any) -> torch.Tensor:
    """Cut out the part of a whole mask that belongs to this rank's part of a weight."""
    if mask is None:
        return torch.ones((), dtype=torch.bool, device=weight.device).expand(_own(weight).shape)
    if not _is_spread(weight):
        return mask
    from torch.distributed.tensor import distribute_tensor  # loads much, and few need it

    return _own(distribute_tensor(mask, weight.device_mesh, weight.placements, src_data_rank=None))


def _copies(weight: Any) -> int:
    """Count the ranks that hold the same part of a weight."""
    if not _is_spread(weight):
        return dist.get_world_size()
    mesh, placements = weight.device_mesh, weight.placements
    copies = dist.get_world_size() // mesh.size()
    for dimension, placement in enumerate(placements):
        if not placement.is_shard():
            copies *= mesh.size(dimension)
    return int(copies)
