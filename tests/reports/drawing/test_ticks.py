"""Ticks of logarithmic axes: few, round and inside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.drawing.ticks import MOST, log_ticks


@given(st.floats(1e-12, 1e6), st.floats(1.02, 1e12))
def test_log_ticks_are_few_and_inside(low, factor):
    ticks = log_ticks(low, low * factor)
    assert 2 <= len(ticks) <= MOST + 1
    assert ticks == sorted(set(ticks))
    assert low <= ticks[0] * (1 + 1e-8)
    assert ticks[-1] <= low * factor * (1 + 1e-8)


@given(st.floats(1e-6, 0.99), st.floats(1.01, 1e6), st.integers(4, 6))
def test_ratio_axes_keep_one(low, high, most):
    assert 1.0 in [round(tick, 9) for tick in log_ticks(low, high, most)]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (4e-4, 4e-3, [5e-4, 1e-3, 2e-3]),
        (0.6, 2.4, [1, 1.5, 2]),
        (0.97, 1.04, [0.98, 1.0, 1.02, 1.04]),
        (1e-5, 1.0, [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1]),
        (1e-9, 1.0, [1e-8, 1e-6, 1e-4, 1e-2, 1]),
        (0.02, 4.2, [0.03, 0.1, 0.3, 1, 3]),
    ],
)
def test_log_ticks_are_round(low, high, ticks):
    assert log_ticks(low, high) == pytest.approx(ticks)
