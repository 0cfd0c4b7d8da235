from __future__ import annotations

import numpy as np
import pytest

from burden_analysis.comparison.ratio_curves import ratio_curves
from burden_analysis.indicators.series import series
from tests.reports.synthetic_study import build

ORDER = ("iterative", "optimal", "random")


def test_ratios_are_geometric_over_shared_seeds():
    study = build(sparsities=(0.7, 0.9), seeds=4, records=6, absent=["optimal-0.7-1", "iterative-0.9-0"])
    rows = ratio_curves(study, "weight_norm_mean", ORDER)
    assert rows.attrs["pairs"] == {(0.7, "optimal"): 3, (0.7, "random"): 4, (0.9, "optimal"): 3, (0.9, "random"): 3}
    assert rows.attrs["methods"] == ["Bonferroni t over 6 records"]
    values, seed = series(study, "weight_norm_mean").to_numpy(), study["seed"].to_numpy()
    for (sparsity, other), cell in rows[rows["quantity"] == "ratio"].groupby(["sparsity", "strategy"]):
        at = [np.flatnonzero((study["strategy"] == s) & (study["sparsity"] == sparsity)) for s in (other, ORDER[0])]
        shared = np.intersect1d(seed[at[0]], seed[at[1]])
        logs = [np.log(values[places][np.isin(seed[places], shared)]) for places in at]
        np.testing.assert_allclose(cell["value"], np.exp((logs[0] - logs[1]).mean(axis=0)), rtol=1e-12)
        assert set(cell["against"]) == {"iterative"}
    table = rows.pivot_table("value", ["sparsity", "strategy", "step"], "quantity")
    np.testing.assert_allclose(table["ratio"] ** 2, table["low"] * table["high"], rtol=1e-9)
    np.testing.assert_array_equal(table["excludes one"] == 1, (table["low"] > 1) | (table["high"] < 1))


@pytest.mark.parametrize(("seeds", "bounds"), [(2, set()), (3, {"low", "high"})])
def test_no_band_below_three_seeds(seeds, bounds):
    rows = ratio_curves(build(sparsities=(0.7,), seeds=seeds, records=4), "loss", ORDER)
    assert set(rows["quantity"]) == {"ratio", "excludes one"} | bounds
    assert bool(rows.attrs["methods"]) == (seeds >= 3)


def test_what_has_no_logarithm_or_no_pair_is_not_there():
    study = build(sparsities=(0.7,), seeds=2, records=4, absent=["random-0.7-0", "iterative-0.7-1"])
    study["loss"].data[0, 1] = 0.0
    rows = ratio_curves(study, "loss", ORDER)
    assert rows.empty
    assert rows.attrs["pairs"] == {}
    (reason,) = rows.attrs["undrawn"]
    assert "loss is zero or negative in iterative-0.7-0" in reason
