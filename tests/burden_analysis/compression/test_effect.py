from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import friedmanchisquare, linregress, page_trend_test, t
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from burden_analysis import compression_effect
from burden_analysis.compression.ratio_tests import COLUMNS
from burden_analysis.results.families import Family
from burden_analysis.results.outcome import Outcome
from burden_analysis.statistics.significance.relabelling import best_gain
from burden_analysis.statistics.significance.signed_rank import signed_rank
from recorders.contract import InputError
from tests.burden_analysis.synthetic_compression import SPARSITIES, accuracies

BLOCKS = ("learning_rate",)
RATIOS = (0.0, 0.2, 0.4, 0.6, 0.8)


def judge(table, **options):
    return compression_effect(table, **{"blocks": BLOCKS, **options})


def rows(effect, family, unit="block", scope="all blocks"):
    table = effect.table
    return table[(table["family"] == family) & (table["unit"] == unit) & (table["scope"] == scope)]


@pytest.fixture(scope="module")
def table():
    return accuracies(ratios=RATIOS, gains={0.4: 0.2}, seed=1)


@pytest.fixture(scope="module")
def effect(table):
    return judge(table)


@pytest.fixture(scope="module")
def per_block(table):
    wide = table.pivot_table(index="learning_rate", columns="compression", values="accuracy", aggfunc="mean")
    return wide.sub(wide[0.0], axis=0).drop(columns=0.0)


def test_each_ratio_is_a_t_interval_and_a_wilcoxon_test_over_block_means(effect, per_block):
    found = rows(effect, Family.RATIO)
    n = len(per_block)
    half = t.ppf(0.975, n - 1) * per_block.std() / np.sqrt(n)
    assert np.allclose(found["effect"], per_block.mean())
    assert np.allclose(found["ci_low"], per_block.mean() - half)
    assert np.allclose(found["ci_high"], per_block.mean() + half)
    p = [signed_rank(per_block[r]).p for r in RATIOS[1:]]
    assert np.allclose(found["p"], p)
    assert np.allclose(found["p_adjusted"], multipletests(p, method="holm")[1])
    assert found["wins"].tolist() == (per_block > 0).sum().tolist()
    assert (found["n"] == n).all()


def test_cells_are_counted_and_tested_on_their_own(effect, table):
    wide = table.pivot_table(index=["learning_rate", "sparsity"], columns="compression", values="accuracy")
    cells = wide.sub(wide[0.0], axis=0).drop(columns=0.0).round(6)
    found = rows(effect, Family.RATIO, unit="cell")
    assert found["wins"].tolist() == (cells > 0).sum().tolist()
    assert found["ties"].tolist() == (cells == 0).sum().tolist()
    assert found["losses"].tolist() == (cells < 0).sum().tolist()
    assert np.allclose(found["effect"], cells.mean())
    assert np.allclose(found["p"], [signed_rank(cells[r]).p for r in RATIOS[1:]])
    pd.testing.assert_series_equal(
        effect.differences.groupby("compression")["difference"].mean(), cells.mean(), check_names=False
    )


def test_equivalence_is_that_of_statsmodels(effect, per_block):
    p = [ttost_paired(per_block[r].to_numpy(), np.zeros(len(per_block)), -0.5, 0.5)[0] for r in RATIOS[1:]]
    assert np.allclose(rows(effect, Family.WITHIN)["p"], p)
    assert np.allclose(rows(effect, Family.WITHIN)["p_adjusted"], multipletests(p, method="holm")[1])


def test_friedman_page_and_ranks_are_those_of_scipy(effect, table):
    wide = table.pivot_table(index="learning_rate", columns="compression", values="accuracy", aggfunc="mean")
    found = rows(effect, Family.ANY).iloc[0]
    assert found["statistic"] == pytest.approx(friedmanchisquare(*wide.to_numpy().T).statistic)
    assert rows(effect, Family.RANK)["effect"].tolist() == pytest.approx(wide.rank(axis=1).mean().tolist())
    up, down = rows(effect, Family.TREND)["p"]
    assert up == pytest.approx(page_trend_test(wide.to_numpy(), method="exact").pvalue)
    assert down == pytest.approx(page_trend_test(wide.to_numpy()[:, ::-1], method="exact").pvalue)


