"""Indicators off until asked: the norm of the update, and those of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from burden_analysis import (
    INDICATORS,
    PROBE_INDICATORS,
    compare_strategies,
    cumulative_mean,
    endpoint,
    open_study,
    series,
)
from recorders import Indicator, Recorder
from recorders.contract import InputError
from recorders.settings import Settings
from recorders.store.stored_names import STORED_NAMES
from recorders.study import Resources, record_study
from reports import figure2
from tests.recorders.own_loop import RUN, network, train

SIGNAL = Indicator("signal", lambda w, g, m: (w * g * m).abs().sum(), units="1", combine="sum")


def spied(store: Path, optimizers: Any, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Record 6 steps; give the norms of all updates, and Σ|w g m|, in float64, shape (step, parameter)."""
    model = network()
    stepped = optimizers(model)
    masks = {"0.weight": torch.arange(108).reshape(9, 12) % 3 > 0}
    weights, updates, signals = [p for p in model.parameters() if p.ndim > 1], [], []
    every = [masks["0.weight"].double(), torch.ones(7, 9), torch.ones(3, 7)]
    run = RUN | {"sparsity": 36 / 192}
    with Recorder(store, model, stepped, run=run, masks=masks, indicators=[SIGNAL, "update_norm"], **options):
        for step in range(6):
            draw = torch.Generator().manual_seed(step)
            model.zero_grad()
            model(torch.randn(16, 12, generator=draw)).square().mean().backward()
            before = [w.detach().double().clone() for w in weights]
            signals.append(
                [float((w * p.grad * m).abs().sum()) for w, p, m in zip(before, weights, every, strict=True)]
            )
            for optimizer in stepped if isinstance(stepped, list) else [stepped]:
                optimizer.step()
            moved = [(p.detach().double() - w) * m for p, w, m in zip(weights, before, every, strict=True)]
            updates.append([float(change.norm()) for change in moved])
    return np.array(updates), np.array(signals)


@pytest.mark.parametrize(
    "optimizers",
    [
        lambda model: torch.optim.Adam(model.parameters(), lr=0.01),
        lambda model: [torch.optim.SGD(model[0].parameters(), lr=0.1), torch.optim.Adam(model[2:].parameters())],
    ],
    ids=["one", "two"],
)
def test_updates_and_ones_own_agree_with_float64_and_are_averaged(tmp_path: Path, optimizers: Any) -> None:
    updates, signals = spied(tmp_path / "s.zarr", optimizers, interval=2)
    study = open_study(tmp_path / "s.zarr")
    dataset = study.isel(run=0)
    for name, true in (("update_norm", updates), ("signal", signals)):
        np.testing.assert_allclose(dataset[name], true[1::2], rtol=2e-5)
        np.testing.assert_allclose(dataset[f"{name}_mean"], true.reshape(3, 2, 3).mean(1), rtol=2e-5)
    np.testing.assert_allclose(series(study, "signal")[0], signals[1::2].sum(1), rtol=2e-5)
    norm = np.sqrt((updates[1::2] ** 2).sum(1))
    np.testing.assert_allclose(series(study, "update_norm")[0], norm, rtol=2e-5)
    ratio = norm / np.sqrt((dataset.weight_norm.values.astype(float) ** 2).sum(1))
    np.testing.assert_allclose(series(study, "update_ratio")[0], ratio, rtol=2e-5)
    np.testing.assert_allclose(cumulative_mean(study, "signal")[0, -1], signals.mean(0), rtol=2e-5)
    assert endpoint(study, "signal", window=1, scale="raw").item() == pytest.approx(
        signals[1::2].sum(1).mean(), rel=2e-5
    )


