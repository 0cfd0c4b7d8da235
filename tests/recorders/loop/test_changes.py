"""What changes while a loop trains: optimizers made anew, layers replaced or unfrozen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from recorders import Recorder
from tests.recorders.own_loop import RUN, agrees, backward, network, norms, recorded

# Gradients are set by hand in many of these loops: no layer is called.
pytestmark = pytest.mark.filterwarnings("ignore:activation_rms of:UserWarning")

SGD = torch.optim.SGD


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


def test_a_layer_replaced_inside_an_optimizer_s_groups_is_followed(tmp_path: Path) -> None:
    model, expected = network(), []
    optimizer = SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1):
        for step in range(4):
            if step == 2:
                model[0] = nn.Linear(12, 9)
                optimizer.param_groups[0]["params"] = list(model.parameters())
            backward(model, step)
            expected.append(norms(model))
            optimizer.step()
            optimizer.zero_grad()
    agrees(tmp_path / "s.zarr", expected)


def test_a_layer_replaced_in_a_loop_without_an_optimizer_is_followed(tmp_path: Path) -> None:
    model, expected = network(), []
    with Recorder(tmp_path / "s.zarr", model, [], run=RUN, interval=1) as recorder:
        for step in range(4):
            if step == 2:
                model[0] = nn.Linear(12, 9)
            model.zero_grad()
            backward(model, step)
            expected.append(norms(model))
            recorder.observe()
    agrees(tmp_path / "s.zarr", expected)


def test_an_optimizer_of_a_part_that_takes_over_holds_nothing_up(tmp_path: Path) -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1) as recorder:
        for step in range(12):
            if step == 4:
                optimizer = SGD(model[4:].parameters(), lr=0.1)  # the rest is not trained any further
            backward(model, step)
            optimizer.step()
            model.zero_grad()
        assert recorder.step == 12
