"""Probes the mask updates of somebody's own loop."""

from __future__ import annotations

import torch
from torch import nn

from recorders.loop.mask_source import MaskDict
from recorders.loop.wrappers import plain_name
from recorders.measure.mask_updates import MaskUpdate, one_run
from recorders.networks.layers import weight_name
from recorders.probe.mask_probe import MaskProbe


class LoopProbe:
    """Measures the burden of mask updates, and again with the weights of the record that follows.

    Parameters
    ----------
    model : nn.Module
        The network that trains.
    probe : MaskProbe, optional
        What measures; without it nothing is measured.
    """

    def __init__(self, model: nn.Module, probe: MaskProbe | None) -> None:
        self._model, self._probe = model, probe
        self._unrelaxed: list[tuple[MaskUpdate, MaskDict, MaskDict]] = []

    def look(self, update: MaskUpdate, old: MaskDict, new: MaskDict) -> None:
        """Measure an update that was just made; it stays open until it is relaxed."""
        if self._probe is None:
            return
        update.values |= one_run(self._probe.at(self._weights()).look(old, new))
        update.closed = False
        self._unrelaxed.append((update, old, new))

    def relax(self) -> None:
        """Measure the updates since the last record again, with the weights of this one."""
        if self._probe is None:
            return
        snapshot = self._probe.at(self._weights())
        for update, old, new in self._unrelaxed:
            update.values |= one_run(snapshot.relax(old, new))
            update.closed = True
        self._unrelaxed = []

    def forget(self) -> None:
        """Leave the updates that wait as they are: their recording is closed."""
        self._unrelaxed = []

    def _weights(self) -> dict[str, torch.Tensor]:
        buffers = {plain_name(name): b for name, b in self._model.named_buffers() if not name.endswith("_mask")}
        named = self._model.named_parameters()
        return {plain_name(weight_name(self._model, name)): p for name, p in named} | buffers
