"""What does probing the burden add to a recorded run? Peer: the same run without a probe.

Run ``python benchmarks/probe.py DATA_ROOT``. Our limits: 25 % with every mask update probed, 10 % with every fourth.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from interleaved import machine, ratios

from recorders.data import DataSet, load
from recorders.networks.factory import default_model
from recorders.networks.layers import prunable_parameters
from recorders.settings.presets import preset
from recorders.settings.runs import Run
from recorders.settings.settings import Settings
from recorders.store.layout import Layout, record_steps
from recorders.store.recording import create_recording
from recorders.study.assignment import Assignment, Place
from recorders.study.resources import Resources
from recorders.study.worker import Worker
from recorders.training.train import method_of, steps_per_epoch, update_steps


def training(settings: Settings, data: DataSet, run: Run, store: Path) -> Callable[[], None]:
    steps = steps_per_epoch(settings, len(data.train_labels)) * settings.training.epochs
    worker = Worker(store, settings, data, Resources(torch.device("cpu"), 1))
    network = default_model(data, settings)()
    shapes = {name: tuple(p.shape) for name, p in prunable_parameters(network).items()}
    name = f"{run.strategy}-{settings.probe.every}-{settings.probe.size}"
    samples = len(data.train_labels)
    updates = len(update_steps(method_of(run, settings, network, samples), settings, samples))
    layers = ["hidden1", "hidden2"]
    probed, records = settings.probe.every > 0, record_steps(settings.recording.interval, steps)
    layout = Layout([run.coordinates()], shapes, layers, records, 1.0, updates, probed)
    create_recording(store, name, layout, config={}, provenance={})

    def go() -> None:
        outcome = worker.run(Assignment([Place(name, 0)], [run], [None]))[0]
        assert not outcome.reason, outcome

    return go


def main() -> None:
    """Print one table per data set and strategy."""
    torch.set_num_threads(1)
    print(f"{machine()}; whole recorded runs, 7 interleaved rounds")
    for name, epochs in (("mnist", 1), ("digits", 20)):
        base = preset("fig2", data=name, epochs=epochs)
        data = load(name, Path(sys.argv[1]), offline=True).padded(base.data.image_size).normalised()
        for run in (Run("iterative", 0.9, 0), Run("dense", 0.0, 0)):
            with tempfile.TemporaryDirectory() as folder:
                kinds = {
                    "no probe": (0, base.probe.size),
                    "every update": (1, base.probe.size),
                    "every 4th": (4, base.probe.size),
                    "every update, 1 024 images": (1, 1024),
                    "every 4th, 1 024 images": (4, 1024),
                }
                pieces = {
                    kind: training(
                        base.with_values(probe_every=every, probe_size=size), data, run, Path(folder) / "s.zarr"
                    )
                    for kind, (every, size) in kinds.items()
                }
                print(f"\n### {name}, {run.strategy}\n\n{ratios(pieces, 'no probe', rounds=7, repeats=1)}", flush=True)


if __name__ == "__main__":
    main()
