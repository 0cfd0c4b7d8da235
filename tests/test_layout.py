from __future__ import annotations

import pkgutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import burden_analysis
import recorders
import reports
from burden_analysis.results.words import counted, listing, number, span
from reports.drawing.labels import spread
from reports.drawing.style import LOOKS, contrast, looks, readable
from reports.drawing.ticks import MOST, log_ticks


@given(st.lists(st.floats(-1, 2), min_size=1, max_size=6), st.floats(0.01, 0.1))
def test_spread_keeps_gaps_and_ends(wanted, gap):
    placed = np.sort(spread(wanted, gap, 0.0, 1.0))
    assert (np.diff(placed) >= gap - 1e-9).all()
    assert placed[0] >= -1e-9
    assert placed[-1] <= 1 + 1e-9


@pytest.mark.parametrize(
    ("wanted", "placed"),
    [
        ([], []),
        ([0.5], [0.5]),
        ([0.2, 0.8], [0.2, 0.8]),
        ([0.5, 0.5], [0.45, 0.55]),
        ([0.9, 0.1], [0.9, 0.1]),
        ([1.0, 1.0, 1.0], [0.8, 0.9, 1.0]),
        ([-1.0, 0.5], [0.0, 0.5]),
    ],
)
def test_spread_moves_no_more_than_needed(wanted, placed):
    assert spread(wanted, 0.1, 0.0, 1.0) == pytest.approx(placed)


def test_spread_centres_what_cannot_fit():
    assert spread([0.5] * 3, 0.6, 0.0, 1.0) == pytest.approx([-0.1, 0.5, 1.1])


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


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0046296, "0.00463"),
        (1.7e-8, "1.7×10⁻⁸"),
        (1e-5, "10⁻⁵"),
        (-2.5, "−2.5"),
        (5, "5"),
        (23450.0, "23450"),
        (0.0, "0"),
        (float("nan"), "–"),
        (None, "–"),
        (float("-inf"), "−∞"),
    ],
)
def test_number(value, text):
    assert number(value) == text


def test_words():
    assert [span([5, 5]), span([4, 5, 4]), span([])] == ["5", "4–5", "0"]
    assert [listing([]), listing(["a"]), listing("abc")] == ["", "a", "a, b and c"]
    assert [counted(1, "seed"), counted(2, "strategy"), counted(1200, "run")] == [
        "1 seed",
        "2 strategies",
        "1,200 runs",
    ]


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert all(contrast(readable(look.colour), "#ffffff") >= 4.5 for look in LOOKS.values())


def test_strategies_differ_in_colour_and_dash():
    given = looks(["iterative", "optimal", "random", "mine", "yours"])
    assert given["random"] == LOOKS["random"]
    assert len({look.colour for look in given.values()}) == len({look.dash for look in given.values()}) == 5
    assert looks(["set"])["set"] == looks(["gmp", "rigl", "set"])["set"] == LOOKS["set"]
    beside = looks(["mine", "gmp", "set", "yours"])
    assert len({look.colour for look in beside.values()}) == 4


def test_importing_reports_is_cheap():
    heavy = "{'matplotlib', 'pandas', 'xarray', 'jinja2', 'torch', 'scipy'}"
    script = f"import sys, reports; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_showing_never_imports_torch():
    script = "import sys; from reports import figure2, write_report; print('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_no_module_takes_the_name_of_a_function_of_the_package() -> None:
    """Importing such a module would hide the function: `from reports import name` would give the module."""
    for package in (reports, burden_analysis, recorders):
        modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
        assert not modules & set(package.__all__), package.__name__
