"""How a loop is met: closures, several optimizers, wrappers, and what changes while it trains."""

from __future__ import annotations

import copy
import io
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn
from torch.nn.functional import cross_entropy

from burden_analysis import open_study
from recorders import Recorder
from recorders.contract import InputError, RunError
from tests.recorders.own_loop import RUN, network

# Gradients are set by hand in many of these loops: no layer is called.
pytestmark = pytest.mark.filterwarnings("ignore:activation_rms of:UserWarning")
SGD = torch.optim.SGD


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


class Wrapper(torch.optim.Optimizer):
    """As accelerate's: it keeps the optimizer that steps, and has no hooks of its own."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.param_groups, self.state, self.defaults = optimizer.param_groups, optimizer.state, optimizer.defaults

    def step(self, closure: Any = None) -> None:
        self.optimizer.step(closure)


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile, lambda m: nn.DataParallel(torch.compile(m))])
def test_wrappers_change_no_name(tmp_path: Path, wrap: Callable[..., Any]) -> None:
    model, expected = network(), []
    optimizer = Wrapper(SGD(model.parameters(), lr=0.1))
    masks = {"0.weight": torch.ones(9, 12)}
    with Recorder(tmp_path / "s.zarr", wrap(model), optimizer, run=RUN, interval=1, masks=masks):
        backward(model, 0)
        expected.append(norms(model))
        optimizer.step()
    agrees(tmp_path / "s.zarr", expected)
    assert recorded(tmp_path / "s.zarr").parameter.values.tolist() == ["0.weight", "2.weight", "4.weight"]
    assert recorded(tmp_path / "s.zarr").layer.values.tolist() == ["0", "2"]


def test_a_part_of_ones_own_that_is_called_module_keeps_its_name(tmp_path: Path) -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(12, 3)

    model = Own()
    optimizer = SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1):
        optimizer.step()
    assert recorded(tmp_path / "s.zarr").parameter.values.tolist() == ["module.weight"]


def test_an_optimizer_that_is_made_anew_is_followed(tmp_path: Path) -> None:
    model, expected = network(), []
    optimizer = SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1, total_steps=4):
        for step in range(4):
            if step == 2:
                optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
            optimizer.zero_grad()
            backward(model, step)
            expected.append(norms(model))
            optimizer.step()
    agrees(tmp_path / "s.zarr", expected)
    assert recorded(tmp_path / "s.zarr").status.item() == "complete"
    np.testing.assert_allclose(recorded(tmp_path / "s.zarr").learning_rate, [0.1, 0.1, 0.01, 0.01])


def test_a_layer_of_the_same_shape_is_followed_and_another_is_named(tmp_path: Path) -> None:
    model, expected = network(), []
    optimizer = SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1):
        for step in range(3):
            if step == 1:
                model[2] = nn.Linear(9, 7)
            if step == 2:
                model[4] = nn.Linear(7, 5)
            if step:
                optimizer = SGD(model.parameters(), lr=0.1)
            optimizer.zero_grad()
            backward(model, step)
            expected.append(norms(model))
            if step == 2:
                with pytest.warns(UserWarning, match=r"'4\.weight' was removed or has another shape: NaN from here"):
                    optimizer.step()
            else:
                optimizer.step()
    dataset = recorded(tmp_path / "s.zarr")
    expected[2][2] = np.nan
    np.testing.assert_allclose(dataset.gradient_norm, expected, rtol=2e-6)
    assert np.isnan(dataset.weight_norm[2, 2])
    assert dataset.status.item() == "complete"  # what was not measured has not diverged


def test_layers_that_are_unfrozen_later_are_named_once(tmp_path: Path) -> None:
    model = network()
    model[0].requires_grad_(False)
    optimizer = SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1):
        backward(model, 0)
        optimizer.step()
        model[0].requires_grad_(True)
        optimizer.add_param_group({"params": model[0].parameters(), "lr": 0.01})
        backward(model, 1)
        with pytest.warns(UserWarning, match=r"'0\.weight' is trained now, .*: it is not recorded") as told:
            optimizer.step()
        optimizer.step()
    assert len(told) == 1
    np.testing.assert_allclose(recorded(tmp_path / "s.zarr").learning_rate_1, [np.nan, 0.01, 0.01])


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


def test_a_loop_without_an_optimizer_observes_each_step(tmp_path: Path) -> None:
    model, expected = network(), []
    with Recorder(tmp_path / "s.zarr", model, [], run=RUN, interval=2) as recorder:
        for step in range(4):
            model.zero_grad()
            backward(model, step)
            expected.append(norms(model))
            recorder.observe()
            with torch.no_grad():
                for p in model.parameters():
                    p -= 0.1 * p.grad
    dataset = recorded(tmp_path / "s.zarr")
    np.testing.assert_allclose(dataset.gradient_norm, expected[1::2], rtol=2e-6)
    np.testing.assert_allclose(dataset.gradient_norm_mean, np.reshape(expected, (2, 2, 3)).mean(1), rtol=2e-6)


def test_tensors_of_a_functional_loop_are_given_by_name(tmp_path: Path) -> None:
    model = network()
    weights = {name: p.detach().clone() for name, p in model.named_parameters() if p.ndim > 1}

    def loss(weights: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return cross_entropy(torch.func.functional_call(model, weights, x), y)

    expected = []
    with Recorder(tmp_path / "s.zarr", model, [], run=RUN, interval=1) as recorder:
        for step in range(2):
            gradients = torch.func.grad(loss)(weights, *batch(step))
            recorder.observe(weights, gradients)
            expected.append([g.double().norm().item() for g in gradients.values()])
            weights = {name: w - 0.1 * gradients[name] for name, w in weights.items()}
        with pytest.raises(InputError, match=r"gradients lack '2\.weight': give one tensor for each of 0\.weight, 2\."):
            recorder.observe(weights, {"0.weight": weights["0.weight"]})
        with pytest.raises(InputError, match="unknown recorded weight 'bias'"):
            recorder.observe(weights | {"bias": weights["0.weight"]})
    agrees(tmp_path / "s.zarr", expected)


def test_observing_and_stepping_exclude_each_other(tmp_path: Path) -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "a.zarr", model, optimizer, run=RUN, interval=1) as recorder:
        optimizer.step()
        with pytest.raises(InputError, match=r"the optimizer's steps are recorded already: pass optimizer=\[\]"):
            recorder.observe()
    with Recorder(tmp_path / "b.zarr", model, optimizer, run=RUN, interval=1) as recorder:
        recorder.observe()
        with pytest.raises(InputError, match=r"recorder\.observe\(\) and optimizer\.step\(\) were both called"):
            optimizer.step()


def test_copies_of_the_model_carry_no_hook_of_ours(tmp_path: Path) -> None:
    model, file = network(), io.BytesIO()
    optimizer = SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1):
        backward(model, 0)
        twin = copy.deepcopy(model)
        torch.save(model, file)
        twin(100 * batch(0)[0])  # must not be taken for the network
        expected = model[1](model[0](batch(0)[0])).square().mean().sqrt().item()
        model(batch(0)[0])
        optimizer.step()
    assert not twin[1]._forward_hooks
    assert b"recorders" not in file.getvalue()
    np.testing.assert_allclose(recorded(tmp_path / "s.zarr").activation_rms[0, 0], expected, rtol=1e-6)


SCRIPT = """
import sys, torch
from torch import nn
from recorders import Recorder
model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
run = {"strategy": "a", "sparsity": 0.0, "seed": 0}
kept = Recorder(sys.argv[1], model, optimizer, run=run, interval=2)
for _ in range(5):
    model(torch.randn(4, 4)).sum().backward()
    optimizer.step()
