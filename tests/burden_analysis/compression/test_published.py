from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from burden_analysis import compression_effect, published_tables
from burden_analysis.compression import ratio_tests as compression_rows
from burden_analysis.compression.accuracies import SETUP
from burden_analysis.results.families import Family
from burden_analysis.results.outcome import Outcome
from burden_analysis.statistics import PermutationResult

ROWS = [*SETUP, "sparsity"]


@pytest.fixture(scope="module")
def table():
    return published_tables()


@pytest.fixture(scope="module")
def wide(table):
    return table.pivot_table(index=ROWS, columns="compression", values="accuracy")


@pytest.fixture(scope="module")
def effect(table):
    return compression_effect(table)


def unstable(index):
    return (index.get_level_values("embed_dim") == 768) & (index.get_level_values("learning_rate") == 0.01)


def test_the_grid_is_full(table, wide):
    assert table.shape == (800, 7)
    assert {name: sorted(table[name].unique().tolist()) for name in table.columns[:-1]} == {
        "embed_dim": [384, 768],
        "num_heads": [3, 6],
        "epochs": [40, 60],
        "learning_rate": [0.00125, 0.0025, 0.005, 0.01],
        "compression": [0.0, 0.2, 0.4, 0.6, 0.8],
        "sparsity": [0.75, 0.8, 0.85, 0.9, 0.95],
    }
    assert not table.duplicated(list(table.columns[:-1])).any()
    assert wide.notna().all(axis=None)
    assert np.array_equal((100 * table["accuracy"]).round(6) % 1, np.zeros(800))


def test_values_are_those_of_the_study(table):
    def at(**cell):
        rows = table[np.logical_and.reduce([table[name] == value for name, value in cell.items()])]
        return rows["accuracy"].item()

    first = {"embed_dim": 384, "num_heads": 3, "epochs": 40, "learning_rate": 0.00125, "sparsity": 0.75}
    assert (at(**first, compression=0.0), at(**first, compression=0.8)) == (75.00, 74.70)
    best = {"embed_dim": 768, "num_heads": 6, "epochs": 60, "learning_rate": 0.005, "sparsity": 0.85}
    assert at(**best, compression=0.0) == 81.37
    assert round(table["accuracy"].sum(), 2) == 61712.54


def test_the_oddities_that_the_docstring_reports(table, wide):
    wild = unstable(wide.index)
    variance = wide.var(axis=1)
    assert wild.sum() == 20
    assert variance[wild].sum() / variance.sum() == pytest.approx(0.96, abs=0.005)
    assert (wide[wild].min(axis=None), wide[wild].max(axis=None)) == (52.27, 79.14)
    assert (wide[~wild].min(axis=None), wide[~wild].max(axis=None)) == (72.4, 81.37)
    steps = table.pivot_table(index=[*SETUP, "compression"], columns="sparsity", values="accuracy")
    rises = steps.diff(axis=1).iloc[:, 1:].round(6)
    odd = unstable(steps.index)
    assert ((rises[odd] > 0).sum(axis=None), rises[odd].size) == (58, 80)
    assert ((rises[~odd] > 0).sum(axis=None), rises[~odd].size, (rises[~odd] > 1).sum(axis=None)) == (139, 560, 1)
    assert ((rises[~odd] <= 0).all(axis=1).sum(), (~odd).sum()) == (34, 140)
    longer = table.pivot_table(
        index=["embed_dim", "num_heads", *ROWS[3:], "compression"], columns="epochs", values="accuracy"
    )
    more = (longer[60] - longer[40]).round(6) > 0
    assert (more[unstable(more.index)].sum(), more[~unstable(more.index)].sum()) == (22, 328)
    far = wide[~wild].sub(wide[~wild].median(axis=1), axis=0)
    assert far.abs().max(axis=None) == pytest.approx(far[0.0].max())
    assert far[0.0].idxmax() == (768, 6, 60, 0.005, 0.85)
    assert 81.37 - wide.loc[(768, 6, 60, 0.005, 0.85)].drop(0.0).max() == pytest.approx(1.5, abs=0.05)
    values = wide.to_numpy()
    assert sum(int(np.isclose(values[:, i], values[:, j]).sum()) for i in range(5) for j in range(i)) == 13
    assert max(Counter(map(tuple, values)).values()) == 1
    assert max(Counter(map(tuple, steps.to_numpy())).values()) == 1
    digits = (table["accuracy"] * 100).round().astype(int) % 10
    assert chisquare(digits.value_counts()).pvalue == pytest.approx(0.49, abs=0.005)


def test_unstable_blocks_are_found_from_the_spread_alone(effect):
    assert effect.unstable == tuple(
        f"embed_dim=768, num_heads={h}, epochs={e}, learning_rate=0.01" for h in (3, 6) for e in (40, 60)
    )
    assert round(effect.unstable_share, 3) == 0.961
    assert effect.excluded == ()
    assert (effect.unit, effect.seeds, effect.ratios) == ("block", (), (0.2, 0.4, 0.6, 0.8))


def rows(effect, unit, family, scope=None):
    table = effect.table
    found = table[(table["unit"] == unit) & (table["family"] == family)]
    return found if scope is None else found[found["scope"] == scope]


