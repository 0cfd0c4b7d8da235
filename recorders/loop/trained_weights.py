"""The weights that are recorded: which optimizer updates them, and what becomes of them while a loop goes on."""

from __future__ import annotations

import gc
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import nn

from recorders.contract import InputError
from recorders.loop.wrappers import plain_name, unwrapped_optimizers
from recorders.networks.layers import prunable_parameters, weight_name

Optimizer = torch.optim.Optimizer
_NAMED = 4  # weights that a warning names; the others are counted


class TrainedWeights:
    """The prunable weights of a network that some optimizer updates, by the network's own names.

    Layers that are replaced by ones of the same shape are followed; what cannot be followed is warned about by name,
    once, and its values are NaN from then on.

    Parameters
    ----------
    model : nn.Module
        The network, without wrappers.
    optimizers : sequence of Optimizer
        Those that update it; none for a loop that makes its updates itself: then every prunable weight counts.

    Attributes
    ----------
    parameters : dict of str to Parameter
        The weights now.
    left_out : list of str
        Tensors with more than one dimension that are not recorded: frozen ones, tokens, position embeddings, and what
        no optimizer holds.
    gone : list of int
        Positions of those that are no longer in the network.
    columns : dict of Optimizer to list of int
        Positions of the weights that each optimizer updates; none for one of biases alone.
    idle : set of Optimizer
        Those that nobody named and that have not stepped yet, perhaps what an earlier training left behind, and those
        that lost weights to another and have not stepped since.

    Raises
    ------
    InputError
        Lazy layers, no prunable weight, or none that an optimizer holds.
    """

    def __init__(self, model: nn.Module, optimizers: Sequence[Optimizer]) -> None:
        self._model = model
        _check_initialised(model)
        found = {plain_name(name): p for name, p in prunable_parameters(model).items()}
        if optimizers and _without(found, optimizers) == list(found):
            raise InputError(
                f"optimizer holds none of the model's {len(found)} weights ({_listed(found)}): make it from "
                "model.parameters(), or pass the part of the model that it steps"
            )
        left = _without(found, optimizers) if optimizers else []
        self.idle: set[Optimizer] = set()
        if left and (others := _others({id(found[name]) for name in left}, optimizers)):
            _warn(
                f"{_listed(left)}: updated by another optimizer ({_listed([type(o).__name__ for o in others])}), which "
                "is followed too; pass all of them, optimizer=[first, second]"
            )
            self.idle = set(others)
            optimizers = [*optimizers, *others]
            left = _without(found, optimizers)
        if left:
            _warn(f"no optimizer holds {_listed(left)}: not recorded")
        self.parameters = {name: p for name, p in found.items() if name not in left}
        named = {plain_name(weight_name(model, name)): p for name, p in model.named_parameters()}
        self.left_out = [name for name, p in named.items() if p.ndim > 1 and name not in self.parameters]
        self.gone: list[int] = []
        self._known = set(found)  # recorded, or named as not recorded
        self._members: dict[Optimizer, tuple[int, ...]] = {}
        self.columns: dict[Optimizer, list[int]] = {}
        for optimizer in optimizers:
            self._assign(optimizer)

    def concerned(self, optimizer: Optimizer) -> bool:
        """Whether an optimizer updates weights of this network."""
        return not _held([optimizer]).isdisjoint(id(p) for p in self._model.parameters())

    def take_over(self, optimizer: Optimizer) -> list[Optimizer]:
        """Give an optimizer that appeared the weights that it holds; returns those that have none left."""
        self.look(updated_by=optimizer)
        mine = {*self._assign(optimizer), *self.gone}
        replaced = []
        for other, own in list(self.columns.items()):
            left = [column for column in own if column not in mine]
            if other is optimizer or left == own:
                continue
            self.columns[other] = left
            self.idle.add(other)  # what it has left is perhaps frozen now: it is awaited once it steps again
            if not left:
                self.idle.discard(other)
                replaced.append(other)
                del self.columns[other], self._members[other]
        if not self.columns[optimizer]:
            del self.columns[optimizer], self._members[optimizer]
        return replaced

    def rates(self) -> dict[str, torch.Tensor | float]:
        """Learning rate of every parameter group: the first is ``learning_rate``, then ``learning_rate_1`` and on."""
        groups = [group for optimizer in self.columns for group in optimizer.param_groups]
        rates = {}
        for k, group in enumerate(groups):
            rate = group.get("lr")
            rates[f"learning_rate_{k}" if k else "learning_rate"] = torch.nan if rate is None else rate
        return rates

    def note_groups(self, optimizer: Optimizer) -> None:
        """See whether an optimizer got other parameters (layers unfrozen or replaced, groups added)."""
        if _members(optimizer) != self._members[optimizer]:
            self.look(updated_by=optimizer)
            self._assign(optimizer)

    def look(self, updated_by: Optimizer | None = None) -> None:
        """Follow what was replaced in the network, and warn about what cannot be followed.

        Parameters
        ----------
        updated_by : Optimizer, optional
            Warn also about weights that it updates and that are not recorded.
        """
        now = named_weights(self._model)
        lost = []
        for column, (name, parameter) in enumerate(self.parameters.items()):
            current = now.get(_unparametrized(name))
            if current is parameter or column in self.gone:
                continue
            if current is not None and current.shape == parameter.shape:
                self.parameters[name] = current
            else:
                self.gone.append(column)
                lost.append(name)
        if lost:
            _warn(f"{_listed(lost)} was removed or has another shape: NaN from here on; record a run of its own")
        if updated_by is None:
            return
        held = _held([updated_by])
        trained = {plain_name(name): p for name, p in prunable_parameters(self._model).items()}
        if fresh := [name for name, p in trained.items() if id(p) in held and name not in self._known]:
            self._known |= set(fresh)
            _warn(f"{_listed(fresh)} is trained now, and was not when the Recorder was made: it is not recorded")

    def _assign(self, optimizer: Optimizer) -> list[int]:
        held = _held([optimizer])
        mine = [i for i, p in enumerate(self.parameters.values()) if id(p) in held]
        self.columns[optimizer], self._members[optimizer] = mine, _members(optimizer)
        return mine


