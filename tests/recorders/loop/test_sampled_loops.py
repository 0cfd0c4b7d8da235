"""Sampled means in loops of several optimizers, with further indicators, compiled, and with a gradient scaler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from recorders import Indicator, Recorder
from recorders.measure.sampled_steps import SampledSteps
from tests.recorders.own_loop import RUN, backward, load, network
from tests.recorders.own_loop import norms as own_norms

SIGNAL = Indicator("signal", lambda w, g, m: (w * g * m).abs().sum(), combine="sum")
STEPS = 27


def one(model: nn.Module) -> list[torch.optim.Optimizer]:
    return [torch.optim.Adam(model.parameters(), lr=0.01)]


def two(model: nn.Module) -> list[torch.optim.Optimizer]:
    first, *rest = model.parameters()
    return [torch.optim.SGD([first], lr=0.1), torch.optim.Adam(rest, lr=0.01)]


def run_loop(store: Path, optimizers: Any, *, masked_at: int = -1, **options: Any) -> Any:
    model = network()
    stepped = optimizers(model)
    settings: dict[str, Any] = {"run": RUN, "total_steps": STEPS, "indicators": [SIGNAL, "update_norm"]}
    with Recorder(store, model, stepped, **settings, **options):
        for step in range(STEPS):
            if step == masked_at:
                prune.l1_unstructured(model[2], "weight", amount=0.5)
            model.zero_grad()
            backward(model, step)
            for optimizer in stepped:
                optimizer.step()
    return load(store)


@pytest.mark.filterwarnings("ignore:.*declared sparsity 0, measured:UserWarning")
@pytest.mark.parametrize("optimizers", [one, two])
@pytest.mark.parametrize("masked_at", [-1, 13])
def test_every_indicator_is_that_of_the_step_it_was_measured_at(
    tmp_path: Path, optimizers: Any, masked_at: int
) -> None:
    exact = run_loop(tmp_path / "exact.zarr", optimizers, masked_at=masked_at, interval=1)
    sampled = run_loop(tmp_path / "s.zarr", optimizers, masked_at=masked_at, interval=10, sample_every=4)
    sampling = SampledSteps([0], interval=10, every=4, total=STEPS)
    share = np.array([sampling.stands_for(step)[0] for step in range(STEPS)])
    for name in ("gradient_norm", "weight_norm", "signal", "update_norm"):
        values = exact[name][0].to_numpy().astype(float)
        np.testing.assert_array_equal(sampled[name][0], exact[name][0].to_numpy()[[9, 19, 26]])
        for i, (begin, end) in enumerate(((0, 10), (10, 20), (20, 27))):
            mean = (share[begin:end, None] * values[begin:end]).sum(0) / (end - begin)
            np.testing.assert_allclose(sampled[f"{name}_mean"][0, i], mean, rtol=1e-6)
    assert sampled.active_weights[0, :, 1].values.tolist() == exact.active_weights[0, :, 1].values[[9, 19, 26]].tolist()
    updates = sampled.update_step[0].values if "update_step" in sampled else np.array([])
    assert updates[np.isfinite(updates)].tolist() == ([13] if masked_at > 0 else [])


def test_a_compiled_model_has_activations_at_every_record(tmp_path: Path) -> None:
    values = {}
    for compiled in (False, True):
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        called = torch.compile(model, backend="aot_eager") if compiled else model
        store = tmp_path / f"{compiled}.zarr"
        with Recorder(store, model, optimizer, run=RUN, interval=6, sample_every=3, total_steps=15):
            for step in range(15):
                optimizer.zero_grad()
                backward(called, step)
                optimizer.step()
        values[compiled] = load(store).activation_rms[0].to_numpy()
    assert values[True].shape == (3, 2)
    np.testing.assert_allclose(values[True], values[False], rtol=1e-5)


def test_hooks_are_off_while_nothing_is_recorded(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    hooked = []
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=4, total_steps=8):
        for step in range(8):
            hooked.append(any(layer._forward_hooks for layer in model))
            backward(model, step)
            optimizer.step()
    assert hooked == [True, False, False, True, False, False, False, True]  # on until a first call was seen


class Still(torch.optim.Optimizer):
    """Steps without moving; stands for a fused one, which skips in its kernel."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        pass


class SkippedOnDevice(torch.Tensor):
    """Stands for `found_inf` of a GPU: to look at it is what must not happen."""

    is_cpu = False

    def __bool__(self) -> bool:
        raise AssertionError("waits for the device")


@pytest.mark.parametrize("every", [1, 2])
def test_a_step_that_a_scaler_skips_on_the_device_enters_no_mean(tmp_path: Path, every: int) -> None:
    model = network()
    optimizer = Still(model.parameters(), {})
    sampling = SampledSteps([0], interval=8, every=every, total=16)
    bad = [1, 6, 11, 15]  # the last is a record's own
    norms = []
    with Recorder(
        tmp_path / "s.zarr", model, optimizer, run=RUN, interval=8, sample_every=every, total_steps=16
    ) as recorder:
        for step in range(16):
            optimizer.zero_grad()
            backward(model, step)
            if step in bad:
                for p in model.parameters():
                    assert p.grad is not None
                    p.grad.fill_(torch.inf)
            norms.append(own_norms(model))
            optimizer.found_inf = torch.tensor(float(step in bad)).as_subclass(SkippedOnDevice)  # type: ignore[attr-defined]
            optimizer.step()
        assert recorder.step == 16
    dataset = load(tmp_path / "s.zarr")
    share = np.array([sampling.stands_for(step)[0] * (step not in bad) for step in range(16)])
    finite = np.where(np.isfinite(norms), norms, 0)
    for i, (begin, end) in enumerate(((0, 8), (8, 16))):
        mean = (share[begin:end, None] * finite[begin:end]).sum(0) / share[begin:end].sum()
        np.testing.assert_allclose(dataset.gradient_norm_mean[0, i], mean, rtol=1e-5)
        assert dataset.sampled_steps[0, i] == (share[begin:end] > 0).sum()
    for i, step in enumerate((7, 15)):
        np.testing.assert_allclose(dataset.gradient_norm[0, i], norms[step] if step not in bad else np.nan, rtol=1e-5)
    skips = sum(sampling.measures(step) for step in bad)
    assert dataset.remarks.item().startswith(f"{skips} measured steps were skipped by the gradient scaler")
    assert dataset.status.item() == "complete"
