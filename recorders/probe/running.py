"""Runs any classifier on a batch, in float64: what it takes and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from recorders.contract import InputError


def fitting(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Give the batch as the network takes it: in float64, or whole numbers as they are where it looks them up."""
    wide = images.double()
    try:
        model(wide)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        if not images.is_floating_point():
            try:
                model(images)
            except (RuntimeError, TypeError, ValueError, IndexError) as second:
                raise _not_run(model, images, second) from second
            return images
        raise _not_run(model, wide, error) from error
    return wide


def logits(model: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Run the network.

    Parameters
    ----------
    model : nn.Module
        Returns a tensor, or a mapping, object or tuple that holds it: as ``logits``, or as its only floating tensor.
    inputs : Tensor, shape (sample, ...)
        The batch.

    Returns
    -------
    Tensor of float64, shape (sample, class)

    Raises
    ------
    InputError
        It returns something else.
    """
    output = model(inputs)
    found = [output] if isinstance(output, torch.Tensor) else _held(output)
    if len(found) != 1 or found[0].ndim != 2 or len(found[0]) != len(inputs) or not found[0].is_floating_point():
        shapes = ", ".join(str(tuple(t.shape)) for t in found) or "no tensor"
        raise InputError(
            f"the probe needs logits of shape (sample, class), {type(model).__name__} returned "
            f"{type(output).__name__} with {shapes}: give it a model that returns one tensor of them for "
            f"{len(inputs)} samples, alone or as 'logits'"
        )
    return found[0].double()  # some networks give float32 whatever they compute in


def _held(output: Any) -> list[torch.Tensor]:
    if not isinstance(output, (Mapping, tuple, list)):
        output = getattr(output, "__dict__", {})
    named = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if isinstance(named, torch.Tensor):
        return [named]
    values = output.values() if isinstance(output, Mapping) else output
    return [v for v in values if isinstance(v, torch.Tensor) and v.is_floating_point()]


def _not_run(model: nn.Module, inputs: torch.Tensor, error: Exception) -> InputError:
    reason = " ".join(str(error).split())
    return InputError(
        f"the probe cannot run a float64 copy of {type(model).__name__} on its batch, {inputs.dtype} of shape "
        f"{tuple(inputs.shape)}: {reason}"
    )
