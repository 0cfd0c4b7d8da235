from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from burden_analysis.compression.baseline import baseline
from burden_analysis.compression.merging import merging_means
from tests.reports.synthetic_tables import build


def test_the_baseline_is_the_same_run_at_ratio_zero():
    runs = pd.DataFrame(
        [("a", "x", 0.0, 1, 0), ("b", "x", 0.4, 1, 0), ("c", "y", 0.4, 2, 0), ("d", "x", 0.8, 1, 1)],
        columns=["run_id", "recording", "compression", "rate", "seed"],
    )
    np.testing.assert_array_equal(baseline(runs, np.array([2.0, 3.0, 5.0, 7.0])), [2, 2, np.nan, np.nan])


def test_speeds_are_medians_then_means_and_ratios_are_paired():
    study = build(seeds=2, sparsities=(0.8,))
    study["images_per_second"].data = study["images_per_second"].to_numpy().copy()
    study["images_per_second"].data[:, 0] = 1.0  # the warm-up of a process
    means = merging_means(study).set_index("compression")
    assert means["runs"].tolist() == [4, 4, 4]
    assert means["fewest"].tolist() == means["most"].tolist() == [17, 14, 11]
    assert means["of 2"].tolist() == [0, 3, 6]
    assert means["of 3–7"].isna().all()
    for ratio in (0.0, 0.4, 0.8):
        speeds = 100 * (1 + ratio) * np.array([1, 1, 3, 3])
        assert means.loc[ratio, "speed"] == pytest.approx(speeds.mean())
        assert means.loc[ratio, "speed_sd"] == pytest.approx(speeds.std(ddof=1))
        assert means.loc[ratio, "faster"] == pytest.approx(1 + ratio)
    assert merging_means(study.drop_vars("tokens_kept")).empty
    assert merging_means(study.assign(status=study["status"].copy(data=["planned"] * study.sizes["run"]))).empty
