from __future__ import annotations

import numpy as np
import pytest

from burden_analysis.indicators.burden_curves import (
    LEVELS,
    SPLIT,
    load_curves,
    probed_counts,
    share_curves,
    term_curves,
)
from tests.reports.synthetic_burden import build_probed


@pytest.fixture(scope="module")
def probed():
    study = build_probed(seeds=3, sparsities=(0.7, 0.9), updates=6)
    first = np.flatnonzero((study["strategy"] == "iterative") & (study["sparsity"] == 0.9))[0]
    for name in ("fit", "compensation", "covariance", "new_fit"):
        study[name].data[first, 2] = np.nan  # this seed was not probed there
    return study


def test_means_are_over_the_steps_that_every_seed_has(probed):
    rows = term_curves(probed, "iterative")
    assert set(rows["strategy"]) == {"iterative"}
    steps = probed["update_step"].to_numpy()[0]
    for sparsity, at in ((0.7, [0, 1, 2, 3, 4, 5]), (0.9, [0, 1, 3, 4, 5])):
        own = probed.isel(run=np.flatnonzero((probed["strategy"] == "iterative") & (probed["sparsity"] == sparsity)))
        for term in (*SPLIT, "new_fit"):
            cell = rows[(rows["sparsity"] == sparsity) & (rows["indicator"] == term)]
            mean = cell[cell["quantity"] == "mean"]
            np.testing.assert_array_equal(mean["step"], steps[at])
            wanted = own[term].sel(target="labels").to_numpy()
            np.testing.assert_allclose(mean["value"], wanted[:, at].mean(axis=0), rtol=1e-12)
            seeds = cell[cell["quantity"] == "seed"]["value"]
            np.testing.assert_array_equal(seeds, wanted[np.isfinite(wanted)])


def test_shares_are_those_of_the_means_and_keep_their_sign(probed):
    terms = term_curves(probed, "iterative")
    means = terms[terms["quantity"] == "mean"].pivot_table("value", ["sparsity", "step"], "indicator")
    shares = share_curves(terms).pivot_table("value", ["sparsity", "step"], "indicator")
    size = means["fit"] + means["compensation"] + means["covariance"].abs()
    for term in SPLIT:
        np.testing.assert_allclose(shares[term], means[term] / size, rtol=1e-12)
    assert (shares["covariance"] < 0).any()
    nothing = terms.assign(value=0.0)
    assert share_curves(nothing).empty
    assert share_curves(terms.iloc[:0]).empty


def test_loads_are_means_of_the_recorded_quantiles(probed):
    rows = load_curves(probed, ["random", "optimal"], "load_inputs", "1")
    assert set(rows["strategy"]) == {"random", "optimal"}
    for level in LEVELS:
        recorded = probed["load_inputs"].sel(layer="1", quantile=level)
        chosen = (probed["strategy"] == "random") & (probed["sparsity"] == 0.7)
        found = rows.query(
            "strategy == 'random' and sparsity == 0.7 and quantity == @name", local_dict={"name": f"quantile {level:g}"}
        )
        np.testing.assert_allclose(found["value"], recorded.to_numpy()[chosen].mean(axis=0), rtol=1e-12)


def test_runs_that_were_probed_are_counted(probed):
    without = probed.copy(deep=True)
    without["load_inputs"].data[np.flatnonzero(probed["strategy"] == "random")[0]] = np.nan
    counts = probed_counts(without)
    assert counts.to_dict() == {
        (s, name): 2 if (s, name) == (0.7, "random") else 3
        for s in (0.7, 0.9)
        for name in ("iterative", "optimal", "random")
    }
