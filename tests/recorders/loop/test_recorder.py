"""What a Recorder measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn
from torch.nn.functional import cross_entropy

from recorders import Recorder
from recorders.contract import InputError
from tests.recorders.own_loop import NAME, RUN, load, network, train


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.SGD])
def test_recording_changes_no_bit(tmp_path: Path, kind: type[torch.optim.Optimizer]) -> None:
    plain, recorded = network(), network()
    train(plain, kind(plain.parameters(), lr=0.01), 23)
    optimizer = kind(recorded.parameters(), lr=0.01)
    state = torch.random.get_rng_state()
    with Recorder(tmp_path / "s.zarr", recorded, optimizer, run=RUN, interval=5) as recorder:
        train(recorded, optimizer, 23, recorder)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), recorded.parameters(), strict=True))
    assert torch.equal(state, torch.random.get_rng_state())
    assert not recorded[1]._forward_hooks
    assert not optimizer._optimizer_step_pre_hooks


@pytest.mark.filterwarnings("ignore:.*declared sparsity 0, measured:UserWarning")
@pytest.mark.parametrize("total_steps", [None, 23])
def test_every_value_agrees_with_float64_numpy(tmp_path: Path, total_steps: int | None) -> None:
    """Forward and backward pass of every step redone in NumPy float64 at the weights of that step."""
    model = network()
    masks = {"0.weight": torch.rand(9, 12) > 0.5, "2.weight": torch.rand(7, 9) > 0.4}
    expected: list[dict[str, Any]] = []

    def spy(x: torch.Tensor, y: torch.Tensor, loss: torch.Tensor) -> None:
        expected.append(numpy_step(model, masks, x, y))

    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    store = tmp_path / "s.zarr"
    with Recorder(store, model, optimizer, run=RUN, interval=5, masks=masks, total_steps=total_steps) as recorder:
        train(model, optimizer, 23, recorder, spy)
    dataset = load(store)
    assert dataset.step.values.tolist() == [5, 10, 15, 20, 23]
    assert dataset.interval_steps.values.tolist() == [[5, 5, 5, 5, 3]]
    for name in ("gradient_norm", "dense_gradient_norm", "gradient_mean_abs", "weight_norm", "weight_mean_abs"):
        values = np.array([e[name] for e in expected])
        last = [4, 9, 14, 19, 22]
        np.testing.assert_allclose(dataset[name][0], values[last], rtol=1e-5)
        means = [values[max(0, i - 4) if i < 22 else 20 : i + 1].mean(0) for i in last]
        np.testing.assert_allclose(dataset[f"{name}_mean"][0], means, rtol=1e-5)
        np.testing.assert_allclose(dataset["loss"][0], [expected[i]["loss"] for i in last], rtol=1e-5)
        np.testing.assert_allclose(dataset["activation_rms"][0], [expected[i]["rms"] for i in last], rtol=1e-5)
    active = [int(masks["0.weight"].sum()), int(masks["2.weight"].sum()), 21]
    assert (dataset.active_weights[0] == active).all()
    np.testing.assert_allclose(dataset.actual_sparsity, 1 - sum(active) / (108 + 63 + 21))
    np.testing.assert_allclose(dataset.learning_rate, 0.01, rtol=1e-6)
    final = xr.open_zarr(store, group=f"{NAME}/masks")
    np.testing.assert_array_equal(final["0.weight"][0], masks["0.weight"].numpy())
    assert bool(final["4.weight"].all())


def numpy_step(
    model: nn.Sequential, masks: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor
) -> dict[str, Any]:
    p = {n: t.detach().double().numpy() for n, t in model.named_parameters()}
    a0 = x.double().numpy()
    z1 = a0 @ p["0.weight"].T + p["0.bias"]
    a1 = np.maximum(z1, 0)
    a2 = np.tanh(a1 @ p["2.weight"].T + p["2.bias"])
    z3 = a2 @ p["4.weight"].T + p["4.bias"]
    odds = np.exp(z3 - z3.max(1, keepdims=True))
    probability = odds / odds.sum(1, keepdims=True)
    target = np.eye(3)[y.numpy()]
    d3 = (probability - target) / len(y)
    d2 = (d3 @ p["4.weight"]) * (1 - a2**2)
    d1 = (d2 @ p["2.weight"]) * (z1 > 0)
    gradients = {"0.weight": d1.T @ a0, "2.weight": d2.T @ a1, "4.weight": d3.T @ a2}
    result: dict[str, Any] = {
        "loss": -np.log((probability * target).sum(1)).mean(),
        "rms": [np.sqrt((a1**2).mean()), np.sqrt((a2**2).mean())],
    }
    keep = {n: masks[n].numpy() if n in masks else np.ones_like(g, dtype=bool) for n, g in gradients.items()}
    result["gradient_norm"] = [np.linalg.norm(g[keep[n]]) for n, g in gradients.items()]
    result["dense_gradient_norm"] = [np.linalg.norm(g) for g in gradients.values()]
    result["gradient_mean_abs"] = [np.abs(g[keep[n]]).mean() for n, g in gradients.items()]
    result["weight_norm"] = [np.linalg.norm(p[n][keep[n]]) for n in gradients]
    result["weight_mean_abs"] = [np.abs(p[n][keep[n]]).mean() for n in gradients]
    return result


def test_the_store_is_understandable_without_this_package(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    run = RUN | {"augmentation": "none"}
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=run, interval=5) as recorder:
        train(model, optimizer, 10, recorder)
        recorder.log(temperature=3.5)
        train(model, optimizer, 10, recorder)
    dataset = load(tmp_path / "s.zarr", f"{NAME}-augmentation=none")
    assert dict(dataset.sizes) == {"run": 1, "record": 4, "parameter": 3, "layer": 2}
    assert {"run_id", "strategy", "sparsity", "seed", "augmentation", "step", "epoch"} <= set(dataset.coords)
    assert dataset.strategy.item() == "mine"
    assert dataset.parameter.values.tolist() == ["0.weight", "2.weight", "4.weight"]
    assert dataset.parameter_layer.values.tolist() == ["0", "2", "4"]
    assert dataset.parameter_size.values.tolist() == [108, 63, 21]
    np.testing.assert_array_equal(dataset.temperature, [[np.nan, np.nan, 3.5, np.nan]])
    for name, variable in dataset.variables.items():
        if name not in dataset.dims:
            assert {"long_name", "units", "documentation"} <= set(variable.attrs), name
            assert (Path(__file__).parents[3] / variable.attrs["documentation"]).is_file(), name
    assert dataset.gradient_norm.dtype == np.float32
    assert dataset.status.item() == "complete"
    assert dataset.records_written.item() == 4


@pytest.mark.parametrize("fused", [False, True])
def test_gradients_are_recorded_after_unscaling(tmp_path: Path, fused: bool) -> None:
    norms = []
    for scale in (None, 1024.0):
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=fused)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale or 1.0, enabled=scale is not None)
        store = tmp_path / f"{scale}.zarr"
        with Recorder(store, model, optimizer, run=RUN, interval=1):
            loss = cross_entropy(model(torch.ones(2, 12)), torch.tensor([0, 1]))
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        norms.append(load(store).gradient_norm.values)
    np.testing.assert_allclose(norms[0], norms[1], rtol=1e-5)


def test_logged_tensors_may_be_reused_by_the_loop(tmp_path: Path) -> None:
    model, total = network(), torch.zeros(())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1) as recorder:
        for _ in range(3):
            total += 1
            recorder.log(total=total)
            train(model, optimizer, 1)
    assert load(tmp_path / "s.zarr").total.values.tolist() == [[1, 2, 3]]


def test_a_step_that_the_gradient_scaler_skips_is_not_recorded(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)  # overflows float32 until it has backed off
    before = [p.detach().clone() for p in model.parameters()]
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1) as recorder:
        loss = 1e10 * cross_entropy(model(torch.ones(2, 12)), torch.tensor([0, 1]))
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        assert recorder.step == 0
        assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
        optimizer.zero_grad()
        train(model, optimizer, 1, recorder)
    assert load(tmp_path / "s.zarr").status.item() == "complete"


@pytest.mark.parametrize(("kind", "tolerance"), [(torch.float16, 1e-5), (torch.bfloat16, 1e-5)])
def test_half_precision_is_measured_in_single(tmp_path: Path, kind: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    model = nn.Linear(512, 512).to(kind)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    gradient = torch.rand(512, 512).to(kind)
    expected = gradient.double().abs().mean().item()
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1):
        model.weight.grad = gradient
        optimizer.step()
    dataset = load(tmp_path / "s.zarr")
    np.testing.assert_allclose(dataset.gradient_mean_abs.item(), expected, rtol=tolerance)


def test_activations_of_another_mode_are_not_carried_over(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1) as recorder:
        train(model, optimizer, 1, recorder)
        model.eval()
        train(model, optimizer, 1, recorder)
    rms = load(tmp_path / "s.zarr").activation_rms[0]
    assert np.isfinite(rms[0]).all()
    assert np.isnan(rms[1]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"exist": "owerwrite"}, "did you mean 'overwrite'"),
        ({"interval": 0}, "interval and total_steps must be positive"),
        ({"run": {"strategy": "x"}}, "run lacks sparsity, seed"),
        ({"run": RUN | {"tags": [1]}}, "run setting 'tags' must be text or a number"),
        ({"run": RUN | {"seed": "a"}}, "run needs a number as sparsity and seed"),
        ({"run": RUN | {"sparsity": 1.5}}, r"sparsity 1.5 is outside \[0, 1\]"),
        ({"run": RUN | {"learning_rate": 0.1}}, "is the name of a recorded variable: call it 'run_learning_rate'"),
        ({"masks": {"0.wieght": torch.ones(9, 12)}}, "did you mean '0.weight'"),
        ({"masks": {"0.weight": torch.ones(3, 3)}}, r"mask of '0.weight' has shape \(3, 3\), the weight \(9, 12\)"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(InputError, match=message):
        Recorder(tmp_path / "s.zarr", model, optimizer, **({"run": RUN} | arguments))
    assert not model[1]._forward_hooks


def test_an_optimizer_of_another_model_is_refused(tmp_path: Path) -> None:
    optimizer = torch.optim.SGD(network().parameters(), lr=0.1)
    with pytest.raises(InputError, match=r"optimizer holds none of the model's 3 weights \('0\.weight', '2\.weight'"):
        Recorder(tmp_path / "s.zarr", network(), optimizer, run=RUN)
    assert not (tmp_path / "s.zarr").exists()


def test_indicators_cannot_be_logged_over(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN) as recorder:
        with pytest.raises(InputError, match="cannot log 'gradient_norm'"):
            recorder.log(gradient_norm=1.0)
        for name in ("step", "run", "update", "val/acc"):
            with pytest.raises(InputError, match=f"cannot log '{name}'"):
                recorder.log(**{name: 1.0})
        with pytest.raises(InputError, match=r"cannot log 'loss' of shape \(2,\): log one number"):
            recorder.log(loss=torch.ones(2))
        train(model, optimizer, 1, recorder)
