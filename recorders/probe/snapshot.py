"""A network at one step of its training: what a mask update does to it there (docs/burden.md)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from recorders.contract import LOADS, PARTS, QUANTILES, TERMS
from recorders.probe.decomposition import Outputs, layer_split, parts, terms
from recorders.probe.frozen import FrozenNetwork, Masks, Pass, Weights
from recorders.probe.pieces import Pieces, contribution, linear_input
from recorders.probe.survivors import load_quantiles, unit_activations, unit_axis, unit_inputs, unit_weight_norms

Values = dict[str, torch.Tensor]


@dataclass(frozen=True)
class _Start:
    """What a look found out about the network before its update."""

    mask: Masks
    first: torch.Tensor | None
    output: torch.Tensor
    dense: torch.Tensor


class Snapshot:
    """The weights of one step, and their outputs on the probe's batch under different masks.

    Parameters
    ----------
    network : FrozenNetwork
        The architecture and the batch.
    labels : Tensor of float64, shape (sample, class)
        One-hot targets.
    weights : mapping of str to Tensor
        Every parameter by name, prunable ones dense; buffers that change while training (batch norm's statistics).
    """

    def __init__(self, network: FrozenNetwork, labels: torch.Tensor, weights: Weights) -> None:
        self._network, self._labels = network, labels
        self._wide = {n: w.detach().double() if w.is_floating_point() else w.detach() for n, w in weights.items()}
        self._start: _Start | None = None

    @torch.no_grad()
    def look(self, old: Masks, new: Masks) -> Values:
        """Decompose a mask update."""
        first = self._pieces(old, new)
        before, layers = self._before(old, new, first)
        after, load = self._after(new, first)
        both, either = ({n: old[n] & new[n] for n in old}, {n: old[n] | new[n] for n in old})
        outputs = Outputs(
            old=before,
            both=self._forward(both, first.both if first else None).output,
            either=self._forward(either, first.either if first else None).output,
            new=after,
        )
        dense = self._forward({}, first.dense if first else None).output
        self._start = _Start(old, first.old if first else None, before, dense)
        return self._terms(outputs, dense) | dict(zip(PARTS, parts(outputs), strict=True)) | layers | load

    @torch.no_grad()
    def relax(self, old: Masks, new: Masks) -> Values:
        """Decompose an earlier update again, with the weights of now: ``relaxed_*`` of shape (target,).

        Where `look` has just seen `new` being replaced, nearly all of the work is done.
        """
        known = self._start is not None and _equal(self._start.mask, new)
        start = self._start if known and self._start is not None else self._fresh(old, new)
        before = self._forward(old, self._first_under(old, start)).output
        found = self._terms(Outputs(before, start.output, before, start.output), start.dense)
        return {f"relaxed_{name}": value for name, value in found.items()}

    @torch.no_grad()
    def load(self, masks: Masks) -> Values:
        """Measure the survivors' load under one mask."""
        name, first = self._network.first, None
        if name is not None:
            first = self._network.first_input.product(self._wide[name], masks[name])
        return self._load(masks, self._forward(masks, first))

    def _forward(self, masks: Masks, first: torch.Tensor | None) -> Pass:
        return self._network.forward(self._wide, masks, first)

    # A pass of a large network is large: these two let go of theirs before the next one.
    def _before(self, old: Masks, new: Masks, first: Pieces | None) -> tuple[torch.Tensor, Values]:
        """Output under the old masks, and each layer's split at the inputs it has there."""
        run = self._forward(old, first.old if first else None)
        return run.output, self._layers(old, new, first, run)

    def _after(self, new: Masks, first: Pieces | None) -> tuple[torch.Tensor, Values]:
        """Output under the new masks, and what the survivors carry there."""
        run = self._forward(new, first.new if first else None)
        return run.output, self._load(new, run)

    def _pieces(self, old: Masks, new: Masks) -> Pieces | None:
        name = self._network.first
        if name is None:
            return None
        return self._network.first_input.pieces(self._wide[name], old[name], new[name])

    def _fresh(self, old: Masks, new: Masks) -> _Start:
        first = self._pieces(old, new)
        after = self._forward(new, first.new if first else None).output
        dense = self._forward({}, first.dense if first else None).output
        return _Start(new, first.new if first else None, after, dense)

    def _first_under(self, masks: Masks, start: _Start) -> torch.Tensor | None:
        """Output of the first layer under masks that differ little from those of `start`."""
        name = self._network.first
        if name is None or start.first is None:
            return None
        weight, inputs = self._wide[name], self._network.first_input
        gained = inputs.product(weight, masks[name] & ~start.mask[name])
        return start.first + gained - inputs.product(weight, start.mask[name] & ~masks[name])

    def _layers(self, old: Masks, new: Masks, first: Pieces | None, run: Pass) -> Values:
        """Decompose each layer's pre-activations at the old network's inputs; the target is all its weights."""
        columns = []
        for name in self._network.owners:
            if name == self._network.first and first is not None:
                split = layer_split(first.lost, first.regained, first.rest)
            else:
                gone = (old[name] & ~new[name], new[name] & ~old[name], ~(old[name] | new[name]))
                split = self._split(name, gone, run)
            columns.append(split.cpu())
        table = torch.stack(columns, dim=1)
        return {f"layer_{name}": row for name, row in zip((*TERMS, *PARTS), table, strict=True)}

    def _split(self, name: str, gone: tuple[torch.Tensor, ...], run: Pass) -> torch.Tensor:
        """Decompose one layer; NaN where it was not called, or is not linear in this weight."""
        owner, weight = self._network.owners[name], self._wide[name]
        inputs = self._network.no_split.get(name) or linear_input(owner, name, run.arguments.get(name))
        if isinstance(inputs, torch.Tensor):
            return layer_split(*(contribution(owner, inputs, weight, kept) for kept in gone))
        return torch.full((len(TERMS) + len(PARTS),), torch.nan, dtype=torch.float64)

    def _terms(self, outputs: Outputs, dense: torch.Tensor) -> Values:
        table = torch.stack([terms(outputs, self._labels), terms(outputs, dense)], dim=1)
        return dict(zip(TERMS, table, strict=True))

    def _load(self, masks: Masks, run: Pass) -> Values:
        if not self._network.layers:
            return {}
        loads, dead = [], []
        for layer, module in self._network.layers.items():
            name, output = f"{layer}.weight", run.hidden.get(layer)
            axis = unit_axis(module, masks.get(name), output)
            if isinstance(axis, int) and output is not None:
                mean, silent = unit_activations(output, axis)
                values = [unit_inputs(masks[name]), unit_weight_norms(self._wide[name], masks[name]), mean]
                loads.append(load_quantiles(torch.stack([v.double() for v in values])))
                dead.append(silent.double().sum())
            else:
                loads.append(self._labels.new_full((len(LOADS), len(QUANTILES)), torch.nan))
                dead.append(self._labels.new_full((), torch.nan))
        return dict(zip(LOADS, torch.stack(loads, dim=1), strict=True)) | {"dead_units": torch.stack(dead)}


def _equal(masks: Masks, others: Masks) -> bool:
    return masks.keys() == others.keys() and all(torch.equal(mask, others[name]) for name, mask in masks.items())
