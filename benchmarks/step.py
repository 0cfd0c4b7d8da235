"""What does one DPF step cost, and recording it, beside the same dense step in plain PyTorch?

Run ``python benchmarks/step.py``. Peer: a plain PyTorch loop with the same fused optimiser. Also timed:
`torch.nn.utils.prune`, the usual way to mask a network, whose gradient is masked (it is not DPF).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

import torch
from interleaved import machine, ratios
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import prune

from recorders import Recorder
from recorders.methods.masks import magnitude_masks
from recorders.networks.mlp import mlp
from recorders.training.cohort import Cohort

INTERVAL = 16  # DPF's Δt
BATCH = 128


def plain(side: int) -> Callable[[], None]:
    model = mlp((1, side, side), 10)
    return _loop(model, side)


def pruned_by_torch(side: int) -> Callable[[], None]:
    model = mlp((1, side, side), 10)
    for layer in (model.hidden1, model.hidden2, model.output):
        prune.random_unstructured(layer, "weight", amount=0.9)
    return _loop(model, side)


def recorded(side: int, folder: Path) -> Callable[[], None]:
    model = mlp((1, side, side), 10)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    run = {"strategy": "dense", "sparsity": 0.0, "seed": side}
    Recorder(folder / "study.zarr", model, optimiser, run=run, interval=10)
    return _loop(model, side, optimiser)


def _loop(model: nn.Module, side: int, optimiser: torch.optim.Optimizer | None = None) -> Callable[[], None]:
    optimiser = optimiser or torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    x, y = torch.randn(BATCH, 1, side, side), torch.randint(0, 10, (BATCH,))

    def step() -> None:
        cross_entropy(model(x), y).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def dpf(side: int) -> Callable[[], None]:
    cohort = Cohort([mlp((1, side, side), 10)], [None], torch.device("cpu"))
    optimiser = torch.optim.Adam(cohort.trainable, lr=1e-3, fused=True)
    x, y = torch.randn(1, BATCH, 1, side, side), torch.randint(0, 10, (1, BATCH))
    steps = count()

    def step() -> None:
        if next(steps) % INTERVAL == 0:
            cohort.set_masks({0: magnitude_masks(cohort.dense, 0.9)})
        cohort.backward(x, y, activations=False)
        cohort.hand_over_gradients()
        optimiser.step()
        optimiser.zero_grad()
        cohort.refresh()

    return step


def main() -> None:
    """Print one table per size of network."""
    torch.set_num_threads(1)
    print(f"{machine()}; batch {BATCH}; 31 interleaved rounds of 32 steps")
    with tempfile.TemporaryDirectory() as folder:
        for side, name in ((32, "1024-300-100-10 (MNIST)"), (8, "64-300-100-10 (digits)")):
            pieces = {
                "dense step, plain PyTorch": plain(side),
                "DPF step, mask update every 16": dpf(side),
                "masked step, torch.nn.utils.prune": pruned_by_torch(side),
                "dense step with a Recorder, interval 10": recorded(side, Path(folder)),
            }
            print(f"\n### {name}\n\n{ratios(pieces, 'dense step, plain PyTorch', repeats=2 * INTERVAL)}")


if __name__ == "__main__":
    main()
