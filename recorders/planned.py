"""The shape of the recording of planned runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import gcd
from typing import Any

from recorders.activations import Activations
from recorders.allocation import check_reachable
from recorders.data import DataSet
from recorders.grid import block_coordinates
from recorders.layout import Layout, record_steps
from recorders.network import ModelFactory, network_of
from recorders.plan import Run
from recorders.prunable import prunable_parameters
from recorders.resources import Resources
from recorders.settings import Settings
from recorders.training import method_of, steps_per_epoch, update_steps


def planned_layout(
    runs: Sequence[Run], settings: Settings, images: DataSet, model: ModelFactory, using: Resources
) -> Layout:
    """Lay out the recording of some runs of one architecture and schedule.

    Parameters
    ----------
    runs : sequence of Run
        In the order of the recording.
    settings : Settings
        A block of a study.
    images : DataSet
        What they train on.
    model : callable
        Makes their network.
    using : Resources
        Whether they train as stacks.

    Returns
    -------
    Layout

    Raises
    ------
    InputError
        A sparsity that empties a layer.
    """
    network = network_of(runs[0], model, settings)
    shapes = {name: tuple(p.shape) for name, p in prunable_parameters(network).items()}
    if not settings.allow_empty_layers:
        for run in runs:
            check_reachable(shapes, run.sparsity, run.allocation or "global")
    per_epoch = steps_per_epoch(settings, len(images.train_labels))
    total = per_epoch * settings.epochs
    stages = [len(list(group)) for _, group in groupby(runs, key=lambda run: run.needs is not None)]
    samples = len(images.train_labels)
    updates = [update_steps(method_of(run, settings, shapes, samples), settings, samples) for run in runs]
    return Layout(
        runs=[_coordinates(run, settings) for run in runs],
        parameters=shapes,
        layers=Activations(network).layers,
        steps=record_steps(settings.interval, total),
        steps_per_epoch=per_epoch,
        updates=len(set().union(*updates)) if using.stacked else max(map(len, updates)),
        probed=settings.probe_every > 0,
        runs_per_chunk=gcd(*stages) if using.stacked else 1,
    )


def _coordinates(run: Run, settings: Settings) -> dict[str, Any]:
    merged = {"compression": run.compression} if settings.setup or settings.compressions != (0.0,) else {}
    return {**run.coordinates(), **merged, **block_coordinates(settings)}
