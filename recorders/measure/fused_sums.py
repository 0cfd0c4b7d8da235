"""The sums in one pass over memory, compiled, where numba is installed: a tenth of the time that torch takes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch

from recorders.measure.active_places import ActivePlaces, addresses

Tensors = Sequence[torch.Tensor]
_PLAIN = (torch.Tensor, torch.nn.Parameter)


def can_fuse(gradient: torch.Tensor, weight: torch.Tensor, shape: tuple[int, ...]) -> bool:
    """Whether one pass can read both: plain float32 tensors of the mask's shape on the CPU, without gaps."""
    # The pass reads memory by address: what is not as large as its mask would be read beyond its end.
    alike = gradient.shape == weight.shape == shape
    return alike and _is_plain(gradient) and _is_plain(weight) and kernel() is not None


def fused_sums(gradients: Tensors, weights: Tensors, positions: Sequence[int], places: ActivePlaces) -> torch.Tensor:
    """Add up gradients and weights as `PackedSums.add` does, in float64 throughout."""
    run = kernel()
    assert run is not None
    runs, parameters = places.runs, len(places.shapes)
    sizes, masks = places.in_memory(positions)
    sums = run(
        addresses([gradients[i].data_ptr() for i in positions], sizes, runs, item=4),
        addresses([weights[i].data_ptr() for i in positions], sizes, runs, item=4),
        masks,
        sizes,
    )
    if len(positions) == parameters:
        return torch.from_numpy(sums).view(5, parameters, runs).transpose(1, 2)
    totals = torch.zeros((5, runs, parameters), dtype=torch.float64)
    totals[:, :, list(positions)] = torch.from_numpy(sums).view(5, len(positions), runs).transpose(1, 2)
    return totals


def summed_by() -> str:
    """Name what adds up float32 tensors on the CPU, for provenance: last bits depend on it."""
    return f"torch {torch.__version__}" if kernel() is None else f"numba {version('numba')}"


@cache
def kernel() -> Callable[..., Any] | None:
    """Compile the pass; None without numba, or with one that does not work here, which is said."""
    if find_spec("numba") is None:
        return None
    try:
        from recorders.measure.one_pass import compiled

        return compiled()
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        warnings.warn(f"numba is installed but does not work, recording takes longer: {reason}", stacklevel=2)
        return None


def _is_plain(tensor: torch.Tensor) -> bool:
    return (
        tensor.dtype is torch.float32
        and type(tensor) in _PLAIN
        and tensor.is_cpu
        and tensor.layout is torch.strided
        and tensor.is_contiguous()
        and tensor.data_ptr() != 0  # no memory behind it: zeros that are not laid out, a storage that was given back
    )
