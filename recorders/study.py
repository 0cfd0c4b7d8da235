"""Records a whole study: plans its runs, finds what is there, trains what is missing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr

from recorders.activations import Activations
from recorders.allocation import check_reachable
from recorders.compaction import compact, consolidate, recover_all
from recorders.contract import InputError, Status
from recorders.data import DataSet, load
from recorders.executor import Task, execute
from recorders.layout import Layout, record_steps
from recorders.lock import exclusive
from recorders.plan import Run, plan_runs
from recorders.progress import Progress
from recorders.provenance import provenance
from recorders.prunable import prunable_parameters
from recorders.settings import FREE, Settings
from recorders.store import create_recording, note_resumption, open_root, recording_names
from recorders.training import method_of, steps_per_epoch, update_steps
from recorders.worker import Assignment, ModelFactory, Outcome, Place, Worker, default_model, start, work

_PRELOAD = ("recorders.worker",)


@dataclass(frozen=True)
class Resources:
    """What a study may use; changes none of its numbers but through floating-point order.

    Attributes
    ----------
    device : torch.device
        Where to train.
    workers : int
        Processes, when runs do not train as stacks.
    stacked : bool
        Whether runs train as stacks in this process.
    """

    device: torch.device
    workers: int
    stacked: bool = False


def resources(device: str | None = None, workers: int | None = None, stacked: bool | None = None) -> Resources:
    """Choose what to use: a GPU when there is one, stacks on a GPU, else as many processes as there are cores.

    On a CPU one run per process with one thread is the fastest; on a GPU a single small network is launch-bound.

    Raises
    ------
    InputError
        The device does not exist, or `workers` is not positive.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers must be positive, got {workers}")
    try:
        chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise InputError(f"unknown device {device!r}: choose cpu or cuda") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {device!r} was asked for, but torch sees no GPU here: use --device cpu")
    if chosen.type not in ("cpu", "cuda"):
        raise InputError(f"device {device!r} is not supported: choose cpu or cuda")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Resources(chosen, workers or cores, chosen.type == "cuda" if stacked is None else stacked)


def record_study(
    settings: Settings,
    store: Path,
    *,
    name: str = "study",
    data: DataSet | None = None,
    data_root: Path | None = None,
    offline: bool = False,
    using: Resources | None = None,
    model: ModelFactory | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> list[Outcome]:
    """Train and record every run of a study that is not finished in the store.

    Parameters
    ----------
    settings : Settings
        The study.
    store : Path
        Folder of the store; created when missing. Finished runs are not repeated, unfinished ones start over.
    name : str
        Name of the recording; a further one of the same settings gets a number.
    data : DataSet, optional
        Decoded images; loaded by ``settings.data`` when not given.
    data_root, offline
        See `recorders.data.load`.
    using : Resources, optional
        Device and processes; chosen when not given.
    model : callable, optional
        A picklable function without arguments that makes a freshly initialised `torch.nn.Module`; the study's MLP by
        default.
    command : str
        The command that regenerates the study, for the provenance.
    progress : Progress, optional
        Told how many runs there are and how each one ended.

    Returns
    -------
    list of Outcome
        Of the runs trained now.

    Raises
    ------
    InputError
        Settings, data or store cannot be used as asked.
    RunError
        The disk is full, or a worker died.
    """
    using = using or resources()
    images = (data or load(settings.data, data_root, offline=offline)).padded(settings.image_size)
    checksum = images.checksum()
    images = images.normalised()
    with exclusive(store):
        open_root(store, create=True)
        recover_all(store)
        plan = plan_runs(settings)
        kept = _kept(store, _config(settings, model), checksum)
        new = [run for run in plan if run not in kept]
        about = provenance(data=_about(images, checksum, settings), command=command, device=str(using.device))
        for recording in {
            place.recording for run, (place, state) in kept.items() if run in plan and not state.finished
        }:
            note_resumption(store, recording, about)
        if new:
            layout = _layout(new, settings, images, model or default_model(images, settings), using)
            title = _free_name(store, name)
            create_recording(store, title, layout, config=_config(settings, model), provenance=about)
            kept |= {run: (Place(title, row), Status.PLANNED) for row, run in enumerate(new)}
        missing = [run for run in plan if not kept[run][1].finished]
        outcomes = []
        with progress or Progress(silent=True) as shown:
            shown.start(len(plan), len(missing))
            for outcome in _train(missing, kept, settings, store, images, using, model):
                outcomes.append(outcome)
                shown.ended(outcome.run.run_id, outcome.status, outcome.reason)
        for recording in {place.recording for place, _ in kept.values()}:
            with exclusive(store, recording):
                compact(store, recording)
        consolidate(store)
    return outcomes


def _about(images: DataSet, checksum: str, settings: Settings) -> dict[str, Any]:
    probed = min(settings.probe_size, len(images.test_labels)) if settings.probe_every else 0
    held_out = len(images.test_labels)
    return {"name": images.name, "sha256": checksum, "held_out_images": held_out, "probed_images": probed}


def _config(settings: Settings, model: ModelFactory | None) -> dict[str, Any]:
    own = {"model": f"{model.__module__}.{model.__qualname__}"} if model else {}
    return settings.as_dict() | own


def _kept(store: Path, asked: dict[str, Any], checksum: str) -> dict[Run, tuple[Place, Status]]:
    """Find the runs that the store holds, after checking that they are comparable with the ones asked for."""
    kept: dict[Run, tuple[Place, Status]] = {}
    for name in recording_names(store):
        group = zarr.open_group(store / name, mode="r", use_consolidated=False)
        config = json.loads(str(group.attrs["config"]))
        if "run" in config:  # somebody's own loop
            continue
        _check_comparable(store, name, config, asked)
        there = json.loads(str(group.attrs["provenance"])).get("data", {}).get("sha256")
        if there != checksum:
            raise InputError(f"recording {name!r} of {store} was made from other images: choose another --out")
        columns = [_column(group, key) for key in ("strategy", "sparsity", "seed", "allocation", "status")]
        for row, (strategy, sparsity, seed, allocation, status) in enumerate(zip(*columns, strict=True)):
            run = Run(str(strategy), float(sparsity), int(seed), str(allocation))
            kept[run] = (Place(name, row), Status(str(status)))
    return kept


def _column(group: zarr.Group, name: str) -> list[Any]:
    return list(np.asarray(group[name][:]))  # type: ignore[index]


def _check_comparable(store: Path, name: str, there: dict[str, Any], asked: dict[str, Any]) -> None:
    differing = [
        f"{key} {there.get(key)!r} there, {asked.get(key)!r} asked"
        for key in (there | asked).keys() - set(FREE)
        if there.get(key) != asked.get(key)
    ]
    if differing:
        raise InputError(
            f"{store} holds recording {name!r} with other settings ({'; '.join(sorted(differing))}): "
            "choose another --out"
        )


def _free_name(store: Path, name: str) -> str:
    taken = set(recording_names(store))
    return next(n for i in range(1, len(taken) + 2) if (n := name if i == 1 else f"{name}-{i}") not in taken)


def _layout(runs: Sequence[Run], settings: Settings, images: DataSet, model: ModelFactory, using: Resources) -> Layout:
    with torch.random.fork_rng(devices=[]):
        network = model()
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
        runs=[run.coordinates() for run in runs],
        parameters=shapes,
        layers=Activations(network).layers,
        steps=record_steps(settings.interval, total),
        steps_per_epoch=per_epoch,
        updates=len(set().union(*updates)) if using.stacked else max(map(len, updates)),
        probed=settings.probe_every > 0,
        runs_per_chunk=gcd(*stages) if using.stacked else 1,
    )


