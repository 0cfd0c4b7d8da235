"""How recorded runs end, go on, and share a store."""

from __future__ import annotations

import contextlib
import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import recorders.loop.recording
from burden_analysis import open_study
from recorders import Recorder
from recorders.contract import InputError
from tests.recorders.own_loop import NAME, RUN, load, network, train


def test_a_failed_loop_keeps_its_records_and_its_reason(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with (
        contextlib.suppress(ZeroDivisionError),
        Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=5) as recorder,
    ):
        train(model, optimizer, 12, recorder)
        raise ZeroDivisionError("too bad")
    with xr.open_zarr(tmp_path / "s.zarr", group=NAME, consolidated=False) as dataset:
        assert dataset.status.values.tolist() == ["failed"]
        assert dataset.status_reason.values.tolist() == ["ZeroDivisionError: too bad"]
        assert dataset.records_written.values.tolist() == [2]
        assert np.isfinite(dataset.gradient_norm[0, :2]).all()


def test_a_run_without_a_step_is_failed_and_leaves_the_store_readable(tmp_path: Path) -> None:
    store, model = tmp_path / "s.zarr", network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    message = r"^run 'mine-s0-seed0' of .* has no record: .* took no step"
    with pytest.raises(InputError, match=message), Recorder(store, model, optimizer, run=RUN):
        pass
    assert not list(tmp_path.glob(".*.lock"))
    study = open_study(store)
    assert (study.sizes["run"], study.sizes["record"]) == (1, 0)
    assert (study.status.item(), study.status_reason.item()) == ("failed", "the optimizer took no step")
    with Recorder(store, model, optimizer, run=RUN | {"seed": 1}, interval=2) as recorder:
        train(model, optimizer, 4, recorder)
    study = open_study(store)
    assert study.records_written.values.tolist() == [0, 2]
    assert study.step.values.tolist() == [2, 4]
    with Recorder(store, model, optimizer, run=RUN, exist="resume", steps_done=0) as recorder:
        train(model, optimizer, 1, recorder)
    assert open_study(store).status.values.tolist() == ["complete", "complete"]


def test_an_error_before_the_first_step_is_the_reason(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ZeroDivisionError), Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN):
        raise ZeroDivisionError("too bad")
    assert open_study(tmp_path / "s.zarr").status_reason.item() == "ZeroDivisionError: too bad"


def test_nan_losses_are_recorded_as_they_are_and_marked(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e38)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=2) as recorder:
        train(model, optimizer, 10, recorder)
    dataset = load(tmp_path / "s.zarr")
    assert dataset.status.item() == "diverged"
    assert dataset.status_reason.item() == "loss or gradients are not finite"
    assert np.isnan(dataset.loss.values).any()


