from __future__ import annotations

import numpy as np
import pytest

from burden_analysis.indicators.curves import COLUMNS, as_rows, joined, schedule_curves, seed_curves
from burden_analysis.indicators.series import series
from recorders.contract import InputError
from tests.reports.synthetic_study import build

NAN = np.nan


@pytest.fixture(scope="module")
def study():
    return build(sparsities=(0.7, 0.9), seeds=4, records=8)


def test_every_seed_is_as_recorded_and_the_mean_is_geometric(study):
    rows = seed_curves(study, "weight_norm_mean")
    assert tuple(rows.columns) == COLUMNS
    values = series(study, "weight_norm_mean").to_numpy()
    for (strategy, sparsity), cell in rows.groupby(["strategy", "sparsity"]):
        own = values[(study["strategy"] == strategy) & (study["sparsity"] == sparsity)]
        seeds = cell[cell["quantity"] == "seed"].pivot_table("value", "seed", "step")
        np.testing.assert_array_equal(seeds, own)
        mean = cell[cell["quantity"] == "geometric mean"]
        np.testing.assert_allclose(mean["value"], np.prod(own, axis=0) ** (1 / 4), rtol=1e-12)
        assert mean["step"].tolist() == study["step"].to_numpy().tolist()
        assert mean["seed"].isna().all()


def test_the_mean_has_the_records_of_every_seed_and_a_gap_where_one_is_not_positive(study):
    other = study.copy(deep=True)
    for name, variable in other.data_vars.items():
        if variable.dims[:2] == ("run", "record"):
            other[name].data[0, [1, 5]] = np.nan  # as a recording of another interval has it
    other["loss"].data[1, 2] = 0.0
    rows = seed_curves(other, "loss").query("strategy == 'iterative' and sparsity == 0.7")
    seeds = rows[rows["quantity"] == "seed"].groupby("seed")["step"].count()
    assert seeds.tolist() == [6, 8, 8, 8]
    mean = rows[rows["quantity"] == "geometric mean"]
    assert mean["step"].tolist() == [12, 36, 48, 60, 84, 96]
    assert mean["value"].isna().tolist() == [False, True, False, False, False, False]


def test_the_schedule_is_the_mean_over_seeds(study):
    study = study.copy(deep=True)
    study["actual_sparsity"].data[:] *= 1 - study["seed"].to_numpy()[:, None] / 10
    rows = schedule_curves(study, "iterative")
    for sparsity in (0.7, 0.9):
        chosen = (study["strategy"] == "iterative") & (study["sparsity"] == sparsity)
        wanted = study["actual_sparsity"].to_numpy()[chosen].mean(axis=0)
        np.testing.assert_array_equal(rows.loc[rows["sparsity"] == sparsity, "value"], wanted)
    assert schedule_curves(study, "nobody").empty


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([NAN, 2, NAN, 4, NAN], [2, NAN, 4]),
        ([NAN, NAN], []),
        ([], []),
    ],
)
def test_a_curve_goes_from_its_first_to_its_last_value(values, kept):
    rows = as_rows(np.arange(len(values)), np.array(values, float), **dict.fromkeys(COLUMNS[:5], "x"))
    np.testing.assert_array_equal(rows["value"], np.array(kept, float))
    assert joined([rows, rows]).shape == (2 * len(kept), len(COLUMNS))


def test_curves_over_records_need_records(study):
    with pytest.raises(InputError, match="one value per mask update"):
        seed_curves(build_probed_small(), "compensation")


def build_probed_small():
    from tests.reports.synthetic_burden import build_probed

    return build_probed(seeds=1, sparsities=(0.9,), updates=2)
