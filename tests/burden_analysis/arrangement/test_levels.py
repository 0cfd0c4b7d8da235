"""Sparsities that are the same number to their user are one level; different ones stay apart, in value and in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from burden_analysis import compare_sparsities, compare_strategies, compression_effect, separation
from burden_analysis.arrangement.levels import at_level, levels, with_levels
from burden_analysis.results.words import level
from tests.burden_analysis.synthetic import grid
from tests.burden_analysis.synthetic_comparison import RANK, perfect, study

CLOSE = (0.9, 0.95, 0.99, 0.999, 0.9995, 0.9999, 0.99999)


def single(value: float) -> float:
    """The value as a script that computes in float32 has it."""
    return float(np.float32(value))


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ([0.9, single(0.9)], [0.9, 0.9]),
        ([single(0.9)], [0.9]),
        ([0.1 + 0.2, 0.3], [0.3, 0.3]),
        ([float(np.float32(0.7) + np.float32(0.1)), float(np.arange(0.1, 0.9, 0.1, np.float32)[-1])], [0.8, 0.8]),
        ([1 / 3], [1 / 3]),
        ([0.0, -1e-12, 1.0], [0.0, 0.0, 1.0]),
        ([1, 0], [1.0, 0.0]),
        ([0.5, np.nan], [0.5, np.nan]),
        ([], []),
    ],
)
def test_levels_are_the_numbers_their_user_wrote(given_: list[float], expected: list[float]) -> None:
    np.testing.assert_array_equal(levels(given_), expected)


@given(st.lists(st.integers(0, 10**6), unique=True), st.lists(st.sampled_from([single, float])))
def test_six_decimals_tell_levels_and_labels_apart(millionths: list[int], computed: list) -> None:
    shares = [k / 10**6 for k in millionths]
    found = levels([f(s) for s, f in zip(shares, [*computed, *[float] * len(shares)], strict=False)])
    assert found.tolist() == shares
    assert len({level(share) for share in found}) == len(shares)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_numbers_without_short_decimals_are_one_with_their_float32(values: list[float]) -> None:
    both = levels([*values, *map(single, values)])
    assert both[: len(values)].tolist() == both[len(values) :].tolist()
    np.testing.assert_array_equal(levels(both), both)


def test_a_level_is_found_by_the_number_asked_for() -> None:
    assert at_level([0.3, 0.9, 0.9995, 0.9999], 0.1 + 0.2).tolist() == [True, False, False, False]
    assert at_level(levels([single(0.9995), 0.9999]), 0.9995).tolist() == [True, False]


def computed_apart() -> xr.Dataset:
    """Each strategy from a script of its own: one writes decimals, one adds them up, one computes in float32."""
    made = {"iterative": float, "optimal": lambda s: 3 * s / 3 + 1e-16, "random": single}
    runs = grid(5, tuple(RANK), (0.3, 0.9, 0.9995))
    named = study(runs, perfect)
    values = [made[str(r["strategy"])](r["sparsity"]) for r in runs]
    values = [0.1 + 0.2 if v == 0.3 and r["strategy"] == "optimal" else v for v, r in zip(values, runs, strict=True)]
    return named.assign_coords(sparsity=("run", values, {"units": "1"}))


def test_scripts_that_computed_sparsity_differently_recorded_one_study() -> None:
    plain = study(grid(5, tuple(RANK), (0.3, 0.9, 0.9995)), perfect)
    mixed = computed_apart()
    for compare in (compare_strategies, compare_sparsities):
        expected, found = compare(plain, scale="raw"), compare(mixed, scale="raw")
        assert found.verdict == expected.verdict
        pd.testing.assert_frame_equal(found.table, expected.table)
        pd.testing.assert_frame_equal(found.effects, expected.effects)
    assert with_levels(mixed)["sparsity"].attrs == {"units": "1"}
    assert with_levels(plain) is plain


def test_curves_are_selected_by_level() -> None:
    mixed = computed_apart().assign_coords(step=("record", [1]))
    for asked in (0.3, 0.1 + 0.2, single(0.3)):
        found = separation(mixed, "gradient_mean_abs", "optimal", "iterative", sparsity=asked)
        assert (found.attrs["n"], found.attrs["sparsity"]) == (5, 0.3)
    with pytest.raises(ValueError, match=r"choose from 0\.3, 0\.9, 0\.9995"):
        separation(mixed, "gradient_mean_abs", "optimal", "iterative", sparsity=0.999)


def test_neighbouring_high_sparsities_stay_apart_in_every_text() -> None:
    dataset = study(grid(5, tuple(RANK), CLOSE), perfect)
    comparison = compare_strategies(dataset, scale="raw")
    scopes = {f"sparsity {text}" for text in ("0.9", "0.95", "0.99", "0.999", "0.9995", "0.9999", "0.99999")}
    assert scopes < set(comparison.table["scope"])
    assert sorted(set(comparison.effects["sparsity"])) == list(CLOSE)
    rising = compare_sparsities(dataset, scale="raw")
    assert rising.order == ("0.9", "0.95", "0.99", "0.999", "0.9995", "0.9999", "0.99999")


def test_two_runs_at_one_level_are_refused() -> None:
    runs = grid(3, ("iterative", "optimal"), (0.9, 0.8))
    dataset = study(runs, perfect)
    values = np.where(dataset["sparsity"] == 0.8, single(0.9), dataset["sparsity"])
    with pytest.raises(ValueError, match=r"2 runs have strategy 'iterative', sparsity 0\.9 and seed 0"):
        compare_strategies(dataset.assign_coords(sparsity=("run", values)), order=("iterative", "optimal"))


def test_tables_of_accuracies_have_levels_too() -> None:
    rows = [
        {"lr": lr, "sparsity": f(s), "compression": f(c), "accuracy": 80 + c * lr}
        for lr, f in ((1, float), (2, single), (3, float))
        for s in (0.7, 0.9995)
        for c in (0.0, 0.4, 0.8)
    ]
    effect = compression_effect(pd.DataFrame(rows), blocks=("lr",))
    assert effect.ratios == (0.4, 0.8)
    assert not effect.excluded
    assert sorted(set(effect.differences["sparsity"])) == [0.7, 0.9995]
