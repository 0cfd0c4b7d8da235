"""What is refused, in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from burden_analysis import open_study
from recorders import Recorder
from recorders.contract import InputError
from tests.recorders.own_loop import RUN, network, recorded

# Gradients are set by hand in many of these loops: no layer is called.
pytestmark = pytest.mark.filterwarnings("ignore:activation_rms of:UserWarning")

SGD = torch.optim.SGD


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
