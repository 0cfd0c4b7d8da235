"""The shape of a recording: which runs, which parameters, which records, and how they are cut into chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recorders.contract import ORDERS, PROBED, QUANTILES, SERIES, TARGETS, Variable, interval_mean

# A study that is being written is read one file a chunk: 45 runs x 2 000 records x 21 series take 0.33 s with 500
# records in a chunk and 1.3 s with 100. What a kill may lose is bounded by time, see `recorders.measure.monitor`.
RECORDS_PER_CHUNK = 500


@dataclass(frozen=True)
class Layout:
    """Everything that must be known to preallocate a recording.

    Attributes
    ----------
    runs : sequence of mapping
        One mapping per run with at least ``run_id``, ``strategy``, ``sparsity`` and ``seed``; all runs have the same
        keys, and each key becomes a coordinate on ``run``.
    parameters : mapping of str to tuple of int
        Shape of every prunable tensor by qualified name.
    layers : sequence of str
        Names of the hidden layers whose activations are recorded.
    steps : array of int, shape (record,)
        Optimiser steps done at each record.
    steps_per_epoch : float
        Steps in an epoch; NaN when unknown.
    updates : int
        How many mask updates to make room for.
    probed : bool
        Whether to make room for the burden of mask updates.
    indicators : sequence of Variable
        What is measured beside the usual indicators.
    sample_every : int
        One step of so many is measured for the interval means.
    runs_per_chunk : int
        1 where every run has its own process (disjoint files), the stack's size where one process trains a stack.
    """

    runs: Sequence[Mapping[str, Any]]
    parameters: Mapping[str, tuple[int, ...]]
    layers: Sequence[str]
    steps: npt.NDArray[np.int64]
    steps_per_epoch: float = float("nan")
    updates: int = 0
    probed: bool = False
    indicators: Sequence[Variable] = ()
    sample_every: int = 1
    runs_per_chunk: int = 1

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What the recording holds."""
        asked = (v for measured in self.indicators for v in (measured, interval_mean(measured)))
        known = (*SERIES, *asked, *(PROBED if self.probed else ()))
        return tuple(v for v in known if all(self.sizes[d] for d in v.dims))

    @property
    def sizes(self) -> dict[str, int]:
        """Length of every dimension."""
        return {
            "run": len(self.runs),
            "record": len(self.steps),
            "parameter": len(self.parameters),
            "layer": len(self.layers),
            "update": self.updates,
            "target": len(TARGETS),
            "order": len(ORDERS),
            "quantile": len(QUANTILES),
        }

    def chunks(self, dims: Sequence[str]) -> tuple[int, ...]:
        """Chunk shape of a variable: whole along parameter and layer, cut along run and record."""
        cut = {"run": self.runs_per_chunk, "record": RECORDS_PER_CHUNK, "update": RECORDS_PER_CHUNK}
        return tuple(max(1, min(self.sizes[d], cut.get(d, self.sizes[d]))) for d in dims)


def record_steps(interval: int, total: int) -> npt.NDArray[np.int64]:
    """List the steps at which records are taken: every `interval`, and at the end.

    Parameters
    ----------
    interval : int
        Steps between records.
    total : int
        Steps of the whole training.

    Returns
    -------
    array of int, shape (record,)
        ``(k + 1) * interval``, with a shorter last interval when `interval` does not divide `total`.
    """
    steps = np.arange(interval, total + 1, interval, dtype=np.int64)
    return steps if len(steps) and steps[-1] == total else np.append(steps, np.int64(total))