def test_the_slope_is_a_regression_on_sparsity_in_each_block(effect, table):
    wide = table.pivot_table(index=["learning_rate", "sparsity"], columns="compression", values="accuracy")
    gains = wide.sub(wide[0.0], axis=0).drop(columns=0.0)

    def slopes(values):
        return np.array([linregress(SPARSITIES, block.to_numpy()).slope / 10 for _, block in values.groupby(level=0)])

    found = rows(effect, Family.GAIN_SLOPE)
    for ratio, row in zip(RATIOS[1:], found.iloc[:4].to_dict("records"), strict=True):
        expected = slopes(gains[ratio])
        assert row["effect"] == pytest.approx(expected.mean())
        assert row["p"] == pytest.approx(signed_rank(expected).p)
    assert found.iloc[4]["effect"] == pytest.approx(slopes(gains.mean(axis=1)).mean())


def test_the_best_ratio_is_relabelled_inside_blocks(effect, table):
    wide = table.pivot_table(index=["learning_rate", "sparsity"], columns="compression", values="accuracy").to_numpy()
    blocks = best_gain(wide).reshape(10, 3, 5)
    found = rows(effect, Family.BEST).iloc[0]
    assert found["effect"] == pytest.approx((wide[:, 1:].max(axis=1) - wide[:, 0]).mean())
    assert found["expected"] == pytest.approx(blocks.mean())
    drawn = np.random.default_rng(0).integers(5, size=(200_000, 10))
    null = blocks.sum(axis=1)[np.arange(10), drawn].sum(axis=1) / 30
    assert found["p"] == pytest.approx((null >= found["effect"] - 1e-9).mean(), abs=0.005)


@pytest.mark.parametrize(
    ("gains", "outcome"),
    [
        ({0.4: 1.0, 0.8: 1.0}, Outcome.SUPPORTED),
        ({0.4: 1.0}, Outcome.SUPPORTED),
        ({0.4: 1.0, 0.8: -5.0}, Outcome.SUPPORTED),
        ({0.4: -1.0, 0.8: -1.0}, Outcome.CONTRADICTED),
        ({0.8: -5.0}, Outcome.CONTRADICTED),
        ({}, Outcome.NOT_SUPPORTED),
    ],
)
def test_outcomes(gains, outcome):
    assert judge(accuracies(blocks=12, gains=gains, noise=0.2, seed=2)).outcome is outcome


@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_no_effect_is_rarely_called_supported_or_contradicted(shared):
    """Noise that the cells of a block share makes cell-level tests reject; the judged level does not."""
    made = [judge(accuracies(blocks=9, shared=shared, seed=i)) for i in range(60)]
    assert sum(e.outcome is Outcome.SUPPORTED for e in made) <= 4  # 5 % of 60 is 3; P(more than 4 | 2.5 %) < 2 %
    assert sum(e.outcome is Outcome.CONTRADICTED for e in made) <= 4
    fooled = [(rows(e, Family.RATIO, "cell")["p_adjusted"] <= 0.05).any() for e in made]
    assert bool(np.mean(fooled) > 0.12) is (shared > 0)


def test_most_configurations_means_most_cells():
    """Every block gains on average, but each at one sparsity of three: significant, and not what the claim says."""
    table = accuracies(blocks=12, ratios=(0.0, 0.5), noise=0.02)
    table.loc[table["compression"] == 0.5, "accuracy"] -= 0.5
    table.loc[(table["compression"] == 0.5) & (table["sparsity"] == 0.95), "accuracy"] += 5.0
    effect = judge(table)
    assert "12 won, 0 tied, 24 lost" in effect.verdict
    assert "significantly higher (adjusted p = 0.00049)" in effect.verdict
    assert effect.outcome is Outcome.NOT_SUPPORTED


def test_too_few_blocks_are_undecided_and_say_what_they_could_reach():
    effect = judge(accuracies(blocks=4, gains={0.4: 3.0}, noise=0.05))
    assert effect.outcome is Outcome.UNDECIDED
    assert "4 blocks cannot reach 0.05: the smallest adjusted p is 0.25" in effect.verdict