@pytest.mark.parametrize(("combine", "expected"), [("norm", np.sqrt(4 * 5**2)), ("sum", 20.0), ("mean", 5.0)])
def test_tensors_are_combined_as_the_indicator_says(tmp_path: Path, combine: str, expected: float) -> None:
    model = nn.Sequential(*(nn.Linear(3, 3) for _ in range(4)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    five = Indicator("five", lambda w, g, m: torch.tensor(5.0), combine=combine)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1, indicators=[five]):
        model(torch.ones(2, 3)).sum().backward()
        optimizer.step()
    assert series(open_study(tmp_path / "s.zarr"), "five").item() == pytest.approx(expected)


def test_nan_is_stored_counted_and_no_divergence(tmp_path: Path) -> None:
    odd = Indicator("odd", lambda w, g, m: torch.tensor(float("nan")) if w.shape[0] == 9 else w.sum())
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=2, indicators=[odd]) as recorder:
        train(model, optimizer, 4, recorder)
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    assert np.isnan(dataset.odd[:, 0]).all()
    assert np.isfinite(dataset.odd[:, 1:]).all()
    assert (dataset.status.item(), dataset.remarks.item()) == ("complete", "odd was NaN 4 times")


def failing(*_: torch.Tensor) -> torch.Tensor:
    raise ZeroDivisionError("by zero\nin two lines")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda w, g, m: w, r"indicator 'mine' gave torch.float32 of shape \(9, 12\) for '0.weight': return one real"),
        (lambda w, g, m: w.sum().item(), r"indicator 'mine' gave -?\d.* for '0.weight': return one real number"),
        (lambda w, g, m: None, "indicator 'mine' gave None for '0.weight'"),
        (failing, "indicator 'mine' failed for '0.weight': ZeroDivisionError: by zero in two lines"),
    ],
)
def test_what_an_indicator_may_not_give_stops_at_the_first_step(tmp_path: Path, function: Any, message: str) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder = Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, indicators=[Indicator("mine", function)])
    with pytest.raises(InputError, match=message):
        train(model, optimizer, 1, recorder)
    recorder.close("stopped")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Indicator("loss", abs), "indicator 'loss' is the name of a recorded variable: call it 'my_loss'"),
        (lambda: Indicator("a b", abs), "indicator 'a b': name it with letters"),
        (lambda: Indicator("x_mean", abs), "indicator 'x_mean': name it with letters, digits, underscores, not"),
        (lambda: Indicator("x", "f"), "indicator 'x' needs a function"),  # type: ignore[arg-type]
        (
            lambda: Indicator("x", abs, combine="max"),
            "unknown combination of tensors 'max': choose from norm, sum, mean",
        ),
    ],
)
def test_an_indicator_is_checked_when_it_is_made(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"indicators": ["update"]}, "unknown indicator 'update': choose from update_norm, an Indicator of your own"),
        ({"indicators": [SIGNAL, SIGNAL]}, "indicators have one name twice: signal, signal"),
        ({"indicators": [abs]}, "indicators take 'update_norm' and Indicator objects, got builtin_function_or_method"),
        ({"indicators": [SIGNAL], "run": RUN | {"signal": 3}}, "'signal' is an indicator and a setting of the run"),
        ({"indicators": "update_norm", "optimizer": []}, "update_norm needs the steps of an optimizer"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    model = network()
    given = {"run": RUN, "optimizer": torch.optim.SGD(model.parameters())} | options
    with pytest.raises(InputError, match=message):
        Recorder(tmp_path / "s.zarr", model, **given)
    assert not (tmp_path / "s.zarr").exists()


def test_an_indicator_cannot_be_logged_over_and_goes_along_on_resuming(tmp_path: Path) -> None:
    model, store = network(), tmp_path / "s.zarr"
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    options: dict[str, Any] = {"run": RUN, "interval": 1, "total_steps": 4}
    with Recorder(store, model, optimizer, **options, indicators=[SIGNAL]) as recorder:
        with pytest.raises(InputError, match="cannot log 'signal': the recorder writes it itself"):
            recorder.log(signal=1.0)
        train(model, optimizer, 2, recorder)
    resumed: dict[str, Any] = {"exist": "resume", "steps_done": 2}
    with pytest.raises(InputError, match="another model, interval, sample_every, indicators or total_steps"):
        Recorder(store, model, optimizer, **options, **resumed)
    with Recorder(store, model, optimizer, **options, **resumed, indicators=[SIGNAL]) as recorder:
        train(model, optimizer, 2, recorder)
    dataset = open_study(store).isel(run=0)
    assert dataset.status.item() == "complete"
    assert np.isfinite(dataset.signal).all()


def test_recording_updates_changes_no_bit(tmp_path: Path) -> None:
    plain, recorded = network(), network()
    train(plain, torch.optim.Adam(plain.parameters()), 5)
    optimizer = torch.optim.Adam(recorded.parameters())
    asked = [SIGNAL, "update_norm"]
    with Recorder(tmp_path / "s.zarr", recorded, optimizer, run=RUN, interval=2, indicators=asked) as recorder:
        train(recorded, optimizer, 5, recorder)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), recorded.parameters(), strict=True))