if sys.argv[2] == "collected":
    del kept, model, optimizer
    import gc
    gc.collect()
"""


@pytest.mark.parametrize("end", ["exit", "collected"])
def test_without_close_what_was_recorded_is_written(tmp_path: Path, end: str) -> None:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path / "s.zarr"), end]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    dataset = recorded(tmp_path / "s.zarr")
    assert (dataset.status.item(), dataset.status_reason.item()) == ("interrupted", "the Recorder was not closed")
    assert dataset.step.values.tolist() == [2, 4]
    assert np.isfinite(dataset.gradient_norm).all()
    assert not list(tmp_path.glob(".*.lock"))


def test_a_cell_that_is_run_again_closes_the_earlier_recorder(tmp_path: Path) -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)

    def cell(**more: Any) -> Recorder:
        return Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1, **more)

    first = cell()
    backward(model, 0)
    optimizer.step()
    with (
        pytest.warns(UserWarning, match=r"an earlier Recorder of this process still recorded 'mine-s0-seed0'"),
        pytest.raises(InputError, match="already holds run"),
    ):
        cell()
    with cell(exist="overwrite"):
        optimizer.step()
    first.close()
    assert recorded(tmp_path / "s.zarr").status.item() == "complete"


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt, "interrupted"), (SystemExit, "interrupted"), (ValueError, "failed")]
)
def test_what_stops_a_loop_decides_its_status(tmp_path: Path, error: type[BaseException], status: str) -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    recorder = Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=2)

    def stopped() -> None:
        with recorder:
            for _ in range(3):
                optimizer.step()
            raise error

    with pytest.raises(error):
        stopped()
    dataset = recorded(tmp_path / "s.zarr")
    assert (dataset.status.item(), dataset.step.values.tolist()) == (status, [2])


def test_fewer_steps_than_announced_are_an_interruption(tmp_path: Path) -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)

    def go(steps: int, **more: Any) -> xr.Dataset:
        store = tmp_path / "s.zarr"
        with Recorder(store, model, optimizer, run=RUN, interval=2, total_steps=6, **more):
            for _ in range(steps):
                optimizer.step()
        return recorded(store)

    stopped = go(4)
    assert (stopped.status.item(), stopped.status_reason.item()) == ("interrupted", "stopped after 4 of 6 steps")
    with torch.no_grad():
        model[0].weight += 1  # a checkpoint that was loaded
    assert go(2, exist="resume", steps_done=4).status.item() == "complete"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": None}, "optimizer must be a torch.optim.Optimizer or several, got NoneType"),
        ({"model": SGD([nn.Parameter(torch.ones(1))])}, "model must be a .* got SGD: model and optimizer are swapped"),
        (
            {"model": nn.Sequential(nn.Linear(3, 3), nn.LazyLinear(2))},
            r"lazy layers \('1\.weight', '1\.bias'\): run a batch",
        ),
        ({"masks": [torch.ones(9, 12)]}, "masks must be a dict of tensors by parameter name, .* got list"),
        ({"masks": {3: torch.ones(9, 12)}}, "got dict with keys that are no names"),
        ({"masks": {"0.weight": "ones"}}, "mask of '0.weight' must be a tensor or an array, got str"),
        ({"run": RUN | {"seed": 1.5}}, "seed 1.5 is no whole number of 64 bits"),
        ({"run": RUN | {"seed": 2**63}}, "seed 9223372036854775808 is no whole number of 64 bits"),
        ({"run": RUN | {"seed": float("inf")}}, "run needs a number as sparsity and seed"),
    ],
)
def test_what_cannot_be_recorded_is_refused_in_one_line(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    model = network()
    given = {"model": model, "optimizer": SGD(model.parameters(), lr=0.1), "run": RUN} | arguments
    with pytest.raises(InputError, match=message):
        Recorder(tmp_path / "s.zarr", **given)
    assert not (tmp_path / "s.zarr").exists()


@pytest.mark.parametrize("value", [None, "high", 1j, torch.ones(2)])
def test_only_numbers_can_be_logged(tmp_path: Path, value: Any) -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1) as recorder:
        with pytest.raises(InputError, match="cannot log 'extra'"):
            recorder.log(extra=value)
        recorder.log(extra=np.float32(0.5))
        optimizer.step()
    assert recorded(tmp_path / "s.zarr").extra.item() == 0.5


@pytest.mark.parametrize("masks", [{"0.weight": np.ones((9, 12)), "2.weight": None}, lambda: None])
def test_masks_may_be_arrays_or_none(tmp_path: Path, masks: Any) -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1, masks=masks):
        optimizer.step()
    assert recorded(tmp_path / "s.zarr").active_weights.values.tolist() == [[108, 63, 21]]


def test_a_name_is_a_setting_or_a_scalar_in_one_store(tmp_path: Path) -> None:
    def record(run: dict[str, Any], **logged: float) -> None:
        model = network()
        optimizer = SGD(model.parameters(), lr=0.1)
        with Recorder(tmp_path / "s.zarr", model, optimizer, run=run, interval=1) as recorder:
            optimizer.step()
            recorder.log(**logged)
            optimizer.step()

    record(RUN | {"temperature": 0.5}, cold=1.0)
    with pytest.raises(InputError, match=r"cannot log 'temperature': it is a setting of the run 'mine-s0"):
        record(RUN | {"seed": 1}, temperature=0.5)
    with pytest.raises(InputError, match=r"run setting 'cold' is the name of what the run .* logs: call it 'run_cold'"):
        record(RUN | {"seed": 2, "cold": 1})
    assert open_study(tmp_path / "s.zarr").sizes["run"] == 2


def test_a_long_description_gets_a_short_name(tmp_path: Path) -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    names = set()
    for last in (1, 2):
        run = RUN | {f"hyperparameter_number_{i}": 0.123456789 + i for i in range(12)} | {"z": last}
        with Recorder(tmp_path / "s.zarr", model, optimizer, run=run, interval=1) as recorder:
            optimizer.step()
        names.add(recorder.name)
    assert len(names) == 2
    assert max(map(len, names)) <= 169
    assert open_study(tmp_path / "s.zarr").sizes["run"] == 2


def test_a_relative_store_stays_where_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    monkeypatch.chdir(tmp_path)
    with Recorder("s.zarr", model, optimizer, run=RUN, interval=1):
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        optimizer.step()
    assert recorded(tmp_path / "s.zarr").status.item() == "complete"


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


def test_a_store_that_is_deleted_while_it_is_recorded_is_missed(tmp_path: Path) -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    recorder = Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1)
    recorder.log(loss=1.0)
    optimizer.step()
    shutil.rmtree(tmp_path / "s.zarr")
    with pytest.raises(RunError, match=r"no longer holds 'mine-s0-seed0': it was moved or deleted"):
        recorder.close()
    assert not (tmp_path / "s.zarr").exists()


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


def test_a_closed_recorder_observes_no_more(tmp_path: Path) -> None:
    with Recorder(tmp_path / "s.zarr", network(), [], run=RUN, interval=1) as recorder:
        recorder.observe()
    with pytest.raises(InputError, match="the Recorder is closed"):
        recorder.observe()
