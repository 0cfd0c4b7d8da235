"""Masks that a network carries by itself: where they are kept, whoever pruned it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.utils.parametrize import ParametrizationList


class FoundMask(NamedTuple):
    """A mask and where it was found, in words."""

    mask: torch.Tensor
    source: str


class FoundMasks:
    """Looks for the masks of a network's weights, in this order.

    The buffers of `torch.nn.utils.prune`; a parametrization that holds a mask (those of `torch.ao.pruning` too, also of
    whole rows); a tensor of the weight's shape beside it that is called ``<weight>_mask``, ``weight_mask`` or ``mask``.
    A weight with several names is looked up under each.

    Parameters
    ----------
    model : nn.Module
        The network.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._places: dict[int, list[tuple[nn.Module, str]]] = {}
        self._doubted: set[tuple[nn.Module, str]] = set()
        self._links: list[tuple[Mapping[str, nn.Module | None], str, nn.Module | None]] = []
        self._bare: list[tuple[nn.Parameter, nn.Module, str, int, int, int]] = []

    def of(self, parameters: Mapping[str, nn.Parameter]) -> dict[str, FoundMask]:
        """Give the masks there are now, by the weights' names."""
        self._locate()
        found = {}
        for name, parameter in parameters.items():
            for module, attribute in self._places.get(id(parameter), ()):
                if (mask := self._beside(module, attribute, parameter)) is not None:
                    found[name] = mask
                    break
        self._bare = [] if found else self._contents(parameters)
        return found

    def are_still_none(self, parameters: Mapping[str, nn.Parameter]) -> bool:
        """Whether nothing was found before and the modules hold as many tensors and attributes as then: a quick look.

        It does not see a mask that takes the place of another attribute, or a weight that got a second module.
        """
        if len(self._bare) != len(parameters):
            return False
        for children, name, child in self._links:
            if children.get(name) is not child:
                return False
        for parameter, (own, module, attribute, *contents) in zip(parameters.values(), self._bare, strict=True):
            if parameter is not own or module._parameters.get(attribute) is not own:
                return False
            if [len(module._parameters), len(module._buffers), len(module.__dict__)] != contents:
                return False
        return True

    def _contents(
        self, parameters: Mapping[str, nn.Parameter]
    ) -> list[tuple[nn.Parameter, nn.Module, str, int, int, int]]:
        """Note what the module of every weight holds; nothing where that does not tell whether there is a mask."""
        noted = []
        for parameter in parameters.values():
            places = self._places.get(id(parameter), [])
            if len(places) != 1 or isinstance(places[0][0], ParametrizationList):
                return []
            module, attribute = places[0]
            contents = len(module._parameters), len(module._buffers), len(module.__dict__)
            noted.append((parameter, module, attribute, *contents))
        return noted

    def _locate(self) -> None:
        """Find out anew which modules hold each weight: layers may have been replaced, pruned, parametrized."""
        self._places, self._links = {}, []
        for module in self._model.modules():
            self._links += [(module._modules, name, child) for name, child in module._modules.items()]
            for attribute, parameter in module._parameters.items():
                plain = attribute.removesuffix("_orig")
                if parameter is not None:
                    place = module, attribute if plain in module._parameters else plain
                    self._places.setdefault(id(parameter), []).append(place)

    def _beside(self, module: nn.Module, attribute: str, parameter: nn.Parameter) -> FoundMask | None:
        if isinstance(module, ParametrizationList):
            masks = (_of_rows(mask, parameter) for inner in module for mask in _masks_within(inner))
            mask = next((mask for mask in masks if mask.shape == parameter.shape), None)
            return None if mask is None else FoundMask(mask, "parametrization")
        own = module._buffers.get(f"{attribute}_mask")
        if own is not None and f"{attribute}_orig" in module._parameters:
            return FoundMask(own, "torch.nn.utils.prune")
        for key in dict.fromkeys((f"{attribute}_mask", "weight_mask", "mask")):
            mask = _attribute(module, key)
            if mask is None or mask.shape != parameter.shape:
                continue
            if key == f"{attribute}_mask" or self._is_the_only(module, key, parameter):
                return FoundMask(mask, f"tensor {key!r} beside the weight")
        return None

    def _is_the_only(self, module: nn.Module, key: str, parameter: nn.Parameter) -> bool:
        """Whether a mask without the weight's name can only be this weight's."""
        fitting = [p for p in module._parameters.values() if p is not None and p.shape == parameter.shape]
        fitting = [p for p in fitting if p is not module._parameters.get(key)]
        if len(fitting) > 1 and (module, key) not in self._doubted:
            self._doubted.add((module, key))
            warnings.warn(
                f"{type(module).__name__}.{key} fits {len(fitting)} weights: not used as a mask; pass masks=, or "
                "call it after its weight ('<weight>_mask')",
                stacklevel=2,
            )
        return len(fitting) == 1


def _masks_within(parametrization: nn.Module) -> Iterator[torch.Tensor]:
    for module in parametrization.modules():
        for name in (*module._buffers, *module._parameters):
            if (name == "mask" or name.endswith("_mask")) and (mask := _attribute(module, name)) is not None:
                yield mask


def _of_rows(mask: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Spread a mask of whole rows (structured pruning) over the weight."""
    if mask.ndim == 1 and weight.ndim > 1 and len(mask) == len(weight):
        return mask.reshape(-1, *[1] * (weight.ndim - 1)).expand_as(weight)
    return mask


def _attribute(module: nn.Module, name: str) -> torch.Tensor | None:
    """Look a tensor of a module up, if it is one that does not train."""
    for tensors in (module._buffers, module._parameters, module.__dict__):
        tensor = tensors.get(name)
        if isinstance(tensor, torch.Tensor) and not tensor.requires_grad:
            return tensor
    return None
