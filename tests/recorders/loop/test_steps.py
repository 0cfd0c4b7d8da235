"""Which steps of a loop are one step: closures, several optimizers, steps inside steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from recorders import Recorder
from tests.recorders.own_loop import RUN, agrees, backward, network, norms, recorded

# Gradients are set by hand in many of these loops: no layer is called.
pytestmark = pytest.mark.filterwarnings("ignore:activation_rms of:UserWarning")

SGD = torch.optim.SGD


@pytest.mark.parametrize(
    "make",
    [lambda p: SGD(p, lr=0.1), lambda p: torch.optim.Adam(p, lr=0.01), lambda p: torch.optim.LBFGS(p, max_iter=3)],
    ids=["sgd", "adam", "lbfgs"],
)
@pytest.mark.parametrize("by_name", [False, True])
def test_with_a_closure_its_first_return_is_measured(tmp_path: Path, make: Callable[..., Any], by_name: bool) -> None:
    plain, model = network(), network()
    expected: list[list[float]] = []

    def train(model: nn.Module, optimizer: torch.optim.Optimizer, seen: list[list[float]]) -> None:
        for step in range(3):
            calls = []

            def closure(step: int = step, calls: list[int] = calls) -> torch.Tensor:
                optimizer.zero_grad()
                loss = backward(model, step)
                if not calls:
                    seen.append(norms(model))
                calls.append(1)
                return loss

            optimizer.step(closure=closure) if by_name else optimizer.step(closure)

    train(plain, make(plain.parameters()), [])
    optimizer = make(model.parameters())
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1):
        train(model, optimizer, expected)
    agrees(tmp_path / "s.zarr", expected)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), model.parameters(), strict=True))


class Centralised(SGD):
    """Its step changes gradients and calls the step it inherits."""

    def step(self, closure: Any = None) -> Any:
        return super().step(closure)


def test_a_step_inside_a_step_is_one_step(tmp_path: Path) -> None:
    SGD([nn.Parameter(torch.zeros(1))])  # from now on torch calls the hooks of both steps
    model, expected = network(), []
    optimizer = Centralised(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1):
        for step in range(3):
            optimizer.zero_grad()
            backward(model, step)
            expected.append(norms(model))
            optimizer.step()
    agrees(tmp_path / "s.zarr", expected)


def test_a_step_that_raised_does_not_hide_the_next_one(tmp_path: Path) -> None:
    class Fragile(SGD):
        broken = False

        def step(self, closure: Any = None) -> Any:
            if self.broken:
                raise FloatingPointError("not this time")
            return super().step(closure)

    model, expected = network(), []
    optimizer = Fragile(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1):
        for step in range(4):
            optimizer.zero_grad()
            backward(model, step)
            expected.append(norms(model))
            optimizer.broken = step == 1
            if optimizer.broken:
                with pytest.raises(FloatingPointError):
                    optimizer.step()
            else:
                optimizer.step()
    agrees(tmp_path / "s.zarr", expected)


@pytest.mark.parametrize("listed", [True, False])
def test_of_several_optimizers_each_weight_is_measured_before_its_own_update(tmp_path: Path, listed: bool) -> None:
    model, expected = network(), []
    first = SGD(model[0].parameters(), lr=0.1)
    second = torch.optim.Adam([*model[2].parameters(), *model[4].parameters()], lr=0.01)

    def make() -> Recorder:
        asked = [first, second] if listed else first
        return Recorder(tmp_path / "s.zarr", model, asked, run=RUN, interval=1)

    if listed:
        recorder = make()
    else:
        with pytest.warns(UserWarning, match=r"'2\.weight', '4\.weight': updated by another optimizer \('Adam'\)"):
            recorder = make()
    with recorder:
        for step in range(3):
            first.zero_grad()
            second.zero_grad()
            backward(model, step)
            expected.append([*norms(model), *(p.norm().item() for p in model.parameters() if p.ndim > 1)])
            first.step()
            second.step()
    dataset = recorded(tmp_path / "s.zarr")
    found = np.concatenate([dataset.gradient_norm, dataset.weight_norm], axis=1)
    np.testing.assert_allclose(found, expected, rtol=2e-6)
    np.testing.assert_allclose(dataset.learning_rate, 0.1)
    np.testing.assert_allclose(dataset.learning_rate_1, 0.01)


def test_a_head_alone_is_recorded_alone(tmp_path: Path) -> None:
    model = network()
    optimizer = SGD(model[4].parameters(), lr=0.1)
    with pytest.warns(UserWarning, match=r"no optimizer holds '0\.weight', '2\.weight': not recorded"):
        recorder = Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1)
    with recorder:
        backward(model, 0)
        optimizer.step()
    assert recorded(tmp_path / "s.zarr").parameter.values.tolist() == ["4.weight"]


class NoRate(torch.optim.Optimizer):
    """Steps of fixed size, without a learning rate."""

    def step(self, closure: Any = None) -> None:
        for p in self.param_groups[0]["params"]:
            p.data.add_(p.grad.sign(), alpha=-0.001)


@pytest.mark.parametrize("defaults", [{"lr": None}, {"eta": 0.1}])
def test_without_a_learning_rate_it_is_nan(tmp_path: Path, defaults: dict[str, Any]) -> None:
    model = network()
    optimizer = NoRate(model.parameters(), defaults)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1):
        backward(model, 0)
        optimizer.step()
    assert np.isnan(recorded(tmp_path / "s.zarr").learning_rate).all()


def test_an_optimizer_that_never_steps_is_named(tmp_path: Path) -> None:
    model = network()
    first, second = SGD(model[0].parameters(), lr=0.1), torch.optim.Adam([p for m in model[1:] for p in m.parameters()])
    with Recorder(tmp_path / "s.zarr", model, [first, second], run=RUN, interval=1) as recorder:
        for _ in range(100):
            first.step()
        with pytest.warns(UserWarning, match="no step was recorded in 100 updates, since Adam took none"):
            first.step()
        assert recorder.step == 0
        second.step()
        assert recorder.step == 1


@pytest.mark.parametrize("late", [False, True])
def test_an_optimizer_of_biases_alone_holds_nothing_up(tmp_path: Path, late: bool) -> None:
    model, expected = network(), []
    matrices = [p for p in model.parameters() if p.ndim > 1]
    first, second = SGD(matrices[:1], lr=0.1), SGD(matrices[1:], lr=0.2)
    biases = SGD([p for p in model.parameters() if p.ndim == 1], lr=0.3)
    asked = [first, second] if late else [biases, first, second]
    with Recorder(tmp_path / "s.zarr", model, asked, run=RUN, interval=1):
        for step in range(3):
            model.zero_grad()
            backward(model, step)
            expected.append(norms(model))
            for optimizer in (biases, first, second):
                optimizer.step()
    agrees(tmp_path / "s.zarr", expected)
    rates = {"learning_rate": 0.1, "learning_rate_1": 0.2} if late else {"learning_rate": 0.3, "learning_rate_2": 0.2}
    for name, rate in rates.items():
        np.testing.assert_allclose(recorded(tmp_path / "s.zarr")[name], rate)


def test_an_optimizer_left_from_an_earlier_training_holds_nothing_up(tmp_path: Path) -> None:
    model, expected = network(), []
    earlier = SGD(model.parameters(), lr=0.1)
    head = SGD(model[4].parameters(), lr=0.1)
    with pytest.warns(UserWarning, match="updated by another optimizer"):
        recorder = Recorder(tmp_path / "s.zarr", model, head, run=RUN, interval=1)
    with recorder:
        for step in range(3):
            model.zero_grad()
            backward(model, step)
            expected.append(norms(model))
            head.step()
    agrees(tmp_path / "s.zarr", expected)
    assert recorded(tmp_path / "s.zarr").status.item() == "complete"
    assert earlier.param_groups


@pytest.mark.parametrize("named_first", [True, False])
def test_an_optimizer_that_was_found_counts_in_whichever_order_it_steps(tmp_path: Path, named_first: bool) -> None:
    model, expected = network(), []
    named, found = SGD(model[0].parameters(), lr=0.5), SGD(model[2:].parameters(), lr=0.5)
    with pytest.warns(UserWarning, match="updated by another optimizer"):
        recorder = Recorder(tmp_path / "s.zarr", model, named, run=RUN, interval=1)
    with recorder:
        for step in range(4):
            model.zero_grad()
            backward(model, step)
            expected.append([*norms(model), *(p.norm().item() for p in model.parameters() if p.ndim > 1)])
            for optimizer in (named, found) if named_first else (found, named):
                optimizer.step()
    dataset = recorded(tmp_path / "s.zarr")
    measured = np.concatenate([dataset.gradient_norm, dataset.weight_norm], axis=1)
    np.testing.assert_allclose(measured, expected, rtol=2e-6)
