"""Mean squares of the hidden layers' outputs, caught by forward hooks."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn

from recorders.prunable import hidden_layers


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
        self.caught: dict[str, torch.Tensor] = {}
        self.armed = True
        self._handles = [m.register_forward_hook(partial(self._catch, name)) for name, m in modules.items()]

    def latest(self, like: torch.Tensor) -> torch.Tensor:
        """Mean squares in layer order, shape (layer,); NaN for a layer whose module was not called.

        Parameters
        ----------
        like : Tensor
            Any tensor on the device the result shall be on.
        """
        missing = torch.full((), torch.nan, device=like.device)
        return (
            torch.stack([self.caught.get(name, missing) for name in self.layers]) if self.layers else like.new_empty(0)
        )

    def close(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()

    def _catch(self, name: str, module: nn.Module, _: Any, output: Any) -> None:
        if self.armed and module.training:
            value = output[0] if isinstance(output, tuple) else output
            self.caught[name] = value.detach().float().square().mean()