def _train(
    missing: Sequence[Run],
    kept: dict[Run, tuple[Place, Status]],
    settings: Settings,
    store: Path,
    images: DataSet,
    using: Resources,
    model: ModelFactory | None,
) -> Iterator[Outcome]:
    """Train what is missing, each run after the one whose mask it starts from."""

    def assignment(runs: Sequence[Run]) -> Assignment:
        needs = [kept[run.needs][0] if run.needs else None for run in runs]
        return Assignment([kept[run][0] for run in runs], list(runs), needs)

    if not missing:
        return
    if using.stacked:
        worker = Worker(store, settings, images, using.device, model)
        for cohort in _cohorts(missing, kept):
            yield from worker.run(assignment(cohort))
        return
    # Runs that share a chunk (a store made for stacks) must not be written by two processes.
    workers = using.workers if _runs_are_apart(store, {kept[run][0].recording for run in missing}) else 1
    tasks = [Task(run, assignment([run]), run.needs) for run in missing]
    arguments = (store, settings, images.shared(), using.device, model)
    for _, outcomes in execute(tasks, work, workers=workers, preload=_PRELOAD, initializer=start, initargs=arguments):
        yield from outcomes


def _cohorts(missing: Sequence[Run], kept: dict[Run, tuple[Place, Status]]) -> Iterator[list[Run]]:
    """Group runs that can train as one stack: contiguous rows of one recording, all with or all without a need."""

    def stage(item: tuple[int, Run]) -> tuple[bool, str, int]:
        position, run = item
        place = kept[run][0]
        return run.needs is not None, place.recording, place.row - position

    ordered = sorted(missing, key=lambda run: (run.needs is not None, kept[run][0].recording, kept[run][0].row))
    for _, group in groupby(enumerate(ordered), key=stage):
        yield [run for _, run in group]


def _runs_are_apart(store: Path, recordings: set[str]) -> bool:
    groups = (zarr.open_group(store / name, mode="r", use_consolidated=False) for name in recordings)
    return all(group["loss"].chunks[0] == 1 for group in groups)  # type: ignore[union-attr]
