"""Whose masks a Recorder follows, and the burden of their updates."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn
from torch.nn.utils import prune

from recorders import MaskProbe, Recorder
from recorders.contract import InputError
from tests.recorders.own_loop import NAME, RUN, load, network, train

# The masks here are of many sparsities, whatever the run declares.
pytestmark = pytest.mark.filterwarnings("ignore:.*declared sparsity:UserWarning")


def test_masks_of_torch_prune_are_followed_through_updates(tmp_path: Path) -> None:
    model = network()
    prune.l1_unstructured(model[0], "weight", amount=0.25)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=5) as recorder:
        train(model, optimizer, 5, recorder)
        prune.l1_unstructured(model[0], "weight", amount=27)
        train(model, optimizer, 7, recorder)
        model[0].weight_mask.fill_(1.0)
        train(model, optimizer, 3, recorder)
    dataset = load(tmp_path / "s.zarr")
    assert dataset.parameter.values[0] == "0.weight"
    assert dataset.active_weights[0, :, 0].values.tolist() == [81, 54, 108]
    assert dataset.update_step[0].values.tolist() == [5, 12]
    assert dataset.pruned[0, :, 0].values.tolist() == [27, 0]
    assert dataset.regrown[0, :, 0].values.tolist() == [0, 54]


def test_a_callable_may_return_fresh_masks_at_every_step(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    threshold = [0.1]

    def masks() -> dict[str, torch.Tensor]:
        return {"0.weight": model[0].weight.detach().abs() > threshold[0]}

    expected = []
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1, masks=masks) as recorder:
        for _ in range(4):
            expected.append(int(masks()["0.weight"].sum()))
            train(model, optimizer, 1, recorder)
            threshold[0] += 0.05
    assert load(tmp_path / "s.zarr").active_weights[0, :, 0].values.tolist() == expected


def test_masks_written_behind_autograd_are_seen_at_records_and_at_the_end(tmp_path: Path) -> None:
    model, mask = network(), torch.ones(9, 12)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    store = tmp_path / "s.zarr"
    with Recorder(store, model, optimizer, run=RUN, interval=2, masks={"0.weight": mask}) as recorder:
        train(model, optimizer, 2, recorder)
        mask.data[:3] = 0
        train(model, optimizer, 2, recorder)
        mask[3:6] = 0
    dataset = load(store)
    assert dataset.active_weights[0, :, 0].values.tolist() == [108, 72]
    assert dataset.pruned[0, :, 0].values.tolist() == [36, 36]
    assert int(xr.open_zarr(store, group=f"{NAME}/masks").load()["0.weight"].sum()) == 36


def test_a_resumed_run_has_every_mask_update_once(tmp_path: Path) -> None:
    store, model = tmp_path / "s.zarr", network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    mask = torch.ones(9, 12)

    def go(recorder: Recorder, until: int) -> None:
        while recorder.step < until:
            if recorder.step and recorder.step % 3 == 0:
                mask[recorder.step // 3 - 1] = 0
            train(model, optimizer, 1, recorder)

    def opened(**more: Any) -> Recorder:
        masks = {"0.weight": mask}
        return Recorder(store, model, optimizer, run=RUN, interval=5, total_steps=20, masks=masks, **more)

    with contextlib.suppress(KeyboardInterrupt), opened() as recorder:
        go(recorder, 14)
        raise KeyboardInterrupt
    mask[3:] = 1  # as restored from a checkpoint of step 10
    with opened(exist="resume", steps_done=10) as recorder:
        assert recorder.step == 10
        go(recorder, 20)
    assert load(store).update_step[0].values.tolist() == [3, 6, 9, 12, 15, 18]


@pytest.mark.parametrize("how", ["prune", "masks"])
def test_the_burden_of_any_pruning_method_is_recorded(tmp_path: Path, how: str) -> None:
    draw = torch.Generator().manual_seed(2)
    images, labels = torch.randn(32, 12, generator=draw), torch.randint(0, 3, (32,), generator=draw)
    plain = network()
    mask = torch.ones(9, 12)

    def go(recorder: Recorder | None, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        train(model, optimizer, 4, recorder)
        if how == "prune":
            prune.l1_unstructured(model[0], "weight", amount=50)
        else:
            mask[:4] = 0
        train(model, optimizer, 9, recorder)

    probe = MaskProbe(plain, images, labels)
    if how == "prune":
        prune.l1_unstructured(plain[0], "weight", amount=8)
        with pytest.raises(InputError, match="make the probe before the first pruning"):
            MaskProbe(plain, images, labels)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    masks = None if how == "prune" else {"0.weight": mask}
    with Recorder(tmp_path / "s.zarr", plain, optimizer, run=RUN, interval=3, masks=masks, probe=probe) as recorder:
        go(recorder, plain, optimizer)
    dataset = load(tmp_path / "s.zarr").isel(run=0)
    assert dataset.update_step.values.tolist() == [4]
    total = dataset.fit + dataset.compensation + dataset.covariance
    np.testing.assert_allclose(total, dataset.new_fit, rtol=1e-9)
    assert (dataset.compensation > 0).all()
    assert (dataset.relaxed_compensation > 0).all()
    assert float(dataset.lost.sel(order="mean")[0]) > 0
    assert float(dataset.regained.sel(order="mean")[0]) == 0
    assert dataset.load_inputs.sizes == {"update": 1, "layer": 2, "quantile": 7}

    again = network()
    if how == "prune":
        prune.l1_unstructured(again[0], "weight", amount=8)
    go(None, again, torch.optim.SGD(again.parameters(), lr=0.1))
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), again.parameters(), strict=True))


def test_what_else_is_measured_moves_no_relaxed_term(tmp_path: Path) -> None:
    """Relaxed terms are of the weights at the record; `update_norm` takes the record after the update."""
    found = []
    for indicators in ((), ("update_norm",)):
        model, draw = network(), torch.Generator().manual_seed(2)
        images, labels = torch.randn(32, 12, generator=draw), torch.randint(0, 3, (32,), generator=draw)
        probe, optimizer = MaskProbe(model, images, labels), torch.optim.SGD(model.parameters(), lr=0.1)
        mask = torch.ones(9, 12)
        store, run = tmp_path / f"{len(indicators)}.zarr", RUN
        options: dict[str, Any] = {"interval": 3, "masks": {"0.weight": mask}, "indicators": indicators}
        with Recorder(store, model, optimizer, run=run, probe=probe, **options) as recorder:
            train(model, optimizer, 4, recorder)
            mask[:4] = 0
            train(model, optimizer, 5, recorder)
        found.append(load(store).isel(run=0))
    for name in ("relaxed_fit", "relaxed_compensation", "relaxed_covariance", "relaxed_new_fit"):
        np.testing.assert_array_equal(found[0][name], found[1][name])
    for name in ("gradient_norm", "activation_rms"):
        np.testing.assert_array_equal(found[0][name], found[1][name])
