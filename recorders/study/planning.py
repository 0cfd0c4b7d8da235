"""The plan of a study: the recordings it will have, their runs and their shape."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from math import gcd
from os import PathLike
from pathlib import Path
from typing import Any

from recorders.contract import InputError
from recorders.data import DataSet, load
from recorders.measure.activations import Activations
from recorders.measure.own_indicators import asked_indicators
from recorders.methods.allocation import check_reachable
from recorders.networks.factory import ModelFactory, check_factory, default_model, network_of
from recorders.networks.layers import prunable_parameters
from recorders.settings.axes import block_coordinates, block_name, blocks
from recorders.settings.runs import Run, plan_runs
from recorders.settings.settings import Settings, merges, prepared_by_batch
from recorders.store.layout import Layout, record_steps
from recorders.study.resources import Resources, resources
from recorders.study.sizes import check_sizes
from recorders.training.train import method_of, steps_per_epoch, update_steps


@dataclass(frozen=True)
class Block:
    """A part of a study with one architecture and one schedule: name, runs and shape of one recording.

    Attributes
    ----------
    name, settings, runs, layout
        Of the recording; `settings` have one value on each axis, a run comes after the one whose mask it starts from.
    """

    name: str
    settings: Settings
    runs: Sequence[Run]
    layout: Layout


@dataclass(frozen=True)
class StudyPlan:
    """What a study will record, on what and with what.

    Attributes
    ----------
    blocks : sequence of Block
        In the order in which they are recorded.
    images : DataSet
        As decoded, padded.
    using, model
        As asked.
    """

    blocks: Sequence[Block]
    images: DataSet
    using: Resources
    model: ModelFactory | None

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the images."""
        return self.images.checksum()

    @cached_property
    def _normalised(self) -> DataSet:
        return self.images.normalised()

    def images_of(self, block: Block) -> DataSet:
        """Return the images a block trains on: normalised, or uint8 where they are prepared a batch at a time."""
        return self.images if prepared_by_batch(block.settings) else self._normalised


def plan_study(
    settings: Settings,
    *,
    name: str = "study",
    data: DataSet | None = None,
    data_root: str | PathLike[str] | None = None,
    offline: bool = False,
    using: Resources | None = None,
    model: ModelFactory | None = None,
) -> StudyPlan:
    """Plan every recording of a study and check that it can be made, before hours are spent on the first."""
    parts = blocks(settings)
    merged = any(map(merges, parts))
    using = using or resources(merged=merged)
    if using.stacked and merged:
        raise InputError("runs with token merging cannot train as a stack: pass --stacked no")
    if model is not None:
        check_factory(model, pickled=not using.stacked)
    root = None if data_root is None else Path(data_root)
    images = (data or load(settings.data.name, root, offline=offline)).padded(settings.data.image_size)
    for part in parts:
        check_sizes(part, images, own_model=model is not None)
    runs = [plan_runs(part) for part in parts]
    layouts = [planned_layout(own, part, images, model, using) for own, part in zip(runs, parts, strict=True)]
    names = [block_name(name, part) for part in parts]
    return StudyPlan(list(map(Block, names, parts, runs, layouts)), images, using, model)


def planned_layout(
    runs: Sequence[Run],
    settings: Settings,
    images: DataSet,
    model: ModelFactory | None,
    using: Resources,
    told_apart_by: Iterable[str] = (),
) -> Layout:
    """Lay out the recording of some runs of one architecture and schedule."""
    network = network_of(runs[0], model or default_model(images, settings), settings)
    shapes = {name: tuple(p.shape) for name, p in prunable_parameters(network).items()}
    per_epoch = steps_per_epoch(settings, len(images.train_labels))
    total = per_epoch * settings.training.epochs
    stages = [len(list(group)) for _, group in groupby(runs, key=lambda run: run.needs is not None)]
    samples = len(images.train_labels)
    methods = [method_of(run, settings, network, samples) for run in runs]
    for run, method in zip(runs, methods, strict=True):
        if not settings.pruning.allow_empty_layers:
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
        steps=record_steps(settings.recording.interval, total),
        steps_per_epoch=per_epoch,
        updates=len(set().union(*updates)),  # a stack needs them all, and may complete what single runs began
        probed=settings.probe.every > 0,
        indicators=asked_indicators(settings.recording.indicators).variables,
        sample_every=settings.recording.sample_every,
        runs_per_chunk=gcd(*stages) if using.stacked else 1,
    )


def _coordinates(run: Run, settings: Settings, names: Iterable[str]) -> dict[str, Any]:
    merged = {"compression": run.compression} if merges(settings) else {}
    return {**run.coordinates(), **merged, **block_coordinates(settings, names)}
