"""Trains a cohort of runs on one data set and records them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch import nn

from recorders.data import Feed
from recorders.measure.active_places import ActivePlaces
from recorders.measure.indicators import measure, norms
from recorders.measure.monitor import Monitor
from recorders.methods.dpf import DPF_INTERVAL
from recorders.methods.method import Method, Training
from recorders.methods.registry import METHODS, make_method
from recorders.methods.schedule import CubicSchedule
from recorders.networks.layers import prunable_parameters
from recorders.networks.token_merge import merge_scalars, merging
from recorders.seeding import batch_order
from recorders.settings.runs import Run
from recorders.settings.settings import Settings
from recorders.training.cohort import Cohort
from recorders.training.optimiser import LearningRate, make_optimiser
from recorders.training.probing import CohortProbe
from recorders.training.profile import UNPROFILED, Profile
from recorders.training.throughput import Throughput


def steps_per_epoch(settings: Settings, samples: int) -> int:
    """Batches in an epoch; the last one may be smaller."""
    return -(-samples // settings.training.batch_size)


def method_of(run: Run, settings: Settings, network: nn.Module, samples: int) -> Method | None:
    """Build the pruning method of a run from its initial network; None where the mask does not change."""
    if run.strategy not in METHODS:
        return None
    per_epoch = steps_per_epoch(settings, samples)
    weights = prunable_parameters(network)
    training = Training(
        shapes={name: tuple(p.shape) for name, p in weights.items()},
        spreads={name: float(p.detach().std(correction=0)) for name, p in weights.items()},
        sparsity=run.sparsity,
        initial_sparsity=settings.pruning.initial_sparsity,
        total=per_epoch * settings.training.epochs,
        per_epoch=per_epoch,
        interval=settings.pruning.interval,
        end=settings.pruning.end,
        seed=run.seed,
    )
    return make_method(run.strategy, training)


def update_steps(method: Method | None, settings: Settings, samples: int) -> Sequence[int]:
    """List the steps at which a run has mask updates; without any, those at which a probe looks at its load."""
    if method is not None and method.updates():
        return method.updates()
    if not settings.probe.every:
        return ()
    total = steps_per_epoch(settings, samples) * settings.training.epochs
    interval = settings.pruning.interval or DPF_INTERVAL
    return CubicSchedule(0.0, 0.0, 0, max(1, round(settings.pruning.end * total)), interval).updates()


def train(
    cohort: Cohort,
    methods: Sequence[Method],
    seeds: Sequence[int],
    data: Feed,
    settings: Settings,
    monitor: Monitor,
    probe: CohortProbe | None,
    profile: Profile = UNPROFILED,
    between_steps: Callable[[], None] = lambda: None,
) -> dict[int, str]:
    """Train every run of a cohort to the end.

    Parameters
    ----------
    cohort : Cohort
        The networks.
    methods : sequence of Method
        How each of them is pruned.
    seeds : sequence of int
        What each one's batches are drawn from.
    data : Feed
        Batches on the cohort's device.
    settings : Settings
        The study.
    monitor : Monitor
        Where indicators go; the caller closes it.
    probe : CohortProbe, optional
        Measures the burden of mask updates, and the survivors' load of runs without any at the same steps.
    profile : Profile
        Times the sections of the training.
    between_steps : callable
        Called before every step, where nothing is half measured.

    Returns
    -------
    dict of int to str
        Why a run failed, by its position; training stops early when all have.
    """
    per_epoch = steps_per_epoch(settings, data.samples)
    total = per_epoch * settings.training.epochs
    rate = LearningRate(settings.training.learning_rate, settings.training.learning_rate_shape, total)
    steps = [frozenset(update_steps(method, settings, data.samples)) for method in methods]
    updates = frozenset().union(*steps)
    targets = [method.sparsity(0) for method in methods]
    optimiser = make_optimiser(cohort.trainable, settings)
    evaluations = _Evaluations(settings.recording.evaluate_every * per_epoch)
    places = ActivePlaces(cohort.masks, stacked=cohort.stacked)
    monitor.set_masks(places)
    failures = _emptied(cohort, settings)
    merge = merging(cohort.network)

    recorded = False

    def prune(step: int) -> None:
        nonlocal places
        present = np.array([step in own for own in steps])
        fresh = {}
        for i, method in enumerate(methods):
            if present[i] and method.updates():
                layers, targets[i] = cohort.run_layers(i), method.sparsity(step)
                fresh[i] = method.update(layers, step)
                if method.masks_gradients:
                    changed = [new ^ old for new, old in zip(fresh[i], layers.masks, strict=True)]
                    cohort.forget(optimiser, i, changed)
        noted = monitor.update(*cohort.set_masks(fresh), present)
        if fresh:
            places = ActivePlaces(cohort.masks, stacked=cohort.stacked)
            monitor.set_masks(places)
        if probe is not None:
            with profile("probe"):
                probe.look(noted, recorded=recorded)
        for i, reason in _emptied(cohort, settings).items() if fresh else ():
            failures.setdefault(i, f"{reason} at step {step}")

    throughput = Throughput(data.device)

    def evaluate() -> None:
        with profile("evaluation"):
            monitor.amend({"accuracy": cohort.accuracy(data.held_out())})

    batches = _batches(seeds, settings, data.samples, data.device)
    for step, (epoch, indices) in enumerate(profile.drawn("data", batches)):
        between_steps()
        with profile("data"):
            images, labels = data.batch(indices, seeds, epoch)
        if step in updates:
            reads = any(method.reads_gradients and step in own for method, own in zip(methods, steps, strict=True))
            ahead = cohort.look_ahead(images, labels) if reads else nullcontext()
            with profile("masks"), throughput.paused(), ahead:
                prune(step)
        if len(failures) == len(methods):
            return failures
        recorded_next, measured = monitor.due, monitor.measures
        losses = cohort.backward(images, labels, activations=recorded_next, profile=profile)
        learning_rate = rate.at(step)
        with profile("indicators"):
            monitor.log({"loss": losses})
            if recorded_next:
                monitor.log({"learning_rate": learning_rate, "target_sparsity": _column(targets, losses)})
                monitor.activations(cohort.mean_squares)
            if merge is not None and recorded_next:
                monitor.log(merge_scalars(merge) | {"images_per_second": throughput.rate()})
            with torch.no_grad():
                values = measure(cohort.effective, cohort.gradients, places) if measured else None
            before = [w.detach().clone() for w in cohort.dense] if measured and settings.recording.indicators else []
        with profile("masks"):
            for i, method in enumerate(methods):
                if method.learns:
                    method.learn(cohort.run_layers(i))
        with profile("optimiser"):
            cohort.hand_over_gradients()
            for group in optimiser.param_groups:
                group["lr"] = learning_rate
            optimiser.step()
            optimiser.zero_grad()
            cohort.refresh()
        with profile("indicators"):
            if values is not None and before:
                moved = [dense.detach() - earlier for dense, earlier in zip(cohort.dense, before, strict=True)]
                with torch.no_grad():
                    values = torch.cat([values, norms(moved, places).unsqueeze(0)])
            recorded = monitor.observed(values)
        throughput.saw(len(indices[0]))
        if recorded and probe is not None and step + 1 not in updates:  # else with the look at that update
            with profile("probe"), throughput.paused():
                probe.relax()
        if recorded and step + 1 < total and evaluations.due(step + 1):
            with throughput.paused():
                evaluate()
    with profile("indicators"):
        monitor.finish_interval()  # before the last update: the record is of the masks its step was taken with
    recorded = True
    if total in updates:
        with profile("masks"):
            prune(total)
    elif probe is not None:
        with profile("probe"):
            probe.relax()
    evaluate()
    return failures


class _Evaluations:
    """Decides at which records the network is evaluated: the first one at or after every `every` steps."""

    def __init__(self, every: int) -> None:
        self._every, self._done = every, 0

    def due(self, step: int) -> bool:
        reached = step // self._every
        if reached > self._done:
            self._done = reached
            return True
        return False


def _batches(
    seeds: Sequence[int], settings: Settings, samples: int, device: torch.device
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield epoch and indices of every batch, int64, shape (run, batch): a function of (seed, epoch) alone."""
    for epoch in range(settings.training.epochs):
        orders = {seed: batch_order(seed, epoch, samples) for seed in set(seeds)}
        stacked = torch.stack([orders[seed] for seed in seeds]).to(device)
        for indices in stacked.split(settings.training.batch_size, dim=1):
            yield epoch, indices


def _column(values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).to(like.device, non_blocking=True)


def _emptied(cohort: Cohort, settings: Settings) -> dict[int, str]:
    """Find the runs that lost a whole layer, but not those that diverged: that is the cause then."""
    if settings.pruning.allow_empty_layers:
        return {}
    active = torch.stack([m.flatten(1 if cohort.stacked else 0).any(-1).reshape(-1) for m in cohort.masks], dim=1)
    return {
        run: f"no active weight left in layer {cohort.names[layer]!r} (allow it with --allow-empty-layers)"
        for run, layer in reversed((~active).nonzero().tolist())
        if cohort.is_finite(run)
    }
