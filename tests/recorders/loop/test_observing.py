"""Loops without `optimizer.step()`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from recorders import Recorder
from recorders.contract import InputError
from tests.recorders.own_loop import RUN, agrees, backward, batch, network, norms, recorded

# Gradients are set by hand in many of these loops: no layer is called.
pytestmark = pytest.mark.filterwarnings("ignore:activation_rms of:UserWarning")

SGD = torch.optim.SGD


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


def test_a_closed_recorder_observes_no_more(tmp_path: Path) -> None:
    with Recorder(tmp_path / "s.zarr", network(), [], run=RUN, interval=1) as recorder:
        recorder.observe()
    with pytest.raises(InputError, match="the Recorder is closed"):
        recorder.observe()


def test_tensors_of_another_shape_are_refused(tmp_path: Path) -> None:
    model = network()
    wrong = {name: torch.ones(2, 2) for name, p in model.named_parameters() if p.ndim > 1}
    right = {name: p.detach() for name, p in model.named_parameters() if p.ndim > 1}
    recorder = Recorder(tmp_path / "s.zarr", model, [], run=RUN)
    with pytest.raises(InputError, match=r"gradients: '0.weight' has shape \(2, 2\), the weight \(9, 12\)"):
        recorder.observe(right, wrong)
    recorder.close("stopped")
