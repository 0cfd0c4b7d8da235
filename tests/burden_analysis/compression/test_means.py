from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from burden_analysis import compression_effect
from burden_analysis.compression.means import accuracy_means, difference_means, mean_gap

GRID = np.arange(2 * 2 * 3 * 3, dtype=float).reshape(2, 2, 3, 3) ** 0.9 + 20  # rate, sparsity, ratio, seed
INDEX = pd.MultiIndex.from_product(
    [(0.001, 0.002), (0.8, 0.9), (0.0, 0.4, 0.8), range(3)],
    names=["learning_rate", "sparsity", "compression", "seed"],
)


@pytest.fixture(scope="module")
def table():
    return pd.Series(GRID.ravel(), INDEX, name="accuracy").reset_index()


def test_accuracies_are_means_over_seeds(table):
    found = accuracy_means(table, ["learning_rate"])
    np.testing.assert_allclose(found["mean"].to_numpy().reshape(2, 3, 2), GRID.mean(axis=3).swapaxes(1, 2))
    assert set(found["count"]) == {3}


def test_differences_are_means_over_seeds_and_over_cells(table):
    effect = compression_effect(table, blocks=("learning_rate",))
    differences = GRID[:, :, 1:] - GRID[:, :, :1]
    cells = difference_means(effect, ["learning_rate", "sparsity"])["difference"].to_numpy().reshape(2, 2, 2)
    np.testing.assert_allclose(cells, differences.mean(axis=3))
    units = difference_means(effect, ["seed"])
    assert units.columns.tolist() == ["seed", "compression", "difference"]
    np.testing.assert_allclose(units["difference"].to_numpy().reshape(3, 2), differences.mean(axis=(0, 1)).T)
    unstable = effect.differences.assign(stable=effect.differences["learning_rate"] == 0.001)
    stable = difference_means(replace(effect, differences=unstable), ["seed"], stable_only=True)
    np.testing.assert_allclose(stable["difference"].to_numpy().reshape(3, 2), differences[0].mean(axis=0).T)


@pytest.mark.parametrize(
    ("own", "other", "gap", "n"),
    [
        ([[1.0, 2.0]], [[0.0, 4.0]], -0.5, 2),
        ([[1.0, np.nan]], [[0.0, 4.0]], 1.0, 1),
        ([[np.nan]], [[4.0]], np.nan, 0),
    ],
)
def test_mean_gap(own, other, gap, n):
    found = mean_gap(pd.DataFrame(own), pd.DataFrame(other))
    assert found == (pytest.approx(gap, nan_ok=True), n)
