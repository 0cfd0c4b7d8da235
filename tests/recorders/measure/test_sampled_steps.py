"""Which steps are drawn, and that their means estimate the exact ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from burden_analysis import open_study
from recorders import Recorder
from recorders.contract import InputError
from recorders.measure.sampled_steps import SampledSteps, default_sampling
from tests.recorders.own_loop import RUN, load, network, train


@pytest.mark.parametrize(
    ("interval", "every"), [(1, 1), (2, 1), (10, 1), (11, 1), (19, 1), (20, 2), (50, 5), (99, 9), (1000, 100)]
)
def test_the_default_measures_about_ten_steps_a_record(interval: int, every: int) -> None:
    assert default_sampling(interval) == every


@given(
    interval=st.integers(1, 40),
    every=st.integers(1, 45),
    start=st.integers(0, 100),
    total=st.none() | st.integers(1, 120),
    seed=st.integers(-(2**63), 2**63 - 1),
)
def test_every_interval_is_cut_into_blocks_and_one_step_of_each_is_drawn(
    interval: int, every: int, start: int, total: int | None, seed: int
) -> None:
    end = None if total is None else start + total
    sampling = SampledSteps([seed], interval=interval, every=every, start=start, total=end)
    for begin in range(start, start + 3 * interval, interval):
        stop = begin + interval if end is None else min(begin + interval, end)
        for block in range(begin, stop, every):
            size = min(every, stop - block)
            assert sorted(sampling.stands_for(step)[0] for step in range(block, block + size)) == [0] * (size - 1) + [
                size
            ]
        if begin < stop:
            assert sampling.measures(stop - 1)
            assert sampling.is_recorded(stop - 1)
    if end is not None:  # a loop that is longer than was said
        assert all(0 <= sampling.stands_for(step)[0] <= every for step in range(end, end + 3 * interval))


def test_a_loop_that_goes_on_beyond_its_total_may_end_anywhere() -> None:
    beyond = SampledSteps([0], interval=20, every=4, start=33, total=33)
    unknown = SampledSteps([0], interval=20, every=4, start=33)
    for step in range(33, 90):
        assert beyond.stands_for(step) == unknown.stands_for(step)
        assert beyond.may_be_recorded(step) == unknown.may_be_recorded(step) == unknown.measures(step)
    assert beyond.measures(33)


def test_steps_are_those_of_the_seed_wherever_one_begins_to_ask() -> None:
    def drawn(sampling: SampledSteps, steps: Any) -> list[list[int]]:
        return [sampling.stands_for(step) for step in steps]

    ours, again = (SampledSteps([3, 4], interval=50, every=5) for _ in range(2))
    whole = drawn(ours, range(400))
    assert drawn(again, range(100, 400)) == whole[100:]  # a resume
    assert drawn(SampledSteps([4], interval=50, every=5), range(400)) == [[own] for _, own in whole]
    assert whole[:50] != whole[50:100]
    assert [a for a, _ in whole] != [b for _, b in whole]


def test_the_estimate_of_a_mean_is_unbiased_where_values_jump_at_updates() -> None:
    """Δt is the block: a value that jumps at every update and decays after it would deceive a systematic sample."""
    steps = np.arange(100)
    values = 1 + 5 * np.exp(-(steps % 5)) + 0.01 * steps
    estimates = []
    for seed in range(3000):
        sampling = SampledSteps([seed], interval=100, every=5)
        share = np.array([sampling.stands_for(step)[0] for step in steps])
        assert share.sum() == 100
        estimates.append((share * values).sum() / 100)
    error = np.std(estimates, ddof=1) / math.sqrt(len(estimates))
    assert abs(np.mean(estimates) - values.mean()) < 3.5 * error
    assert error < 0.01


def loop(store: Path, steps: int, **options: Any) -> Any:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(store, model, optimizer, **({"run": RUN} | options)) as recorder:
        train(model, optimizer, steps, recorder)
    return load(store)


def test_a_recorder_keeps_the_values_of_records_and_estimates_means(tmp_path: Path) -> None:
    exact = loop(tmp_path / "exact.zarr", 47, interval=1, total_steps=47)
    sampled = loop(tmp_path / "sampled.zarr", 47, interval=20, sample_every=4, total_steps=47)
    last = [19, 39, 46]
    shares = SampledSteps([0], interval=20, every=4, total=47)
    share = np.array([shares.stands_for(step)[0] for step in range(47)])
    for name in ("gradient_norm", "weight_mean_abs", "dense_gradient_norm"):
        values = exact[name][0].to_numpy().astype(float)
        np.testing.assert_array_equal(sampled[name][0], exact[name][0].to_numpy()[last])
        for i, (begin, end) in enumerate(((0, 20), (20, 40), (40, 47))):
            mean = (share[begin:end, None] * values[begin:end]).sum(0) / (end - begin)
            np.testing.assert_allclose(sampled[f"{name}_mean"][0, i], mean, rtol=1e-6)
    np.testing.assert_array_equal(sampled["activation_rms"][0], exact["activation_rms"][0].to_numpy()[last])
    assert sampled["interval_steps"][0].values.tolist() == [20, 20, 7]
    assert sampled["sampled_steps"][0].values.tolist() == [5, 5, 2]
    assert sampled.attrs["sample_every"] == 4
    assert exact["sampled_steps"].values.tolist() == [[1] * 47]


def test_a_loop_of_unknown_length_ends_with_the_last_step_that_was_measured(tmp_path: Path) -> None:
    exact = loop(tmp_path / "exact.zarr", 53, interval=1)
    sampled = loop(tmp_path / "sampled.zarr", 53, interval=50, sample_every=25)
    shares = SampledSteps([0], interval=50, every=25)
    measured = [step for step in range(50, 53) if shares.measures(step)]
    records = [50, *(step + 1 for step in measured[-1:])]
    assert sampled.step[: len(records)].values.tolist() == records
    assert sampled.records_written.item() == len(records)
    assert sampled.remarks.item() == (
        f"its last {53 - records[-1]} steps were not measured: total_steps was not told" if records[-1] < 53 else ""
    )
    at = [step - 1 for step in records]
    np.testing.assert_array_equal(sampled.gradient_norm[0, : len(at)], exact.gradient_norm[0].to_numpy()[at])


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_a_loop_that_is_shorter_than_a_block_has_a_record(tmp_path: Path, steps: int) -> None:
    exact = loop(tmp_path / "exact.zarr", steps, interval=1)
    sampled = loop(tmp_path / "sampled.zarr", steps, interval=50)
    step = int(sampled.step[0])
    assert 1 <= step <= steps
    np.testing.assert_array_equal(sampled.gradient_norm[0, 0], exact.gradient_norm[0, step - 1])
    assert np.isfinite(sampled.gradient_norm_mean[0, 0]).all()


def test_a_cut_block_counts_as_many_steps_as_were_made(tmp_path: Path) -> None:
    exact = loop(tmp_path / "exact.zarr", 30, interval=1)
    for seed in range(6):
        run = RUN | {"seed": seed}
        store = tmp_path / f"{seed}.zarr"
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with Recorder(store, model, optimizer, run=run, interval=50, sample_every=8) as recorder:
            train(model, optimizer, 30, recorder)
        sampled = load(store, f"mine-s0-seed{seed}")
        end = int(sampled.step[0])
        shares = SampledSteps([seed], interval=50, every=8, total=end)
        share = np.array([shares.stands_for(step)[0] for step in range(end // 8 * 8)] + [0] * (end % 8))
        if end % 8:
            share[end - 1] = end % 8  # the last measured step is the one drawn of its block
        mean = (share[:, None] * exact.gradient_norm[0].to_numpy()[:end].astype(float)).sum(0) / share.sum()
        np.testing.assert_allclose(sampled.gradient_norm_mean[0, 0], mean, rtol=1e-6)
        assert sampled.interval_steps[0, 0] == end


def test_a_resumed_run_draws_the_same_steps(tmp_path: Path) -> None:
    options: dict[str, Any] = {"run": RUN, "interval": 20, "total_steps": 60}
    whole = loop(tmp_path / "whole.zarr", 60, **options)
    store, model = tmp_path / "s.zarr", network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    draw = torch.Generator().manual_seed(1)

    def steps(recorder: Recorder, count: int) -> None:
        for _ in range(count):
            x, y = torch.randn(16, 12, generator=draw), torch.randint(0, 3, (16,), generator=draw)
            loss = torch.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            recorder.log(loss=loss)
            optimizer.step()
            optimizer.zero_grad()

    recorder = Recorder(store, model, optimizer, **options)
    steps(recorder, 20)
    recorder.flush()
    steps(recorder, 0)
    recorder.close("killed")
    with Recorder(store, model, optimizer, **options, exist="resume", steps_done=20) as recorder:
        steps(recorder, 40)
    for name in ("gradient_norm", "gradient_norm_mean", "sampled_steps"):
        np.testing.assert_array_equal(load(store)[name], whole[name])


@pytest.mark.parametrize("every", [0, -1, 21])
def test_a_block_is_no_longer_than_the_interval(tmp_path: Path, every: int) -> None:
    with pytest.raises(InputError, match=f"sample_every {every} must be between 1 and the interval, 20"):
        loop(tmp_path / "s.zarr", 1, interval=20, sample_every=every)


def test_a_loss_that_was_not_finite_between_records_is_a_divergence(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=5, total_steps=10) as recorder:
        for step in range(10):
            model(torch.randn(4, 12)).square().mean().backward()
            recorder.log(loss=torch.tensor(float("nan") if step == 2 else 1.0))
            optimizer.step()
    dataset = open_study(tmp_path / "s.zarr")
    assert dataset.status.values.tolist() == ["diverged"]
    assert np.isfinite(dataset.loss).all()
