from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorders.methods.schedule import CubicSchedule
from recorders.store.layout import record_steps
from recorders.training.optimiser import LearningRate


@pytest.mark.parametrize(
    ("step", "sparsity"),
    [(0, 0.0), (25, 0.9 * (1 - 0.75**3)), (50, 0.9 * (1 - 0.5**3)), (75, 0.9 * (1 - 0.25**3)), (100, 0.9), (101, 0.9)],
)
def test_cubic_schedule_follows_equation_10(step: int, sparsity: float) -> None:
    schedule = CubicSchedule(initial=0.0, final=0.9, begin=0, end=100, interval=16)
    assert schedule.sparsity(step) == pytest.approx(sparsity, abs=1e-15)


def test_cubic_schedule_starts_at_its_begin() -> None:
    schedule = CubicSchedule(initial=0.5, final=0.9, begin=40, end=140, interval=10)
    assert schedule.sparsity(0) == schedule.sparsity(40) == 0.5
    assert schedule.sparsity(90) == pytest.approx(0.9 - 0.4 * 0.125)


@pytest.mark.parametrize(
    ("end", "interval", "updates"),
    [(64, 16, [0, 16, 32, 48, 64]), (70, 16, [0, 16, 32, 48, 64, 70]), (5, 16, [0, 5]), (1, 1, [0, 1])],
)
def test_the_last_update_is_at_the_end(end: int, interval: int, updates: list[int]) -> None:
    assert CubicSchedule(0.0, 0.9, 0, end, interval).updates() == updates


@given(st.floats(0, 0.5), st.floats(0.5, 0.99), st.integers(1, 500), st.integers(0, 600))
def test_sparsity_never_falls(initial: float, final: float, end: int, step: int) -> None:
    schedule = CubicSchedule(initial, final, 0, end, 16)
    assert initial - 1e-12 <= schedule.sparsity(step) <= schedule.sparsity(step + 1) + 1e-12 <= final + 2e-12


@pytest.mark.parametrize(("shape", "step", "rate"), [("constant", 70, 0.1), ("cosine", 0, 0.1), ("cosine", 50, 0.05)])
def test_learning_rate(shape: str, step: int, rate: float) -> None:
    assert LearningRate(0.1, shape, 100).at(step) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("interval", "total", "steps"),
    [(10, 30, [10, 20, 30]), (10, 35, [10, 20, 30, 35]), (50, 7, [7]), (1, 3, [1, 2, 3])],
)
def test_records_are_taken_every_interval_and_at_the_end(interval: int, total: int, steps: list[int]) -> None:
    np.testing.assert_array_equal(record_steps(interval, total), steps)
