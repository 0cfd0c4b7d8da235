"""Mean squares of the hidden layers' outputs, caught by forward hooks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, ValuesView
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from recorders.networks.layers import hidden_layers

Hooks = OrderedDict[int, Callable[..., Any]]


class Activations:
    """Catches the mean square of every hidden layer's output in training mode.

    Parameters
    ----------
    model : nn.Module
        The network; `close` takes the hooks off again.
    """

    def __init__(self, model: nn.Module) -> None:
        modules = hidden_layers(model)
        self.layers = list(modules)
        self._caught: dict[str, torch.Tensor] = {}
        self.armed = True
        self._handles = [_hooked(m, partial(self._catch, name)) for name, m in modules.items()]

    def take(self, like: torch.Tensor) -> torch.Tensor:
        """Hand over the mean squares caught since the last call, in layer order.

        Parameters
        ----------
        like : Tensor
            Any tensor on the device the result shall be on.

        Returns
        -------
        Tensor, shape (layer,)
            NaN for a layer whose module was not called in training mode.
        """
        caught, self._caught = self._caught, {}
        missing = torch.full((), torch.nan, device=like.device)
        return torch.stack([caught.get(name, missing) for name in self.layers]) if self.layers else like.new_empty(0)

    def close(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()

    def _catch(self, name: str, module: nn.Module, _: Any, output: Any) -> None:
        if self.armed and module.training:
            value = output[0] if isinstance(output, tuple) else output
            self._caught[name] = value.detach().float().square().mean()


class _UncopiedHooks(Hooks):
    """The forward hooks of a module of which ours are its own: copies, files and scripts of the module lack them."""

    ours: set[int]

    def __reduce__(self) -> Any:
        return OrderedDict, (list(self._others().items()),)

    def __copy__(self) -> Hooks:
        return self._others()

    def __deepcopy__(self, memo: dict[int, Any]) -> Hooks:
        return deepcopy(self._others(), memo)

    def values(self) -> ValuesView[Callable[..., Any]]:  # type: ignore[override]
        """Give what `torch.jit.script` compiles; a call of the module goes through the items."""
        return self._others().values()

    def _others(self) -> Hooks:
        return OrderedDict((number, hook) for number, hook in self.items() if number not in self.ours)


def _hooked(module: nn.Module, hook: Callable[..., Any]) -> RemovableHandle:
    # Handles of hooks that are there already would lose their dict: then ours goes beside them, and into copies.
    if not module._forward_hooks:
        hooks = _UncopiedHooks()
        hooks.ours = set()
        module._forward_hooks = hooks
    handle = module.register_forward_hook(hook)
    if isinstance(module._forward_hooks, _UncopiedHooks):
        module._forward_hooks.ours.add(handle.id)
    return handle
