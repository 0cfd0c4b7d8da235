"""Wrapped networks and optimizers, and copies of a recorded network."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from recorders import Recorder
from tests.recorders.own_loop import RUN, agrees, backward, batch, network, norms, recorded

# Gradients are set by hand in many of these loops: no layer is called.
pytestmark = pytest.mark.filterwarnings("ignore:activation_rms of:UserWarning")

SGD = torch.optim.SGD


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
