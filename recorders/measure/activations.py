"""Mean squares of the hidden layers' outputs, caught by forward hooks."""

from __future__ import annotations

import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, ValuesView
from copy import deepcopy
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch._C import _functorch as functorch
from torch.utils.hooks import RemovableHandle

from recorders.networks.layers import hidden_layers

_NAMED = 4  # layers that a warning names; the others are counted
Hooks = OrderedDict[int, Callable[..., Any]]


class Activations:
    """Catches the mean square of every hidden layer's output in training mode.

    All calls between two looks count, weighted by their number of values: the micro-batches of a step, a layer that is
    called twice. An activation function that several layers share is measured for the layer called just before it.

    Parameters
    ----------
    model : nn.Module
        The network; `close` takes the hooks off again.
    stacked : bool
        Whether the network runs, and `take` is called, under `torch.vmap`. Else what is called there has no value.

    Attributes
    ----------
    layers : list of str
        Names of the hidden layers.
    sources : dict of str to str
        By layer, what its value is of; beginning with ``none`` and the reason where it has none.
    """

    def __init__(self, model: nn.Module, *, stacked: bool = False) -> None:
        self._stacked = stacked
        modules = hidden_layers(model)
        self.layers = list(modules)
        self.sources = dict.fromkeys(self.layers, "none: not called in training mode")
        self._measured = {name: f"output of {_described(model, name, module)}" for name, module in modules.items()}
        self._caught: dict[str, tuple[torch.Tensor, int]] = {}
        self._turn: dict[nn.Module, str] = {}
        self._warned: set[str] = set()
        self._closed = self._compiled = self._called = False
        self._armed = True
        self._hooks: list[tuple[nn.Module, Callable[..., Any]]] = []
        places = Counter(module for _, module in model.named_modules(remove_duplicate=False))
        for name, module in modules.items():
            layer = model.get_submodule(name)
            shared = module is not layer and places[module] > 1 and not isinstance(module, nn.MultiheadAttention)
            if shared:
                self._hooks.append((layer, partial(self._announce, name, module)))
            if not shared or module not in self._turn:
                self._hooks.append((module, self._catch_shared if shared else partial(self._catch, name)))
            if shared:
                self._turn[module] = ""
        self._handles = [_hooked(*hook) for hook in self._hooks]

    def arm(self, armed: bool) -> None:
        """Say whether the calls that come are measured; while they are not, hooks cost nothing: they are off.

        In what is compiled they stay: it was compiled with them, and measures every call. So they do until a first
        call has shown whether the network is compiled.
        """
        if self._closed or armed == bool(self._handles) == self._armed:
            return
        self._armed = armed
        if self._compiled or not self._called:
            return
        if armed and not self._handles:
            self._handles = [_hooked(*hook) for hook in self._hooks]
        elif not armed:
            self._remove()

    def take(self, like: torch.Tensor) -> torch.Tensor:
        """Hand over the mean squares caught since the last call, in layer order.

        Parameters
        ----------
        like : Tensor
            Any tensor on the device the result shall be on.

        Returns
        -------
        Tensor, shape (layer,)
            NaN for a layer whose module was not called in training mode, or whose output holds no floating tensor.
        """
        caught, self._caught = self._caught, {}
        if not self.layers:
            return like.new_empty(0)
        for name in caught:
            if self.sources[name].startswith("none"):
                self.sources[name] = self._measured[name]
        missing = torch.full((), torch.nan, device=like.device)
        means = {name: (total / count).to(like.device) for name, (total, count) in caught.items()}
        return torch.stack([means.get(name, missing) for name in self.layers])

    def forget(self) -> None:
        """Leave out what was caught since: later evaluations of a closure belong to no step."""
        self._caught = {}

    @property
    def missing(self) -> dict[str, str]:
        """Layers that have had no value so far, with the reason."""
        return {name: source for name, source in self.sources.items() if source.startswith("none")}

    def warn(self) -> None:
        """Name the layers without a value, once."""
        fresh = {name: source for name, source in self.missing.items() if name not in self._warned}
        self._warned |= fresh.keys()
        for source in dict.fromkeys(fresh.values()):
            names = [name for name, reason in fresh.items() if reason == source]
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            named = ", ".join(map(repr, names[:_NAMED])) + more
            warnings.warn(f"activation_rms of {named} is NaN: {source.removeprefix('none: ')}", stacklevel=2)

    def close(self) -> None:
        """Remove the hooks."""
        self._closed = True  # a compiled graph may have the hooks in it
        self._remove()

    def _remove(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _announce(self, name: str, follows: nn.Module, *_: Any) -> None:
        self._turn[follows] = name

    def _catch_shared(self, module: nn.Module, arguments: Any, output: Any) -> None:
        name, self._turn[module] = self._turn[module], ""
        if name:
            self._catch(name, module, arguments, output)

    def _catch(self, name: str, module: nn.Module, _: Any, output: Any) -> None:
        compiling = torch.compiler.is_compiling()  # then nothing may depend on the step
        if compiling:
            self._compiled = True
        self._called = True
        if self._closed or not module.training or not (compiling or self._armed):
            return
        plain = type(output) is torch.Tensor and output.layout is torch.strided and not output.is_nested
        value = output if plain and output.is_floating_point() else self._inside(name, output)
        if value is None:
            self.sources[name] = f"none: the output ({type(output).__name__}) holds no floating tensor"
            return
        if value.is_meta or (not compiling and not self._stacked and _is_batched(value)):
            self.sources[name] = f"none: called {'on the meta device' if value.is_meta else 'under vmap'}"
            return
        value = value.detach()
        value = value.abs() if value.is_complex() else value
        total, count = value.float().square().sum(), value.numel()
        if count:
            earlier = self._caught.get(name)
            self._caught[name] = (total, count) if earlier is None else (earlier[0] + total, earlier[1] + count)

    def _inside(self, name: str, output: Any) -> torch.Tensor | None:
        """Find what to measure in an output that is no plain tensor."""
        found = next(_tensors(output), None)
        if isinstance(output, torch.Tensor) or found is None:
            return found
        if not self._measured[name].startswith("first"):
            whole = f"{self._measured[name]} ({type(output).__name__})"
            self._measured[name] = f"first floating tensor of the {whole}"
        return found


def _is_batched(tensor: torch.Tensor) -> bool:
    """Whether a tensor is one of `torch.vmap`, be it inside other transforms: it does not outlive them."""
    while functorch.is_functorch_wrapped_tensor(tensor):
        if functorch.is_batchedtensor(tensor):
            return True
        tensor = functorch.get_unwrapped(tensor)
    return False


def _described(model: nn.Module, name: str, module: nn.Module) -> str:
    """Say which module's output a layer's value is of."""
    kind = type(module).__name__
    if isinstance(module, nn.MultiheadAttention):
        return f"the {kind}"
    return "the layer" if module is model.get_submodule(name) else f"the {kind} after it"


def _tensors(output: Any) -> Iterator[torch.Tensor]:
    """Walk through the floating tensors of an output: tuples, lists, mappings, dataclasses, packed and ragged ones."""
    if isinstance(output, torch.Tensor):
        dense = _dense(output)
        if dense is not None:
            yield dense
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, (tuple, list)):
        for value in output:
            yield from _tensors(value)
    elif is_dataclass(output):
        for field in fields(output):
            yield from _tensors(getattr(output, field.name))


def _dense(tensor: torch.Tensor) -> torch.Tensor | None:
    """Take the values of a tensor, however they are laid out; None where they are no numbers with a size."""
    if hasattr(tensor, "to_local"):  # a share of a distributed one: the other ranks hold the rest
        return None
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return None
    if tensor.is_nested:
        return tensor.values() if tensor.layout is torch.jagged else torch.cat([t.reshape(-1) for t in tensor.unbind()])
    return tensor if tensor.layout is torch.strided else tensor.to_dense()


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
