"""What recording a study will take, before it starts: time, from a few steps of its network, and disk space."""

from __future__ import annotations

import time

import numpy as np
import torch

from recorders.data import DataSet, Feed
from recorders.networks.factory import ModelFactory, default_model, network_of
from recorders.settings.runs import Run
from recorders.settings.settings import Settings, prepared_by_batch
from recorders.store.layout import Layout
from recorders.training.cohort import Cohort
from recorders.training.optimiser import make_optimiser

_STEPS = 3  # timed, after one that is not


def seconds_per_step(run: Run, settings: Settings, images: DataSet, device: torch.device) -> float:
    """Time an optimiser step of a run, without records and mask updates."""
    few = DataSet(
        images.name,
        images.train_images[: settings.training.batch_size],
        images.train_labels[: settings.training.batch_size],
        images.test_images[:1],
        images.test_labels[:1],
        images.classes,
    )
    few = few if prepared_by_batch(settings) else few.normalised()
    feed = Feed(few.to(device), size=settings.data.resize)
    make: ModelFactory = default_model(images, settings)
    cohort = Cohort([network_of(run, make, settings)], [None], device, precision=settings.training.precision)
    optimiser = make_optimiser(cohort.trainable, settings)
    indices = torch.arange(len(few.train_labels), device=device)[None]
    threads, taken = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        for _ in range(_STEPS + 1):
            began = time.perf_counter()
            cohort.backward(*feed.batch(indices, [run.seed], 0), activations=False).cpu()
            cohort.hand_over_gradients()
            optimiser.step()
            optimiser.zero_grad()
            cohort.refresh()
            taken.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(threads)
    return float(np.median(taken[1:]))


def store_bytes(layout: Layout) -> int:
    """Bytes of a recording before compression: an upper bound of what it takes on disk."""
    total = 0
    for variable in layout.variables:
        total += int(np.prod([layout.sizes[d] for d in variable.dims])) * np.dtype(variable.dtype).itemsize
    masks = sum(int(np.prod(shape)) for shape in layout.parameters.values())
    return total + masks * len(layout.runs)