@pytest.mark.parametrize(
    ("scope", "counts"),
    [
        ("all blocks", [(71, 1, 88), (85, 4, 71), (83, 0, 77), (59, 2, 99)]),
        ("stable blocks", [(61, 1, 78), (76, 4, 60), (78, 0, 62), (52, 2, 86)]),
    ],
)
def test_cells_won_tied_and_lost(effect, scope, counts):
    found = rows(effect, "cell", Family.RATIO, scope)
    assert list(found[["wins", "ties", "losses"]].itertuples(index=False, name=None)) == counts


def test_what_the_published_numbers_say(effect):
    """Literal values, so that no change of method goes unseen; first all blocks, then stable ones."""
    assert effect.outcome is Outcome.NOT_SUPPORTED
    ratios = rows(effect, "block", Family.RATIO)
    assert ratios["effect"].round(3).tolist() == [0.030, -0.089, -0.311, -0.336, -0.039, 0.009, 0.062, -0.178]
    assert ratios["n"].tolist() == [32] * 4 + [28] * 4
    assert ratios["p_adjusted"].round(3).tolist() == [0.853, 1.0, 1.0, 0.045, 1.0, 1.0, 1.0, 0.067]
    assert ratios[["ci_low", "ci_high"]].iloc[7].round(3).tolist() == [-0.305, -0.052]
    best = rows(effect, "block", Family.BEST)
    assert best["effect"].round(3).tolist() == [0.556, 0.304]
    assert best["expected"].round(3).tolist() == [0.740, 0.345]
    assert best["p"].round(2).tolist() == [0.86, 0.79]
    wins = rows(effect, "cell", Family.BEST_WINS)
    assert wins["effect"].tolist() == [122 / 160, 108 / 140]
    assert wins["expected"].round(3).tolist() == [0.798, 0.797]
    assert rows(effect, "block", Family.OVERALL)["p"].round(2).tolist() == [0.23, 0.44]
    within = rows(effect, "block", Family.WITHIN)["p_adjusted"] <= 0.05
    assert within.tolist() == [False, True, False, False, True, True, True, True]
    assert rows(effect, "block", Family.ANY)["statistic"].round(2).tolist() == [8.98, 9.71]
    ranks = rows(effect, "block", Family.RANK, "all blocks")
    assert ranks["effect"].round(2).tolist() == [3.41, 2.94, 3.19, 3.16, 2.31]
    trends = rows(effect, "block", Family.TREND)
    assert trends["p_adjusted"].round(3).tolist() == [0.988, 0.027, 0.927, 0.157]
    slopes = rows(effect, "block", Family.GAIN_SLOPE)
    assert slopes["effect"][slopes["ratio"].isna()].round(3).tolist() == [0.057, 0.054]
    assert slopes["p"][slopes["ratio"].isna()].round(2).tolist() == [0.08, 0.14]


def test_the_published_verdict_in_words(effect):
    text = effect.verdict
    assert text.startswith(
        "Not supported (could have been seen): that compressing the input makes sparse networks more"
    )
    for words in (
        "No ratio is significantly higher and wins more than half of the cells in all blocks and in stable blocks.",
        "All blocks (32 blocks, 160 cells): ratio 0.2: 71 won, 1 tied, 88 lost, +0.030 [-0.501, +0.561], ",
        "ratio 0.8: 59 won, 2 tied, 99 lost, -0.336 [-0.989, +0.317], significantly lower (adjusted p = 0.045)",
        "it wins 122 of 160 cells (76%), but with no effect selection alone wins 80%",
        "it gains 0.556 points, less than the 0.740 expected with no effect (relabelled within blocks, one-sided p = ",
        "Stable blocks (28 blocks, 140 cells)",
        "96% of all of it: embed_dim=768, num_heads=3, epochs=40, learning_rate=0.01",
        "Nothing was left out.",
    ):
        assert words in text


@pytest.mark.slow
def test_tables_relabelled_inside_blocks_fool_cells_but_not_blocks(table, monkeypatch):
    """No effect by construction, with the published spread; three ratios and no Friedman test, for speed."""
    monkeypatch.setattr(compression_rows, "friedman_exact", lambda v, **_: PermutationResult(0.0, 1.0, len(v), 0, 1.0))
    table = table[table["compression"].isin([0.0, 0.4, 0.8])].reset_index(drop=True)
    ratios = np.array([0.0, 0.4, 0.8])
    block = table.groupby(list(SETUP)).ngroup().to_numpy()
    now = np.searchsorted(ratios, table["compression"].to_numpy())
    rng = np.random.default_rng(0)
    outcomes, cells = Counter(), 0
    for _ in range(100):
        drawn = np.array([rng.permutation(3) for _ in range(32)])
        effect = compression_effect(table.assign(compression=ratios[drawn[block, now]]))
        outcomes[effect.outcome] += 1
        cells += bool((rows(effect, "cell", Family.RATIO, "stable blocks")["p_adjusted"] <= 0.05).any())
    assert outcomes[Outcome.SUPPORTED] <= 6  # P(more | 2.5 %) < 2 %
    assert outcomes[Outcome.CONTRADICTED] <= 6
    assert cells > 12  # a nominal 5 % would be 5
