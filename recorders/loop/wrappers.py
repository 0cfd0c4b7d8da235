"""The network and the optimizer inside what wraps them, and the names that are the network's own."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from recorders.contract import InputError

# Where wrappers keep the network: torch.compile, Fabric, and DDP, DataParallel, AveragedModel, DeepSpeed.
_COMPILED, _FABRIC, _PARALLEL = "_orig_mod", "_forward_module", "module"
_WRAPPERS = ("torch", "lightning", "lightning_fabric", "accelerate", "deepspeed", "fairscale", "apex")
_SEGMENTS = (_COMPILED, _FABRIC, "_checkpoint_wrapped_module", "_fsdp_wrapped_module")

Optimizers = torch.optim.Optimizer | Iterable[torch.optim.Optimizer]


def unwrapped_model(model: Any) -> nn.Module:
    """Find the network in its wrappers."""
    if not isinstance(model, nn.Module):
        swapped = ": model and optimizer are swapped" if isinstance(model, torch.optim.Optimizer) else ""
        raise InputError(f"model must be a torch.nn.Module, got {type(model).__name__}{swapped}")
    network: nn.Module = model
    while (inner := _inside(network)) is not None:
        network = inner
    return network


def unwrapped_optimizers(optimizer: Optimizers) -> list[torch.optim.Optimizer]:
    """List the optimizers whose `step` makes the updates."""
    asked = optimizer if isinstance(optimizer, Iterable) else [optimizer]
    found = []
    for one in asked:
        while isinstance(inner := getattr(one, "optimizer", None), torch.optim.Optimizer):
            one = inner
        if not isinstance(one, torch.optim.Optimizer):
            raise InputError(
                f"optimizer must be a torch.optim.Optimizer or several, got {type(one).__name__}: make the Recorder "
                "once the optimizer is there; for a loop without one pass optimizer=[] and call recorder.observe()"
            )
        found.append(one)
    return list(dict.fromkeys(found))


def forget_compiled() -> None:
    """Have compiled networks compiled anew at their next call: a graph made earlier has no hooks in it.

    It would be used again for every network of the same architecture, since its guards do not look at hooks.
    """
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()


def plain_name(name: str) -> str:
    """Take out of a parameter's or module's name what wrappers inside the network put there."""
    return ".".join(part for part in name.split(".") if part not in _SEGMENTS)


def _inside(model: nn.Module) -> nn.Module | None:
    for attribute in (_COMPILED, _FABRIC):
        if isinstance(inner := model._modules.get(attribute), nn.Module):
            return inner
    inner = model._modules.get(_PARALLEL)
    # A network of one's own may have a part called "module": then that is its name.
    foreign = type(model).__module__.partition(".")[0] in _WRAPPERS
    return inner if foreign and isinstance(inner, nn.Module) else None
