"""A network that is only looked at: a float64 copy that runs a fixed batch under any weights and masks."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from recorders.networks.layers import hidden_layers, prunable_parameters
from recorders.probe.linearity import has_own_forward, multiplies
from recorders.probe.pieces import FixedInput, linear_input
from recorders.probe.running import fitting, logits
from recorders.probe.survivors import unit_axis

Weights = Mapping[str, torch.Tensor]
Masks = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Pass:
    """What the network did with the fixed batch, under some weights and masks.

    Attributes
    ----------
    output : Tensor of float64, shape (sample, class)
        Softmax outputs.
    arguments : dict of str to tuple
        What the module of each prunable weight was called with, in the order of its `forward`, by weight; of a module
        called twice the second time.
    hidden : dict of str to Any
        Outputs of the hidden layers; of a tuple the first.
    """

    output: torch.Tensor
    arguments: dict[str, tuple[Any, ...]]
    hidden: dict[str, Any]


class FrozenNetwork:
    """A float64 copy of a network, in evaluation mode; the original, its mode and its hooks are left alone.

    A first layer that is linear and no more, with nothing trained before it, always gets the same input. Its output is
    not computed in the network: whoever calls `forward` gives it, since outputs under several masks share most of that
    product.

    Parameters
    ----------
    model : nn.Module
        The network; copied.
    images : Tensor, shape (sample, ...)
        The fixed batch.

    Attributes
    ----------
    owners : dict of str to Module
        The module of each prunable weight, by the weight's name; attention's for its output projection, which it does
        not call.
    layers : dict of str to Module
        The hidden layers, as `hidden_layers` names them.
    no_split, no_load : dict of str to str
        Weights whose pre-activations, and hidden layers whose load, cannot be told, with the reason.
    classes : int
        Outputs of the network.
    first : str or None
        Name of the weight whose product is given.
    first_input : FixedInput
        Its input, where there is such a weight.
    """

    def __init__(self, model: nn.Module, images: torch.Tensor) -> None:
        self._model = _quiet_copy(model)
        hidden = hidden_layers(self._model)
        self.layers = {name: self._model.get_submodule(name) for name in hidden}
        self.owners = {name: _owner(self._model, name) for name in prunable_parameters(self._model)}
        with torch.no_grad():
            self._images = fitting(self._model, images)
        self._arguments: dict[str, tuple[Any, ...]] = {}
        self._hidden: dict[str, Any] = {}
        self._turn: dict[nn.Module, str] = {}
        self._first_output: torch.Tensor | None = None
        called: list[nn.Module] = []
        handles = [m.register_forward_pre_hook(lambda m, _: called.append(m)) for m in _parameterised(self._model)]
        for name, owner in self.owners.items():
            owner.register_forward_pre_hook(partial(self._keep_arguments, name), with_kwargs=True)
        self._watch(hidden)
        self._model.requires_grad_(requires_grad=False)
        self._tensors = dict(self._model.named_parameters()) | dict(self._model.named_buffers())
        with torch.no_grad():
            self.classes = logits(self._model, self._images).shape[-1]
            for handle in handles:
                handle.remove()
            self._find_gaps()
        self._take_first_out(called)

    def forward(self, wide: Weights, masks: Masks, first: torch.Tensor | None) -> Pass:
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
        Pass
        """
        for name, value in wide.items():
            if name != self.first:  # which is already multiplied
                self._tensors[name].data = value * masks[name] if name in masks else value
        if first is not None and self.first is not None:
            bias = wide.get(f"{self.first.rpartition('.')[0]}.bias")
            self._first_output = (first if bias is None else first + bias).reshape(*self._first_shape, -1)
        self._arguments, self._hidden = {}, {}  # the hooks fill them; each pass has its own
        found = Pass(logits(self._model, self._images).softmax(-1), self._arguments, self._hidden)
        self._arguments, self._hidden, self._first_output = {}, {}, None
        return found

    def _watch(self, hidden: Mapping[str, nn.Module]) -> None:
        """Keep hidden outputs; that of an activation function which layers share is of the layer called before it."""
        layers = Counter(hidden.values())
        for name, module in hidden.items():
            if layers[module] == 1 or isinstance(module, nn.MultiheadAttention):
                module.register_forward_hook(partial(self._keep_output, name))
                continue
            self.layers[name].register_forward_hook(partial(self._take_turn, name, module))
            if module not in self._turn:
                module.register_forward_hook(self._keep_shared)
                self._turn[module] = ""

    def _find_gaps(self) -> None:
        weights, arguments, hidden = dict(self._model.named_parameters()), self._arguments, self._hidden
        inputs = {name: linear_input(owner, name, arguments.get(name)) for name, owner in self.owners.items()}
        self.no_split = {name: found for name, found in inputs.items() if isinstance(found, str)}
        for name, found in inputs.items():
            owner = self.owners[name]
            derived = isinstance(owner, nn.Linear | _ConvNd) and has_own_forward(owner)
            if derived and isinstance(found, torch.Tensor) and not multiplies(owner, found, arguments[name]):
                self.no_split[name] = f"{type(owner).__name__} does more than to multiply by it"
        axes = {n: unit_axis(m, weights.get(f"{n}.weight"), hidden.get(n)) for n, m in self.layers.items()}
        self.no_load = {name: found for name, found in axes.items() if isinstance(found, str)}

    def _take_first_out(self, called: list[nn.Module]) -> None:
        """Have the first layer's output given, if no weights that will change come before it, nor it again."""
        name = next(iter(self._arguments), None)
        owner = None if name is None else self.owners[name]
        linear = isinstance(owner, nn.Linear) and not has_own_forward(owner)
        self.first = name if linear and owner is called[0] and called.count(called[0]) == 1 else None
        if self.first is not None and owner is not None:
            inputs = self._arguments[self.first][0]
            self.first_input, self._first_shape = FixedInput(inputs), inputs.shape[:-1]
            owner.forward = self._given_first

    def _given_first(self, *_: torch.Tensor, **__: torch.Tensor) -> torch.Tensor:
        """Stand in for the first layer's `forward`: the output that was given for this pass."""
        assert self._first_output is not None
        return self._first_output

    def _keep_arguments(self, name: str, owner: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        if named:
            bound = inspect.signature(type(owner).forward).bind(owner, *given, **named)
            bound.apply_defaults()
            given = bound.args[1:]
        if given:
            self._arguments[name] = given

    def _keep_output(self, name: str, _: nn.Module, __: Any, output: Any) -> None:
        self._hidden[name] = output[0] if isinstance(output, tuple) else output

    def _take_turn(self, name: str, follows: nn.Module, *_: Any) -> None:
        self._turn[follows] = name

    def _keep_shared(self, module: nn.Module, arguments: Any, output: Any) -> None:
        name, self._turn[module] = self._turn[module], ""
        if name:
            self._keep_output(name, module, arguments, output)


def _owner(model: nn.Module, name: str) -> nn.Module:
    path = name.rpartition(".")[0]
    parent = model.get_submodule(path.rpartition(".")[0])
    projects = isinstance(parent, nn.MultiheadAttention) and path.endswith("out_proj")
    return parent if projects else model.get_submodule(path)


def _parameterised(model: nn.Module) -> list[nn.Module]:
    """Find the modules that hold parameters or buffers of their own."""
    return [m for m in model.modules() if any(True for _ in (*m.parameters(recurse=False), *m.buffers(recurse=False)))]


def _quiet_copy(model: nn.Module) -> nn.Module:
    """Copy a network to float64 and evaluation mode, without the hooks of whoever watches the original."""
    copy = deepcopy(model).double().eval()
    for module in copy.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
        if isinstance(module, nn.TransformerEncoder):  # padded tokens, as in training: hooks see no ragged tensors
            module.use_nested_tensor = False
    return copy
