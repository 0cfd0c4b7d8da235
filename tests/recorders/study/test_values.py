"""Every value a study records, redone in NumPy float64 from the weights and the batch of each step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import xarray as xr

import recorders.study.worker
from recorders.data import load
from recorders.settings.runs import Run
from recorders.settings.settings import Settings
from recorders.store.layout import Layout, record_steps
from recorders.store.recording import create_recording
from recorders.study.assignment import Assignment, Place
from recorders.study.resources import Resources
from recorders.study.worker import Worker
from recorders.training.cohort import Cohort
from tests.recorders.effective import effective_weights

Array = npt.NDArray[np.float64]
SETTINGS = Settings().with_values(
    hidden=(12, 7), epochs=3, interval=5, learning_rate=0.01, sparsities=(0.7,), seeds=(3,), probe_every=0
)
RUNS = [Run("iterative", 0.7, 3), Run("random", 0.7, 3, "global"), Run("dense", 0.0, 3)]
NAMES = ["hidden1.weight", "hidden2.weight", "output.weight"]


class Spy(Cohort):
    """Keeps what every step was computed from."""

    steps: list[dict[str, Any]]

    def backward(self, images: torch.Tensor, labels: torch.Tensor, **more: Any) -> torch.Tensor:
        parameters = {name: p.double().numpy() for name, p in effective_weights(self, 0).items()}
        masks = {name: mask.numpy() for name, mask in self.run_masks(0).items()}
        Spy.steps.append({"p": parameters, "m": masks, "x": images[0].double().numpy(), "y": labels[0].numpy()})
        return super().backward(images, labels, **more)


def recomputed(p: dict[str, Array], m: dict[str, Array], x: Array, y: Array) -> dict[str, Any]:
    a0 = x.reshape(len(x), -1)
    a1 = np.maximum(a0 @ p["hidden1.weight"].T + p["hidden1.bias"], 0)
    a2 = np.maximum(a1 @ p["hidden2.weight"].T + p["hidden2.bias"], 0)
    z = a2 @ p["output.weight"].T + p["output.bias"]
    odds = np.exp(z - z.max(1, keepdims=True))
    target = np.eye(10)[y]
    d3 = (odds / odds.sum(1, keepdims=True) - target) / len(y)
    d2 = (d3 @ p["output.weight"]) * (a2 > 0)
    d1 = (d2 @ p["hidden2.weight"]) * (a1 > 0)
    g = dict(zip(NAMES, (d1.T @ a0, d2.T @ a1, d3.T @ a2), strict=True))
    norm, size = np.linalg.norm, {n: m[n].sum() for n in NAMES}
    return {
        "gradient_norm": [norm(g[n][m[n]]) for n in NAMES],
        "dense_gradient_norm": [norm(g[n]) for n in NAMES],
        "gradient_mean_abs": [np.abs(g[n][m[n]]).sum() / size[n] for n in NAMES],
        "weight_norm": [norm(p[n][m[n]]) for n in NAMES],
        "weight_mean_abs": [np.abs(p[n][m[n]]).sum() / size[n] for n in NAMES],
        "active_weights": [size[n] for n in NAMES],
        "activation_rms": [np.sqrt((a1**2).mean()), np.sqrt((a2**2).mean())],
        "loss": -np.log((odds / odds.sum(1, keepdims=True))[range(len(y)), y]).mean(),
        "zeros": all(not p[n][~m[n]].any() for n in NAMES),
    }


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.strategy)
def test_every_recorded_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setattr(recorders.study.worker, "Cohort", Spy)
    Spy.steps = []
    data, store = load("digits").normalised(), tmp_path / "s.zarr"
    steps = record_steps(5, 36)
    shapes = {"hidden1.weight": (12, 64), "hidden2.weight": (7, 12), "output.weight": (10, 7)}
    layout = Layout([run.coordinates()], shapes, ["hidden1", "hidden2"], steps, 12.0, 4)
    create_recording(store, "fig2", layout, config={}, provenance={})
    worker = Worker(store, SETTINGS, data, Resources(torch.device("cpu"), 1))
    outcome = worker.run(Assignment([Place("fig2", 0)], [run], [None]))[0]
    assert not outcome.reason
    dataset = xr.open_zarr(store, group="fig2", consolidated=False).load().isel(run=0)

    expected = [recomputed(**step) for step in Spy.steps]
    assert len(expected) == 36
    assert all(e["zeros"] for e in expected)
    ends = [int(s) for s in steps]
    starts = [0, *ends[:-1]]
    for name in ("active_weights", "activation_rms", "loss"):
        np.testing.assert_allclose(dataset[name], [expected[e - 1][name] for e in ends], rtol=1e-5, err_msg=name)
    for name in ("gradient_norm", "dense_gradient_norm", "gradient_mean_abs", "weight_norm", "weight_mean_abs"):
        values = np.array([e[name] for e in expected])
        np.testing.assert_allclose(dataset[name], values[[e - 1 for e in ends]], rtol=1e-5, err_msg=name)
        means = [values[s:e].mean(0) for s, e in zip(starts, ends, strict=True)]
        np.testing.assert_allclose(dataset[f"{name}_mean"], means, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(dataset.interval_steps, np.diff([0, *ends]))
    np.testing.assert_allclose(dataset.epoch, steps / 12)
    np.testing.assert_allclose(
        dataset.actual_sparsity, 1 - np.sum([expected[e - 1]["active_weights"] for e in ends], axis=1) / 922
    )
    np.testing.assert_allclose(dataset.learning_rate, 0.01, rtol=1e-6)