@pytest.mark.parametrize("stacked", [False, True])
def test_a_study_records_updates_and_compares_and_draws_them(tmp_path: Path, stacked: bool) -> None:
    """SGD without momentum: the update of an active weight is the rate times its gradient."""
    settings = Settings().with_values(
        strategies=("iterative", "random"),
        sparsities=(0.5,),
        seeds=(0, 1),
        hidden=(20, 10),
        epochs=2,
        optimizer="sgd",
        momentum=0.0,
        learning_rate=0.05,
        indicators=("update_norm",),
        probe_every=0,
    )
    record_study(settings, tmp_path / "s.zarr", using=Resources(torch.device("cpu"), 1, stacked=stacked))
    study = open_study(tmp_path / "s.zarr")
    rates = study.learning_rate.values[:, :, None]
    np.testing.assert_allclose(study.update_norm, rates * study.gradient_norm, rtol=1e-4)
    assert set(study.mask_source.values.ravel()) == {"strategy iterative", "strategy random"}
    assert set(study.activation_source.values.ravel()) == {"output of the ReLU after it"}
    result = compare_strategies(study, "update_norm_mean", order=("iterative", "random"))
    assert len(result.seeds) == 2
    figure = figure2(study, gradient="update_norm_mean", order=("iterative", "random"))
    assert "step's change of the active weights" in figure.caption


def test_every_name_that_the_analysis_gives_is_taken() -> None:
    assert (INDICATORS.keys() | PROBE_INDICATORS.keys()) <= STORED_NAMES
    with pytest.raises(InputError, match="indicator 'gradient_rms' is the name of a recorded variable"):
        Indicator("gradient_rms", abs)


def test_one_name_means_one_thing_in_a_store(tmp_path: Path) -> None:
    def record(seed: int, *indicators: Indicator, **more: Any) -> Recorder:
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run = RUN | {"seed": seed} | more
        with Recorder(tmp_path / "s.zarr", model, optimizer, run=run, interval=1, indicators=indicators) as recorder:
            train(model, optimizer, 2, recorder)
            recorder.log(free=1.0)
        return recorder

    record(0, SIGNAL, alpha=0.5)
    record(1, SIGNAL, alpha=0.5)  # the same: fine
    for other in (Indicator("signal", SIGNAL.function), Indicator("alpha", SIGNAL.function)):
        with pytest.raises(
            InputError, match=f"indicator '{other.name}' is something else in the run 'mine-s0-seed[01]-alpha"
        ):
            record(2, other)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN | {"seed": 3, "alpha": 0.5}, interval=1) as recorder:
        train(model, optimizer, 1, recorder)
        with pytest.raises(
            InputError, match=r"cannot log 'signal': it is an indicator of the run 'mine-s0-seed[01]-alpha"
        ):
            recorder.log(signal=1.0)
    assert open_study(tmp_path / "s.zarr").sizes["run"] == 3


def test_steps_that_a_scaler_skips_leave_the_norms_of_updates_alone(tmp_path: Path) -> None:
    model = network()
    optimizers = [
        torch.optim.SGD(model[0].parameters(), lr=0.1, fused=True),
        torch.optim.Adam(model[2:].parameters(), fused=True),
    ]
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    with Recorder(tmp_path / "s.zarr", model, optimizers, run=RUN, interval=1, indicators="update_norm") as recorder:
        for step in range(4):
            model.zero_grad()
            scaler.scale(model(torch.ones(2, 12)).square().mean()).backward()
            if step < 2:
                model[2].weight.grad[0, 0] = torch.inf
            for optimizer in optimizers:
                scaler.step(optimizer)
            scaler.update()
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    assert recorder.step == 2
    assert np.isfinite(dataset.update_norm).all()
    assert (dataset.update_norm > 0).all()