def test_one_block_gives_counts_but_no_inference():
    effect = judge(accuracies(blocks=1), blocks=())
    assert effect.outcome is Outcome.UNDECIDED
    assert "No inference is possible with one block." in effect.verdict
    assert "[" not in effect.verdict.split("All blocks")[1]
    found = rows(effect, Family.RATIO)
    assert found[["ci_low", "ci_high", "detectable"]].isna().all(axis=None)
    assert (found["n"] == 1).all()


def test_two_blocks_have_no_interval():
    found = rows(judge(accuracies(blocks=2)), Family.RATIO)
    assert found[["ci_low", "ci_high"]].isna().all(axis=None)


def test_seeds_are_the_unit_from_three_on():
    table = accuracies(blocks=2, gains={0.4: 0.5}, seeds=8, noise=0.2)
    effect = judge(table)
    assert (effect.unit, effect.seeds) == ("seed", tuple(range(8)))
    per_seed = table.pivot_table(index="seed", columns="compression", values="accuracy")
    gains = per_seed.sub(per_seed[0.0], axis=0).drop(columns=0.0)
    found = rows(effect, Family.RATIO, unit="seed")
    assert np.allclose(found["effect"], gains.mean())
    assert (found["n"] == 8).all()
    assert found["p"].tolist() == pytest.approx([signed_rank(gains[r]).p for r in gains])
    assert set(effect.table["unit"]) == {"cell", "block", "seed"}
    assert effect.outcome is Outcome.SUPPORTED
    assert "8 seeds" in effect.verdict
    json.loads(effect.to_json())


def test_two_seeds_are_cells_of_their_block():
    effect = judge(accuracies(blocks=10, seeds=2))
    assert effect.unit == "block"
    assert (rows(effect, Family.RATIO)["n"] == 10).all()
    assert (rows(effect, Family.RATIO, unit="cell")["n"] == 60).all()


def test_scopes_follow_stable_only():
    table = accuracies(blocks=10, seed=5)
    wild = table["learning_rate"] == 0.002
    table.loc[wild, "accuracy"] -= 15 * (table.loc[wild, "compression"] == 0.8)
    both, stable, every = (judge(table, stable_only=choice) for choice in (None, True, False))
    assert both.unstable == stable.unstable == every.unstable == ("learning_rate=0.002",)
    assert both.table["scope"].unique().tolist() == ["all blocks", "stable blocks"]
    assert stable.table["scope"].unique().tolist() == ["stable blocks"]
    assert every.table["scope"].unique().tolist() == ["all blocks"]
    assert (rows(both, Family.RATIO, scope="stable blocks")["n"] == 9).all()
    assert "1 of 10" not in both.verdict
    assert "learning_rate=0.002" in both.verdict
    assert both.differences.groupby("stable").size().to_dict() == {False: 6, True: 54}


def test_without_an_unstable_block_there_is_one_scope(effect):
    assert effect.table["scope"].unique().tolist() == ["all blocks"]
    assert effect.unstable == ()
    assert "No block is unstable." in effect.verdict


def test_an_effect_that_hangs_on_unstable_blocks_is_not_supported():
    """7 wild blocks of 16 gain; the 9 others do not: significant with the wild ones, and only with them."""
    table = accuracies(blocks=16, ratios=(0.0, 0.5), seed=8)
    table.loc[(table["learning_rate"] <= 0.0071) & (table["compression"] == 0.5), "accuracy"] += 8.0
    effect = judge(table)
    assert len(effect.unstable) == 7
    assert judge(table, stable_only=False).outcome is Outcome.SUPPORTED
    assert effect.outcome is Outcome.NOT_SUPPORTED


def test_missing_cells_are_left_out_counted_and_named(table):
    gone = table.drop(table[(table["learning_rate"] == 0.001) & (table["compression"] == 0.4)].index[:1])
    gone.loc[(gone["learning_rate"] == 0.002) & (gone["compression"] == 0.0), "accuracy"] = np.nan
    effect = judge(gone)
    assert effect.excluded == (
        "learning_rate=0.001, sparsity=0.75, compression 0.4: missing",
        *(f"learning_rate=0.002, sparsity={s:g}, compression 0: accuracy is not finite" for s in SPARSITIES),
    )
    assert "4 left out: learning_rate=0.001, sparsity=0.75, compression 0.4: missing;" in effect.verdict
    found = rows(effect, Family.RATIO)
    assert found["excluded"].tolist() == [0, 1, 0, 0]
    assert (found["n"] == 9).all()
    assert rows(effect, Family.ANY)["excluded"].item() == 1
    assert rows(effect, Family.RATIO, unit="cell")["n"].tolist() == [27, 26, 27, 27]
    assert rows(effect, Family.BEST, unit="cell")["n"].item() == 26


