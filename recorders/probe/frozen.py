"""A network that is only looked at: a float64 copy that runs a fixed batch under any weights and masks."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import nn

from recorders.networks.layers import hidden_layers, prunable_parameters
from recorders.probe.pieces import FixedInput

Weights = Mapping[str, torch.Tensor]
Masks = Mapping[str, torch.Tensor]


class FrozenNetwork:
    """A float64 copy of a network, in evaluation mode; the original, its mode and its hooks are left alone.

    A first layer that is linear, with nothing trained before it, is computed outside: it always gets the same input.

    Parameters
    ----------
    model : nn.Module
        The network; copied.
    images : Tensor, shape (sample, ...)
        The fixed batch.

    Attributes
    ----------
    owners : dict of str to Module
        The module of each prunable weight, by the weight's name.
    hidden : dict of str to Module
        As `hidden_layers`.
    first : str or None
        Name of the weight that is multiplied outside.
    first_input : FixedInput
        Its input, where there is such a weight.
    arguments, outputs : dict of str to tuple, and to Tensor
        Arguments of the prunable weights' modules, by weight, and outputs of the hidden layers, in the pass done last.
    """

    def __init__(self, model: nn.Module, images: torch.Tensor) -> None:
        self._model = _quiet_copy(model)
        self._images = images.double()
        self.hidden = hidden_layers(self._model)
        self.owners = {n: self._model.get_submodule(n.rpartition(".")[0]) for n in prunable_parameters(self._model)}
        self.arguments: dict[str, tuple[Any, ...]] = {}
        self.outputs: dict[str, torch.Tensor] = {}
        called: list[nn.Module] = []
        handles = [m.register_forward_pre_hook(lambda m, _: called.append(m)) for m in _parameterised(self._model)]
        for name, owner in self.owners.items():
            owner.register_forward_pre_hook(partial(self._keep_arguments, name))
        for name, module in self.hidden.items():
            module.register_forward_hook(partial(self._keep_output, name))
        self._model.requires_grad_(requires_grad=False)
        self._tensors = dict(self._model.named_parameters()) | dict(self._model.named_buffers())
        with torch.no_grad():
            self.classes: int = self._model(self._images).shape[-1]
        for handle in handles:
            handle.remove()
        self._share_first(called[0])

    def forward(self, wide: Weights, masks: Masks, first: torch.Tensor | None) -> torch.Tensor:
        """Run the fixed batch.

        Parameters
        ----------
        wide : mapping of str to Tensor of float64
            Every parameter, and buffers that change while training, by name.
        masks : mapping of str to Tensor of bool
            The weights that stay; none for the dense network.
        first : Tensor, shape (sample, unit), or None
            What the weight `first` gives under these masks, without bias.

        Returns
        -------
        Tensor of float64, shape (sample, class)
            Softmax outputs.
        """
        for name, value in wide.items():
            if name != self.first:  # which is already multiplied
                self._tensors[name].data = value * masks[name] if name in masks else value
        if first is not None and self.first is not None:
            bias = wide.get(f"{self.first.rpartition('.')[0]}.bias")
            self._given = (first if bias is None else first + bias).reshape(*self._first_shape, -1)
        outputs: torch.Tensor = self._model(self._images).softmax(-1)
        return outputs

    def _share_first(self, earliest: nn.Module) -> None:
        """Take the first layer out of the network, if nothing before it has weights that will change."""
        name = next(iter(self.arguments), None)
        shared = name is not None and self.owners[name] is earliest and isinstance(earliest, nn.Linear)
        self.first = name if shared else None
        if self.first is not None:
            inputs = self.arguments[self.first][0]
            self.first_input, self._first_shape = FixedInput(inputs), inputs.shape[:-1]
            self.owners[self.first].forward = lambda *_: self._given

    def _keep_arguments(self, name: str, _: nn.Module, arguments: tuple[Any, ...]) -> None:
        if arguments:
            self.arguments[name] = arguments

    def _keep_output(self, name: str, _: nn.Module, __: Any, output: Any) -> None:
        self.outputs[name] = output[0] if isinstance(output, tuple) else output


def _parameterised(model: nn.Module) -> list[nn.Module]:
    """Find the modules that hold parameters or buffers of their own."""
    return [m for m in model.modules() if any(True for _ in (*m.parameters(recurse=False), *m.buffers(recurse=False)))]


def _quiet_copy(model: nn.Module) -> nn.Module:
    """Copy a network to float64 and evaluation mode, without the hooks of whoever watches the original."""
    copy = deepcopy(model).double().eval()
    for module in copy.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return copy
