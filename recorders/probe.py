"""Measures the burden of mask updates on a fixed held-out batch (science.md §6).

Everything happens on a float64 copy of the network in evaluation mode: the training network, its mode and every random
generator are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import one_hot

from recorders.contract import QUANTILES, InputError
from recorders.decomposition import PARTS, TERMS, Outputs, layer_split, parts, terms
from recorders.load import load_quantiles, unit_activations, unit_inputs, unit_weight_norms
from recorders.pieces import FixedInput, Pieces
from recorders.prunable import hidden_layers, prunable_parameters

Weights = Mapping[str, torch.Tensor]
Masks = Mapping[str, torch.Tensor]
Values = dict[str, torch.Tensor]


class MaskProbe:
    """Evaluates a network under the masks around an update.

    Parameters
    ----------
    model : nn.Module
        The network; copied.
    images : Tensor, shape (sample, ...)
        A fixed batch that is not trained on.
    labels : Tensor of int64, shape (sample,)
        Its classes.

    Raises
    ------
    InputError
        The network is already under `torch.nn.utils.prune`, which hides its weights.
    """

    def __init__(self, model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
        if any(name.endswith("_orig") for name, _ in model.named_parameters()):
            raise InputError("the network is under torch.nn.utils.prune: make the probe before the first pruning")
        self._model = _quiet_copy(model)
        self._images = images.double()
        self._names = list(prunable_parameters(self._model))
        self._hidden = hidden_layers(self._model)
        self._owners = {name: self._model.get_submodule(name.rpartition(".")[0]) for name in self._names}
        self._inputs: dict[str, torch.Tensor] = {}
        self._outputs: dict[str, torch.Tensor] = {}
        for name, owner in self._owners.items():
            owner.register_forward_pre_hook(partial(self._keep_input, name))
        for name, module in self._hidden.items():
            module.register_forward_hook(partial(self._keep_output, name))
        self._model.requires_grad_(requires_grad=False)
        with torch.no_grad():
            classes = self._model(self._images).shape[-1]
        self._labels = one_hot(labels, classes).double()
        self._share_first()

    def look(self, weights: Weights, old: Masks, new: Masks) -> Values:
        """Decompose a mask update, with the weights as they are.

        Parameters
        ----------
        weights : mapping of str to Tensor
            Every parameter by name, prunable ones dense; buffers that change while training (batch norm's statistics).
        old, new : mapping of str to Tensor of bool
            The masks before and after the update.

        Returns
        -------
        dict of str to Tensor of float64
            `fit`, `compensation`, … of shape (target,); `lost`, `regained`, `recovered` of shape (order,);
            ``layer_*`` of shape (parameter,); and the new mask's `load`.
        """
        with torch.no_grad():
            wide = _widened(weights)
            first = self._pieces(wide, old, new)
            before = self._forward(wide, old, first.old if first else None)
            layers = self._layers(wide, old, new, first)  # reads the inputs that pass left behind
            both, either = ({n: old[n] & new[n] for n in old}, {n: old[n] | new[n] for n in old})
            outputs = Outputs(
                old=before,
                both=self._forward(wide, both, first.both if first else None),
                either=self._forward(wide, either, first.either if first else None),
                new=self._forward(wide, new, first.new if first else None),
            )
            load = self._load(wide, new)  # reads the activations that pass left behind
            found = self._terms(outputs, self._dense(wide, old, first))
            return found | dict(zip(PARTS, parts(outputs), strict=True)) | layers | load

    def relax(self, weights: Weights, old: Masks, new: Masks) -> Values:
        """Decompose the same update again with weights that have moved on: ``relaxed_*`` of shape (target,)."""
        with torch.no_grad():
            wide = _widened(weights)
            first = self._pieces(wide, old, new)
            before = self._forward(wide, old, first.old if first else None)
            after = self._forward(wide, new, first.new if first else None)
            found = self._terms(Outputs(before, after, before, after), self._dense(wide, old, first))
            return {f"relaxed_{name}": value for name, value in found.items()}

    def load(self, weights: Weights, masks: Masks) -> Values:
        """Measure the survivors' load under one mask.

        Returns
        -------
        dict of str to Tensor of float64
            ``load_inputs``, ``load_weight_norm``, ``load_activation`` of shape (layer, quantile): each unit's surviving
            inputs, the L2 norm of their weights and its mean |activation|; ``dead_units`` of shape (layer,). NaN for
            layers without a weight of their own.
        """
        with torch.no_grad():
            wide = _widened(weights)
            first = None
            if self._first is not None:
                first = self._first_input.product(wide[self._first] * masks[self._first])
            self._forward(wide, masks, first)
            return self._load(wide, masks)

    def _pieces(self, wide: Weights, old: Masks, new: Masks) -> Pieces | None:
        if self._first is None:
            return None
        return self._first_input.pieces(wide[self._first], old[self._first], new[self._first])

    def _dense(self, wide: Weights, like: Masks, first: Pieces | None) -> torch.Tensor:
        everything = {name: torch.ones_like(mask) for name, mask in like.items()}
        return self._forward(wide, everything, first.dense if first else None)

    def _forward(self, wide: Weights, masks: Masks, first: torch.Tensor | None) -> torch.Tensor:
        """Softmax outputs under a mask; `first`: the shared first layer's output without bias, if there is one."""
        masked = {n: w * masks[n] if n in masks and n != self._first else w for n, w in wide.items()}
        if first is not None and self._first is not None:
            bias = wide.get(f"{self._first.rpartition('.')[0]}.bias")
            shape = (*self._first_shape, first.shape[-1])
            self._given = (first if bias is None else first + bias).reshape(shape)
        outputs: torch.Tensor = functional_call(self._model, masked, (self._images,)).softmax(-1)
        return outputs

    def _layers(self, wide: Weights, old: Masks, new: Masks, first: Pieces | None) -> Values:
        """Decompose each linear layer's pre-activations at the old network's inputs; the target is all its weights."""
        columns = []
        for name in self._names:
            if name == self._first and first is not None:
                split = layer_split(first.lost, first.regained, first.rest)
            elif isinstance(self._owners[name], nn.Linear) and name in self._inputs:
                weight, inputs = wide[name], FixedInput(self._inputs[name])
                gone = (old[name] & ~new[name], new[name] & ~old[name], ~(old[name] | new[name]))
                split = layer_split(*(inputs.product(weight * kept) for kept in gone))
            else:
                split = torch.full((len(TERMS) + len(PARTS),), torch.nan, dtype=torch.float64)
            columns.append(split.cpu())
        table = torch.stack(columns, dim=1)
        return {f"layer_{name}": row for name, row in zip((*TERMS, *PARTS), table, strict=True)}

    def _terms(self, outputs: Outputs, dense: torch.Tensor) -> Values:
        table = torch.stack([terms(outputs, self._labels), terms(outputs, dense)], dim=1)
        return dict(zip(TERMS, table, strict=True))

    def _load(self, wide: Weights, masks: Masks) -> Values:
        missing = torch.full((len(QUANTILES),), torch.nan, dtype=torch.float64, device=self._images.device)
        inputs, norms, activations, dead = [], [], [], []
        for layer in self._hidden:
            name = f"{layer}.weight"
            known = name in masks and layer in self._outputs
            inputs.append(load_quantiles(unit_inputs(masks[name])) if known else missing)
            norms.append(load_quantiles(unit_weight_norms(wide[name], masks[name])) if known else missing)
            mean, silent = unit_activations(self._outputs[layer], len(masks[name])) if known else (missing, missing)
            activations.append(load_quantiles(mean) if known else missing)
            dead.append(silent.double().sum() if known else missing[0])
        if not inputs:
            return {}
        return {
            "load_inputs": torch.stack(inputs),
            "load_weight_norm": torch.stack(norms),
            "load_activation": torch.stack(activations),
            "dead_units": torch.stack(dead),
        }

    def _share_first(self) -> None:
        """Compute the first prunable layer outside the network, if it is linear: all masks see the same input."""
        name = next(iter(self._inputs), None)
        self._first = name if name is not None and isinstance(self._owners[name], nn.Linear) else None
        if self._first is not None:
            owner, inputs = self._owners[self._first], self._inputs[self._first]
            self._first_input, self._first_shape = FixedInput(inputs), inputs.shape[:-1]
            owner.forward = lambda *_: self._given

    def _keep_input(self, name: str, _: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        if arguments:
            self._inputs[name] = arguments[0]

    def _keep_output(self, name: str, _: nn.Module, __: Any, output: Any) -> None:
        self._outputs[name] = output[0] if isinstance(output, tuple) else output


def _widened(weights: Weights) -> dict[str, torch.Tensor]:
    return {n: w.detach().double() if w.is_floating_point() else w.detach() for n, w in weights.items()}


def _quiet_copy(model: nn.Module) -> nn.Module:
    """Copy a network to float64 and evaluation mode, without the hooks of whoever watches the original."""
    copy = deepcopy(model).double().eval()
    for module in copy.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return copy