def test_a_status_says_why(table):
    status = table.assign(status="complete")
    status.loc[3, ["accuracy", "status"]] = [np.nan, "diverged"]
    assert judge(status).excluded[0].endswith("diverged")


def test_all_ties():
    table = accuracies(blocks=10).assign(accuracy=70.0)
    effect = judge(table)
    assert effect.outcome is Outcome.NOT_SUPPORTED
    found = rows(effect, Family.RATIO, unit="cell")
    assert found["ties"].tolist() == [30] * 2
    assert (found["p"] == 1.0).all()
    assert "gains 0.000 points, the same as the 0.000 expected" in effect.verdict
    assert "Within ±0.5 points of compression 0 (TOST, Holm): ratio 0.4, 0.8." in effect.verdict


def test_order_of_rows_and_representation_of_ratios_do_not_matter(table, effect):
    shuffled = table.sample(frac=1, random_state=0)
    shuffled["compression"] = shuffled["compression"] * 3 / 3 + 1e-13
    pd.testing.assert_frame_equal(judge(shuffled).table, effect.table)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d.drop(columns="accuracy"), "unknown column 'accuracy'"),
        (lambda d: d.rename(columns={"learning_rate": "lr"}), "unknown column 'learning_rate'"),
        (lambda d: d[d["compression"] > 0], r"no baseline: the table has compression 0.2, 0.4, 0.6, 0.8, but not 0"),
        (lambda d: d[d["compression"] == 0], "every row has compression 0"),
        (
            lambda d: pd.concat([d, d.iloc[:1]]),
            r"repeat a cell, such as learning_rate=0.001, sparsity=0.75, compression 0",
        ),
        (lambda d: d.assign(accuracy=d["accuracy"] / 100), "they look like shares, give them in per cent"),
        (lambda d: d.assign(accuracy=d["accuracy"] * 100), "give them in per cent, 0 to 100"),
        (lambda d: d.assign(accuracy="high"), "accuracy 'high' is no number"),
        (lambda d: d.assign(compression=d["compression"] * 10), r"compression runs from 0 to 8: it is a share, 0 to 1"),
        (lambda d: d.assign(sparsity=np.nan), "sparsity is missing in some rows"),
        (lambda d: d.assign(accuracy=np.nan), "no cell has an accuracy at compression 0 and at another ratio"),
        (lambda d: d.assign(learning_rate=np.arange(len(d))), "no cell has an accuracy at compression 0"),
    ],
)
def test_wrong_tables_say_what_is_wrong(table, spoil, message):
    with pytest.raises(InputError, match=message):
        judge(spoil(table))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0.5}, r"alpha 0\.5 is no level"),
        ({"margin": 0.0}, "margin 0.0 is no difference"),
        ({"blocks": ("learning_rate", "sparsity")}, "sparsity cannot be part of a block"),
    ],
)
def test_wrong_options(table, options, message):
    with pytest.raises(InputError, match=message):
        judge(table, **options)


def test_everything_is_in_the_json(effect):
    content = json.loads(effect.to_json())
    assert content["outcome"] == effect.outcome.value
    assert content["verdict"] == effect.verdict
    assert len(content["table"]) == len(effect.table)
    assert set(content["table"][0]) == set(COLUMNS)
    assert len(content["differences"]) == len(effect.differences)


def test_it_prints_in_every_common_form(effect):
    assert pd.read_csv(io.StringIO(effect.to_csv())).shape == effect.table.shape
    assert effect.to_markdown().count("\n") == len(effect.table) + 2
    assert "\\toprule" in effect.to_latex()
    assert effect.verdict.split(":")[0] in effect._repr_html_()


def test_the_overall_mean_is_over_ratios_then_cells_then_blocks(effect, per_block):
    assert rows(effect, Family.OVERALL)["effect"].item() == pytest.approx(per_block.mean(axis=1).mean())


def test_a_study_is_not_a_table_of_accuracies():
    with pytest.raises(InputError, match=r"pass accuracy_table\(dataset\)"):
        compression_effect(xr.Dataset())
