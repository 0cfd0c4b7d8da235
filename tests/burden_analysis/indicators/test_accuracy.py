from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from burden_analysis.indicators.accuracy import accuracy_curves, final_accuracies
from tests.reports.synthetic_tables import build


def test_every_evaluation_is_a_row_and_means_need_every_run():
    study = build(rates=(0.001,), axes=(), seeds=2)
    study["accuracy"][0, 3] = np.nan  # sparsity 0.8, ratio 0, epoch 4
    rows = accuracy_curves(study)
    runs, means = rows[rows["quantity"] == "run"], rows[rows["quantity"] == "mean"]
    recorded = 100 * study["accuracy"].to_numpy()
    assert len(runs) == np.isfinite(recorded).sum()
    for (ratio, sparsity), line in means.groupby(["ratio", "sparsity"]):
        own = recorded[(study["compression"] == ratio) & (study["sparsity"] == sparsity)]
        whole = np.isfinite(own).all(axis=0)
        np.testing.assert_allclose(line["value"], own[:, whole].mean(axis=0), rtol=1e-12)
        np.testing.assert_array_equal(line["epoch"], study["epoch"].to_numpy()[whole])
    assert set(rows["length"]) == {6}


def test_final_accuracies_are_of_complete_runs():
    runs = pd.DataFrame(
        [
            ("a", 0.5, "complete", 0.25),
            ("a", 0.5, "complete", 0.75),
            ("a", 0.5, "failed", 0.9),
            ("a", 0.9, "complete", 0.5),
            ("b", 0.9, "complete", math.nan),
        ],
        columns=["strategy", "sparsity", "status", "final_accuracy"],
    )
    found = final_accuracies(runs)
    assert found.index.tolist() == [("a", 0.5), ("a", 0.9)]
    assert found["mean"].tolist() == [0.5, 0.5]
    assert found["n"].tolist() == [2, 1]
    assert found["sd"].tolist() == [pytest.approx(math.sqrt(0.125)), pytest.approx(math.nan, nan_ok=True)]
