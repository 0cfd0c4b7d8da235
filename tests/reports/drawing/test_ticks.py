"""Ticks of logarithmic axes: few, round and inside; labels of any axis: different, and true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from reports.drawing.axes import number_ticks
from reports.drawing.ticks import MOST, log_ticks, set_log_axis


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


def drawn(low: float, high: float, *, log: bool) -> tuple[list[float], list[str]]:
    """Ticks in view, and their labels."""
    ax = Figure().subplots()
    if log:
        set_log_axis(ax, low, high, most=5)
    else:
        ax.set_ylim(low, high)
        number_ticks(ax.yaxis, 5)
    ticks = [float(tick) for tick in ax.yaxis.get_majorticklocs() if low <= tick <= high]
    return ticks, ax.yaxis.get_major_formatter().format_ticks(ticks)


def value(label: str) -> float:
    """The number that a reader takes a label for."""
    plain = label.translate(str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789"))
    mantissa, times, power = plain.rpartition("×10")
    if not times and label.startswith("10") and not label.isascii():
        return 10.0 ** int(plain[2:])
    return float(mantissa) * 10.0 ** int(power) if times else float(plain)


@given(st.floats(-12, 12), st.floats(-9, 1), st.booleans())
def test_different_ticks_have_different_labels_that_say_them(decade, width, log):
    low = 10**decade
    ticks, labels = drawn(low, low * (1 + 10**width), log=log)
    assert len(set(labels)) == len(labels)
    assert [value(label) for label in labels] == pytest.approx(ticks, rel=1e-9 + 10**width / 100)


@pytest.mark.parametrize(
    ("low", "high", "log", "labels"),
    [
        (0.994, 1.006, True, ["0.995", "1", "1.005"]),
        (0.9994, 1.0006, True, ["0.9995", "1", "1.0005"]),
        (0.6, 2.4, True, ["1", "1.5", "2"]),
        (999.4, 1000.6, False, ["999.5", "999.75", "1000", "1000.25", "1000.5"]),
        (-1e-12, 1e-12, False, ["−8×10⁻¹³", "−4×10⁻¹³", "0", "4×10⁻¹³", "8×10⁻¹³"]),
        (0.0, 0.9, False, ["0", "0.2", "0.4", "0.6", "0.8"]),
    ],
)
def test_labels_have_the_digits_that_ticks_need(low, high, log, labels):
    assert drawn(low, high, log=log)[1] == labels
