from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from burden_analysis.indicators.burden_means import COLUMNS, TERMS, burden_means
from tests.reports.synthetic_burden import build_probed
from tests.reports.synthetic_study import build


def test_means_and_t_intervals_over_seeds():
    study = build_probed(seeds=4, sparsities=(0.9,), updates=5, statuses={"iterative-0.9-3": "failed"})
    means = burden_means(study, level=0.9)
    assert tuple(means.columns) == COLUMNS
    assert means["term"].tolist() == list(TERMS)
    assert set(means["n"]) == {3}
    done = (study["strategy"] == "iterative") & (study["status"] == "complete")
    per_run = study["compensation"].sel(target="labels").to_numpy()[done].mean(axis=1)
    row = means.set_index("term").loc["compensation"]
    low, high = t.interval(0.9, 2, per_run.mean(), per_run.std(ddof=1) / np.sqrt(3))
    assert [row["mean"], row["ci_low"], row["ci_high"]] == pytest.approx([per_run.mean(), low, high])


def test_two_seeds_have_no_interval_and_no_update_no_row():
    few = burden_means(build_probed(seeds=2, sparsities=(0.9,), updates=3))
    assert few["mean"].notna().all()
    assert few[["ci_low", "ci_high"]].isna().all(axis=None)
    assert burden_means(build(seeds=1, records=3)).empty