def test_an_existing_run_is_refused_overwritten_or_resumed(tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def open_recorder(**more: Any) -> Recorder:
        return Recorder(store, model, optimizer, **({"run": RUN, "interval": 5, "total_steps": 20} | more))

    with contextlib.suppress(KeyboardInterrupt), open_recorder() as recorder:
        train(model, optimizer, 13, recorder)
        raise KeyboardInterrupt
    with pytest.raises(InputError, match=r"already holds run 'mine-s0-seed0': pass exist='overwrite' or"):
        open_recorder()
    with pytest.raises(InputError, match="another model, interval, sample_every, indicators or total_steps"):
        open_recorder(exist="resume", steps_done=10, interval=4)
    with open_recorder(exist="resume", steps_done=10) as recorder:
        assert recorder.step == 10  # the partial interval was not committed
        train(model, optimizer, 20 - recorder.step, recorder)
    dataset = load(store)
    assert dataset.step.values.tolist() == [5, 10, 15, 20]
    assert np.isfinite(dataset.gradient_norm).all()
    assert dataset.status.item() == "complete"
    with pytest.raises(InputError, match="is complete: nothing to resume"):
        open_recorder(exist="resume", steps_done=20)
    with open_recorder(exist="overwrite", total_steps=5) as recorder:
        train(model, optimizer, 5, recorder)
    assert load(store).step.values.tolist() == [5]


def test_resuming_says_where_the_checkpoint_ends(tmp_path: Path) -> None:
    store, first = tmp_path / "s.zarr", network()
    fresh = network()

    optimizer = torch.optim.SGD(first.parameters(), lr=0.1)

    def open_recorder(model: torch.nn.Module = first, **more: Any) -> Recorder:
        steps = optimizer if model is first else torch.optim.SGD(model.parameters())
        return Recorder(store, model, steps, **({"run": RUN, "interval": 5} | more))

    with pytest.raises(InputError, match="exist='resume' and steps_done go together"):
        open_recorder(exist="resume")
    with pytest.raises(InputError, match="exist='resume' and steps_done go together"):
        open_recorder(steps_done=5)
    with pytest.raises(InputError, match=r"holds no run 'mine-s0-seed0' to resume"):
        open_recorder(exist="resume", steps_done=5)
    with contextlib.suppress(KeyboardInterrupt), open_recorder() as recorder:
        train(first, optimizer, 13, recorder)
        raise KeyboardInterrupt
    for step in (15, 13, 7, -5):
        with pytest.raises(InputError, match=f"cannot go on from step {step}: it can from every 5th step from 0 to 10"):
            open_recorder(exist="resume", steps_done=step)
    with pytest.raises(InputError, match="the model has the weights that the run began with; load the checkpoint"):
        open_recorder(fresh, exist="resume", steps_done=10)


def test_a_killed_loop_goes_on_from_its_checkpoint_as_if_nothing_had_happened(tmp_path: Path) -> None:
    def loop(store: Path, saved: dict[str, Any], until: int, **more: Any) -> None:
        model = network()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        if saved:
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
        with Recorder(store, model, optimizer, run=RUN, interval=5, **more) as recorder:
            draw = torch.Generator().manual_seed(1)
            for step in range(until):
                x, y = torch.randn(16, 12, generator=draw), torch.randint(0, 3, (16,), generator=draw)
                if step < recorder.step:
                    continue
                torch.nn.functional.cross_entropy(model(x), y).backward()
                if step in (4, 24):
                    recorder.log(checked=step)
                optimizer.step()
                optimizer.zero_grad()
                if recorder.step == 10:
                    recorder.flush()
                    assert open_study(store).records_written.item() == 2
                    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
                    saved |= copy.deepcopy(state)
                if recorder.step == 18 and not more:
                    recorder.log(checked=-1.0)
            if not more and until < 30:
                raise KeyboardInterrupt

    whole, cut, saved = tmp_path / "whole.zarr", tmp_path / "cut.zarr", dict[str, Any]()
    loop(whole, {}, 30)
    with contextlib.suppress(KeyboardInterrupt):
        loop(cut, saved, 23)
    assert open_study(cut).records_written.item() == 4
    loop(cut, saved, 30, exist="resume", steps_done=10)
    first, second = open_study(whole), open_study(cut)
    assert np.isnan(second.checked[0, 3])  # it was logged on the way that was given up
    xr.testing.assert_equal(first.drop_vars("checked"), second.drop_vars("checked"))


def test_a_loop_longer_than_the_room_goes_on_in_a_second_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorders.loop.recording, "CAPACITY", 3)
    store, model = tmp_path / "s.zarr", network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(store, model, optimizer, run=RUN, interval=2) as recorder:
        train(model, optimizer, 9, recorder)
        assert recorder.step == 9
    assert load(store).step.values.tolist() == [2, 4, 6]
    assert load(store, f"{NAME}-from-step-6").step.values.tolist() == [8, 9]


def test_a_total_that_is_too_small_loses_nothing(tmp_path: Path) -> None:
    store, model = tmp_path / "s.zarr", network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def go(steps: int, **more: Any) -> None:
        with Recorder(store, model, optimizer, run=RUN, interval=5, total_steps=7, **more) as recorder:
            train(model, optimizer, steps, recorder)

    go(12)
    first, second = load(store), load(store, f"{NAME}-from-step-7")
    assert (first.step.values.tolist(), first.interval_steps[0].values.tolist()) == ([5, 7], [5, 2])
    assert (second.step.values.tolist(), second.interval_steps[0].values.tolist()) == ([12], [5])
    study = open_study(store)
    assert study.run_id.values.tolist() == [NAME]
    assert study.step.values.tolist() == [5, 7, 12]
    assert study.records_written.values.tolist() == [3]
    assert np.isfinite(study.gradient_norm).all()
    go(7, exist="overwrite")
    assert [p.name for p in sorted(store.iterdir())] == [NAME, "zarr.json"]


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=2) as recorder:
        train(model, optimizer, 5, recorder)
        recorder.close()
    assert load(tmp_path / "s.zarr").step.values.tolist() == [2, 4, 5]


@pytest.mark.filterwarnings("ignore:.*declared sparsity:UserWarning")
def test_names_that_differ_stay_different(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for strategy, sparsity in (("a b", 0.9), ("a/b", 0.9), ("a_b", 0.9), ("a_b", 0.9999991), ("a_b", 0.9999992)):
        run = {"strategy": strategy, "sparsity": np.float64(sparsity), "seed": np.int64(0)}
        with Recorder(tmp_path / "s.zarr", model, optimizer, run=run) as recorder:
            train(model, optimizer, 1, recorder)
    assert open_study(tmp_path / "s.zarr").sizes["run"] == 5


def test_two_recordings_share_a_store_but_not_a_name(tmp_path: Path) -> None:
    store, model = tmp_path / "s.zarr", network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    script = (
        "from pathlib import Path\nfrom recorders.store.lock import exclusive\n"
        f"with exclusive(Path({str(store)!r}), {NAME!r}):\n    pass"
    )
    with Recorder(store, model, optimizer, run=RUN, interval=2) as first:
        elsewhere = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert "is being written by process" in elsewhere.stderr
        with Recorder(store, model, optimizer, run=RUN | {"seed": 1}, interval=2):
            train(model, optimizer, 4, first)
    assert load(store, "mine-s0-seed1").records_written.item() == 2
    assert not list(tmp_path.glob(".*.lock"))