def named_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """Give all parameters by the names that they had before they were pruned, parametrized or wrapped."""
    return {_unparametrized(plain_name(weight_name(model, name))): p for name, p in model.named_parameters()}


def _unparametrized(name: str) -> str:
    return re.sub(r"parametrizations\.([^.]+)\.original$", r"\1", name)


def _check_initialised(model: nn.Module) -> None:
    lazy = [name for name, p in model.named_parameters() if isinstance(p, nn.parameter.UninitializedParameter)]
    if lazy:
        raise InputError(
            f"the model has lazy layers ({_listed(lazy)}): run a batch through it before making optimizer and Recorder"
        )


def _without(weights: Mapping[str, torch.Tensor], optimizers: Sequence[Optimizer]) -> list[str]:
    """Name the weights that no optimizer holds."""
    held = _held(optimizers)
    return [name for name, p in weights.items() if id(p) not in held]


def _others(weights: set[int], known: Sequence[Optimizer]) -> list[Optimizer]:
    """Find further optimizers of these weights among all objects: nobody else knows what else a loop steps."""
    alive = [o for o in gc.get_objects() if issubclass(type(o), Optimizer) and o not in known]
    innermost = unwrapped_optimizers(alive)
    return [o for o in innermost if o not in known and not _held([o]).isdisjoint(weights)]


def _held(optimizers: Iterable[Optimizer]) -> set[int]:
    return {id(p) for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}


def _members(optimizer: Optimizer) -> tuple[int, ...]:
    return tuple(id(p) for group in optimizer.param_groups for p in group["params"])


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(repr, names[:_NAMED])) + more


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=2)
