"""The shape of the recording of planned runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from math import gcd
from typing import Any

from recorders.contract import InputError
from recorders.data import DataSet
from recorders.measure.activations import Activations
from recorders.methods.allocation import check_reachable
from recorders.networks.factory import ModelFactory, network_of
from recorders.networks.layers import prunable_parameters
from recorders.settings.axes import block_coordinates
from recorders.settings.runs import Run
from recorders.settings.settings import Settings, merges
from recorders.store.layout import Layout, record_steps
from recorders.study.resources import Resources
from recorders.training.train import method_of, steps_per_epoch, update_steps


def planned_layout(
    runs: Sequence[Run],
    settings: Settings,
    images: DataSet,
    model: ModelFactory,
    using: Resources,
    told_apart_by: Iterable[str] = (),
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
    told_apart_by : iterable of str
        Settings that become coordinates on runs, beside the axes.

    Returns
    -------
    Layout

    Raises
    ------
    InputError
        A sparsity that empties a layer, or a training too short for a single mask update.
    """
    network = network_of(runs[0], model, settings)
    shapes = {name: tuple(p.shape) for name, p in prunable_parameters(network).items()}
    per_epoch = steps_per_epoch(settings, len(images.train_labels))
    total = per_epoch * settings.epochs
    stages = [len(list(group)) for _, group in groupby(runs, key=lambda run: run.needs is not None)]
    samples = len(images.train_labels)
    methods = [method_of(run, settings, network, samples) for run in runs]
    for run, method in zip(runs, methods, strict=True):
        if not settings.allow_empty_layers:
            spread = method.allocation if method is not None else run.allocation or "global"
            check_reachable(shapes, run.sparsity, spread)
        if method is not None and not method.updates():
            what = f"{run.strategy} has no mask update in {total} steps"
            raise InputError(f"{what}: train longer, or pass a shorter --pruning-interval")
    updates = [update_steps(method, settings, samples) for method in methods]
    return Layout(
        runs=[_coordinates(run, settings, told_apart_by) for run in runs],
        parameters=shapes,
        layers=Activations(network).layers,
        steps=record_steps(settings.interval, total),
        steps_per_epoch=per_epoch,
        updates=len(set().union(*updates)),  # a stack needs them all, and may complete what single runs began
        probed=settings.probe_every > 0,
        runs_per_chunk=gcd(*stages) if using.stacked else 1,
    )


def _coordinates(run: Run, settings: Settings, names: Iterable[str]) -> dict[str, Any]:
    merged = {"compression": run.compression} if merges(settings) else {}
    return {**run.coordinates(), **merged, **block_coordinates(settings, names)}
