"""Trains some runs of a recording in this process and writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path

import torch

from recorders.contract import BurdenError, RunError, Status
from recorders.data import DataSet, Feed
from recorders.measure.monitor import Monitor
from recorders.measure.own_indicators import asked_indicators
from recorders.measure.sampled_steps import SampledSteps
from recorders.methods.masks import Masks, random_masks
from recorders.methods.method import Method, Shapes
from recorders.methods.static import Static
from recorders.networks.factory import ModelFactory, default_model, network_of
from recorders.networks.layers import prunable_parameters
from recorders.probe.mask_probe import MaskProbe
from recorders.seeding import Purpose, derive
from recorders.settings.runs import Run
from recorders.settings.settings import Settings
from recorders.store.signals import STOPPED, SignalListener
from recorders.store.writer import RecordingWriter
from recorders.study.assignment import Assignment, Outcome, Place
from recorders.study.resources import Resources
from recorders.training.cohort import Cohort
from recorders.training.probing import CohortProbe
from recorders.training.profile import UNPROFILED, Profile
from recorders.training.train import method_of, steps_per_epoch, train

NEEDS_MASK = "needs the final mask of its iterative run"
_Ready = tuple["Place", Run, Method]


class Worker:
    """Trains assignments on one device, with the data loaded once.

    Parameters
    ----------
    store : Path
        Folder of the study.
    settings : Settings
        The study.
    data : DataSet
        Normalised, or uint8 images that are prepared a batch at a time.
    using : Resources
        Where to train, whether outcomes tell the seconds of every section, and what a commit outlives.
    model : callable, optional
        Makes a freshly initialised network (from torch's global generator); the study's own by default.
    """

    def __init__(
        self,
        store: Path,
        settings: Settings,
        data: DataSet,
        using: Resources,
        model: ModelFactory | None = None,
    ) -> None:
        self._store, self._settings = store, settings
        self._data, self._device, self._profiled = data, using.device, using.profiled
        self._durability = using.durability
        self._model = model or default_model(data, settings)
        self._writers: dict[str, RecordingWriter] = {}
        self._probes: dict[tuple[float, int], MaskProbe] = {}  # by what decides how a network merges

    @cached_property
    def _feed(self) -> Feed:
        """The data on the device."""
        how = self._settings.data
        try:
            return Feed(self._data.to(self._device), size=how.resize, flip=how.flip, crop_padding=how.crop_padding)
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            raise RunError(f"{self._data.name} does not fit on {self._device}: change --data or --device") from error

    def run(self, assignment: Assignment) -> list[Outcome]:
        """Train and record; a failed run is recorded as failed, never raised.

        Raises
        ------
        InputError
            The network cannot be trained as a stack.
        RunError
            The disk is full.
        """
        profile = Profile(self._device) if self._profiled else UNPROFILED
        outcomes, ready = [], []
        for place, run, needs in zip(assignment.places, assignment.runs, assignment.needs, strict=True):
            try:
                ready.append((place, run, self._method(run, needs)))
            except BurdenError as error:
                writer = self._writer([place])
                outcomes.append(self._end(writer, place, run, Status.FAILED, str(error)))
        for stack in _contiguous(ready):
            try:
                outcomes += self._train(stack, profile)
            except RuntimeError as error:
                if not _out_of_memory(error):
                    raise
                for place, run, _ in stack:
                    writer = self._writer([place])
                    outcomes.append(self._end(writer, place, run, Status.FAILED, self._less_memory()))
        seconds = {section: taken / len(outcomes) for section, taken in profile.seconds().items()}
        return [replace(outcome, seconds=seconds) for outcome in outcomes]

    def _train(self, stack: list[_Ready], profile: Profile) -> list[Outcome]:
        places, runs, methods = [s[0] for s in stack], [s[1] for s in stack], [s[2] for s in stack]
        writer = self._writer(places)
        models = [network_of(run, self._model, self._settings) for run in runs]
        starts = [method.start() for method in methods]
        cohort = Cohort(
            models,
            starts,
            self._device,
            [method.masks_gradients for method in methods],
            self._settings.training.precision,
        )
        probe = self._of_cohort(cohort, runs[0], methods)
        monitor = Monitor(
            writer,
            sizes={name: m.numel() for name, m in cohort.run_masks(0).items()},
            layers=len(cohort.layers),
            runs=cohort.runs,
            sampling=self._sampling(runs),
            device=self._device,
            indicators=asked_indicators(self._settings.recording.indicators).variables,
        )
        listener = SignalListener(monitor.commit, partial(_mark, writer, places), quiet=_worker is not None)
        with listener.heard() as signals:
            with profile("writing"):
                writer.begin(cohort.digests)
            devices = [self._device] if self._device.type == "cuda" else []
            with torch.random.fork_rng(devices=devices):  # dropout (of a single run) draws from the global generator
                torch.manual_seed(derive(runs[0].seed, Purpose.TRAINING))
                how = [run.seed for run in runs], self._feed, self._settings
                try:
                    failures = train(cohort, methods, *how, monitor, probe, profile, signals.point)
                except RuntimeError as error:
                    if not _out_of_memory(error):
                        raise
                    failures = dict.fromkeys(range(len(runs)), self._less_memory())
            with profile("writing"):
                monitor.close()
                return [
                    self._end(writer, place, run, Status.FAILED, failures[i])
                    if i in failures
                    else self._conclude(writer, place, run, cohort, monitor, probe, i)
                    for i, (place, run) in enumerate(zip(places, runs, strict=True))
                ]

    def _conclude(
        self,
        writer: RecordingWriter,
        place: Place,
        run: Run,
        cohort: Cohort,
        monitor: Monitor,
        probe: CohortProbe | None,
        i: int,
    ) -> Outcome:
        """Write what is known at the end of a run."""
        masked_by = "" if run.strategy == "dense" else f"strategy {run.strategy}"
        activations = list(cohort.activation_sources.values())
        writer.write_sources(place.row, [masked_by] * len(cohort.names), activations)
        writer.write_masks(place.row, {name: m.cpu().numpy() for name, m in cohort.run_masks(i).items()})
        if probe is not None and i in (overlaps := probe.overlaps()):
            writer.write_overlap(place.row, overlaps[i])
        if monitor.diverged[i]:
            return self._end(writer, place, run, Status.DIVERGED, "loss or gradients are not finite")
        return self._end(writer, place, run, Status.COMPLETE)

    def _sampling(self, runs: Sequence[Run]) -> SampledSteps:
        how, epochs = self._settings.recording, self._settings.training.epochs
        total = steps_per_epoch(self._settings, self._feed.samples) * epochs
        return SampledSteps([r.seed for r in runs], interval=how.interval, every=how.sample_every, total=total)

    def _writer(self, places: Sequence[Place]) -> RecordingWriter:
        """Write some runs of a recording; its arrays are opened for the first ones only."""
        name, rows = places[0].recording, [place.row for place in places]
        if name not in self._writers:
            self._writers[name] = RecordingWriter(self._store, name, rows, self._durability)
        return self._writers[name].of(rows)

    def _less_memory(self) -> str:
        return f"out of memory on {self._device}: lower --batch-size or --probe-size, or pass --stacked no"

    def _of_cohort(self, cohort: Cohort, run: Run, methods: Sequence[Method]) -> CohortProbe | None:
        if not self._settings.probe.every:
            return None
        key = run.compression, run.seed if self._settings.network.merge_metric == "random" else 0
        if key not in self._probes:
            network = network_of(run, self._model, self._settings).to(self._device)
            self._probes[key] = MaskProbe(network, *self._feed.sample(self._settings.probe.size))
        pruned = [i for i, method in enumerate(methods) if method.updates()]
        return CohortProbe(self._probes[key], cohort, pruned, self._settings.probe.every)

    def _method(self, run: Run, needs: Place | None) -> Method:
        network = network_of(run, self._model, self._settings)
        shapes = {name: tuple(p.shape) for name, p in prunable_parameters(network).items()}
        method = method_of(run, self._settings, network, self._feed.samples)
        return method or Static(self._static_masks(run, needs, shapes), run.sparsity)

    def _static_masks(self, run: Run, needs: Place | None, shapes: Shapes) -> Masks | None:
        if run.strategy == "dense":
            return None
        matched: Masks | None = None
        if needs is not None:
            keeper = self._writer([needs])
            status = keeper.status(needs.row)
            if status is not Status.COMPLETE:
                raise RunError(f"{NEEDS_MASK}, which is {status}")
            matched = {name: torch.from_numpy(mask) for name, mask in keeper.read_masks(needs.row).items()}
            if run.strategy == "optimal":
                return matched
        return random_masks(shapes, run.sparsity, run.allocation, run.seed, matched=matched)

    @staticmethod
    def _end(writer: RecordingWriter, place: Place, run: Run, status: Status, reason: str = "") -> Outcome:
        writer.set_status(place.row, status, reason)
        return Outcome(run, status, reason)


def _mark(writer: RecordingWriter, places: Sequence[Place], stopping: bool) -> None:
    for place in places:
        if stopping:
            writer.set_status(place.row, Status.INTERRUPTED, STOPPED)
        else:
            writer.set_status(place.row, Status.RUNNING)


def _out_of_memory(error: RuntimeError) -> bool:
    # On a CPU torch raises a plain RuntimeError.
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _contiguous(items: list[_Ready]) -> Iterator[list[_Ready]]:
    """Cut into stretches of neighbouring rows: a stack writes one block of each chunk."""
    for _, group in groupby(enumerate(items), key=lambda item: item[1][0].row - item[0]):
        yield [ready for _, ready in group]


# One worker per process, made when the process starts: tasks then carry no data.
_worker: Worker | None = None


def start(*arguments: object) -> None:
    """Make this process's worker; arguments as `Worker`."""
    global _worker
    torch.set_num_threads(1)
    _worker = Worker(*arguments)  # type: ignore[arg-type]


def work(assignment: Assignment) -> list[Outcome]:
    """Train an assignment with this process's worker."""
    assert _worker is not None
    return _worker.run(assignment)
