"""Mean squares of the hidden layers' outputs, caught by forward hooks."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn

from recorders.networks.layers import hidden_layers


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
        self._handles = [m.register_forward_hook(partial(self._catch, name)) for name, m in modules.items()]

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
