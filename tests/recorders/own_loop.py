"""Somebody's own training loop, for the tests of the Recorder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import nn
from torch.nn.functional import cross_entropy

from burden_analysis import open_study
from recorders import Recorder

RUN = {"strategy": "mine", "sparsity": 0.0, "seed": 0}
NAME = "mine-s0-seed0"


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 7), nn.Tanh(), nn.Linear(7, 3))


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    steps: int,
    recorder: Recorder | None = None,
    spy: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], None] | None = None,
) -> None:
    draw = torch.Generator().manual_seed(1)
    for _ in range(steps):
        x, y = torch.randn(16, 12, generator=draw), torch.randint(0, 3, (16,), generator=draw)
        loss = cross_entropy(model(x), y)
        loss.backward()
        if recorder is not None:
            recorder.log(loss=loss)
        if spy is not None:
            spy(x, y, loss)
        optimizer.step()
        optimizer.zero_grad()


def load(store: Path, name: str = NAME) -> xr.Dataset:
    return xr.open_zarr(store, group=name).load()


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(step)
    return torch.randn(16, 12, generator=draw), torch.randint(0, 3, (16,), generator=draw)


def norms(model: nn.Module) -> list[float]:
    """L2 norm of every weight's gradient, as float64 sees it."""
    return [0.0 if p.grad is None else p.grad.double().norm().item() for p in model.parameters() if p.ndim > 1]


def recorded(store: Path) -> xr.Dataset:
    return open_study(store).isel(run=0)


def agrees(store: Path, expected: list[list[float]]) -> None:
    dataset = recorded(store)
    assert int(dataset.records_written) == len(expected)
    np.testing.assert_allclose(dataset.gradient_norm, expected, rtol=2e-6)


def backward(model: nn.Module, step: int) -> torch.Tensor:
    x, y = batch(step)
    loss = cross_entropy(model(x), y)
    loss.backward()
    return loss
