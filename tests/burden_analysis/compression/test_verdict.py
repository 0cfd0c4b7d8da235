"""The prose of a compression effect against its numbers, over random tables."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from burden_analysis import compression_effect
from burden_analysis.results.families import Family
from burden_analysis.results.outcome import Outcome
from tests.burden_analysis.synthetic_compression import accuracies

GAIN = st.sampled_from([-3.0, -0.4, 0.0, 0.4, 3.0])


@st.composite
def effects(draw):
    blocks = draw(st.integers(1, 12))
    table = accuracies(
        blocks=blocks,
        gains={0.4: draw(GAIN), 0.8: draw(GAIN)},
        sparsities=(0.8, 0.9),
        noise=draw(st.sampled_from([0.0, 0.3])),
        seeds=draw(st.sampled_from([0, 0, 3, 8])),
        seed=draw(st.integers(0, 999)),
    )
    if draw(st.booleans()):
        wild = (table["learning_rate"] == 0.001) & (table["compression"] == 0.8)
        table.loc[wild, "accuracy"] -= 20
    few = draw(st.sampled_from([99, 6, 5]))  # the blocks that have the last ratio
    table = table[(table["compression"] < 0.8) | (table["learning_rate"].rank(method="dense") <= few)]
    table = table.reset_index(drop=True)
    gone = draw(st.lists(st.integers(0, len(table) - 1), max_size=7, unique=True))
    table.loc[gone[:3], "accuracy"] = np.nan
    table = table.drop(index=gone[3:])
    if not _has_pair(table):
        table = accuracies(blocks=1)
    return compression_effect(table, blocks=("learning_rate",), stable_only=draw(st.sampled_from([None, True, False])))


def _has_pair(table):
    known = table.dropna(subset=["accuracy"])
    keys = [name for name in ("learning_rate", "sparsity", "seed") if name in table]
    cells = known.groupby(keys)["compression"].agg(["min", "max"])
    return len(known["compression"].unique()) == 3 and bool(((cells["min"] == 0) & (cells["max"] > 0)).any())


def rows(effect, scope, family, unit):
    table = effect.table
    return table[(table["scope"] == scope) & (table["family"] == family) & (table["unit"] == unit)]


def sections(effect):
    """The part of the verdict about each scope."""
    names = list(effect.table["scope"].unique())
    text = effect.verdict
    starts = [text.index(f" {name.capitalize()} (") for name in names]
    return {name: text[a:b] for name, a, b in zip(names, starts, [*starts[1:], len(text)], strict=True)}


@settings(max_examples=50, deadline=None)
@given(effects())
def test_the_prose_says_what_the_table_says(effect):
    text = effect.verdict
    assert text.startswith(f"{effect.outcome.words.capitalize()}: that compressing the input")
    assert "nan" not in text
    for scope, part in sections(effect).items():
        check_scope(part, effect, scope)
    check_outcome(effect)
    check_left_out(effect)
    assert ("No block is unstable." in text) is (not effect.unstable)
    assert all(name in text for name in effect.unstable[:5])


def check_scope(part, effect, scope):
    units, cells = (rows(effect, scope, Family.RATIO, unit) for unit in (effect.unit, "cell"))
    for (_, unit), (_, cell) in zip(units.iterrows(), cells.iterrows(), strict=True):
        if not cell["n"]:
            assert f"ratio {unit['ratio']:g}: no cell" in part
            continue
        told = re.search(rf"ratio {unit['ratio']:g}: (\d+) won, (\d+) tied, (\d+) lost, ([^;]*?)(;|\. )", part)
        assert told is not None, part
        won, tied, lost = map(int, told.groups()[:3])
        assert (won, tied, lost) == (cell["wins"], cell["ties"], cell["losses"])
        assert won + tied + lost == cell["n"]
        effect_told = float(told[4].split()[0].rstrip(","))
        assert effect_told == pytest.approx(unit["effect"], abs=6e-4)
        check_significance(told[4], unit, effect.alpha)
        assert ("[" in told[4]) is bool(np.isfinite(unit["ci_low"]))
    if effect.unit in part and units["n"].max() == 1:
        assert f"No inference is possible with one {effect.unit}." in part
        return
    check_reach(part, units, effect)
    check_best(part, effect, scope)
    check_trend(part, rows(effect, scope, Family.TREND, effect.unit), effect.alpha)
    overall = rows(effect, scope, Family.OVERALL, effect.unit).iloc[0]
    if overall["n"]:
        check_significance(part.split("Mean over ratios: ")[1].split(". Best")[0], overall, effect.alpha)


def check_significance(told, row, alpha):
    if row["n"] == 1:
        assert "one sample" in told
    elif row["p_adjusted"] > alpha:
        assert "not significant" in told
    elif row["effect"] > 0 and row["wins"] > row["losses"]:
        assert "significantly higher" in told
    elif row["effect"] < 0 and row["losses"] > row["wins"]:
        assert "significantly lower" in told
    else:
        assert "significantly different" in told


def beyond_reach(units, alpha):
    """Tests that no accuracy could make significant: Holm adjusts a p least when all others are at their smallest."""
    made = units["n"].to_numpy() > 0
    smallest = multipletests(2.0 ** (1 - units["n"].to_numpy(float)[made]), method="holm")[1]
    short = np.zeros(len(units), bool)
    short[made] = smallest > alpha  # the smallest p is that of n equal signs
    return short


def check_reach(part, units, effect):
    short = beyond_reach(units, effect.alpha)
    assert ("cannot reach" in part) is bool(short.any())
    assert ("the smallest adjusted p is" in part) is bool(short.all())
    assert not (units["p_adjusted"].to_numpy()[short] <= effect.alpha).any()
    for ratio, told in zip(units["ratio"], short, strict=True):
        assert (f"Ratio {ratio:g} cannot reach {effect.alpha:g}" in part) is bool(told and not short.all())
    detectable = units[(units["p_adjusted"] > effect.alpha) & units["detectable"].notna()]
    assert ("had 80 % power for" in part) is bool(not short.all() and len(detectable) > 0)


def check_best(part, effect, scope):
    judged, cells = (rows(effect, scope, Family.BEST, unit).iloc[0] for unit in (effect.unit, "cell"))
    if not judged["n"]:
        assert "No cell has every ratio" in part
        return
    assert f"it wins {cells['wins']:.0f} of {cells['n']:.0f} cells" in part
    gained, way, expected = re.search(r"it gains (-?[\d.]+) points, (\w+).*?the (-?[\d.]+) expected", part).groups()
    assert float(gained) == pytest.approx(judged["effect"], abs=6e-4)
    assert float(expected) == pytest.approx(judged["expected"], abs=6e-4)
    assert way == (
        "more" if judged["effect"] > judged["expected"] else "less" if judged["effect"] < judged["expected"] else "the"
    )


def check_trend(part, trends, alpha):
    for _, row in trends.iterrows():
        told = row["question"][0].upper() + row["question"][1:]
        assert (told in part) is bool(row["p_adjusted"] <= alpha)
    if len(trends) and not (trends["p_adjusted"] <= alpha).any():
        assert "No trend of accuracy over the ratios" in part


def check_outcome(effect):
    scopes = list(effect.table["scope"].unique())
    higher, lower, most = {}, [], {}
    for scope in scopes:
        units, cells = (rows(effect, scope, Family.RATIO, unit).set_index("ratio") for unit in (effect.unit, "cell"))
        significant = units[(units["p_adjusted"] <= effect.alpha)]
        up = significant[(significant["effect"] > 0) & (significant["wins"] > significant["losses"])]
        higher[scope] = set(up.index)
        most[scope] = {ratio for ratio in up.index if cells["wins"][ratio] > cells["n"][ratio] / 2}
        overall = rows(effect, scope, Family.OVERALL, effect.unit).iloc[0]
        lower.append(overall["p"] <= effect.alpha and overall["effect"] < 0 and overall["losses"] > overall["wins"])
    shared = set.intersection(*most.values())
    judged = effect.table[(effect.table["family"] == Family.RATIO) & (effect.table["unit"] == effect.unit)]
    if all(lower) and not any(higher.values()):
        expected, reason = Outcome.CONTRADICTED, "Over all ratios together accuracy is significantly lower"
    elif shared:
        expected, reason = Outcome.SUPPORTED, f"ratio {', '.join(f'{r:g}' for r in sorted(shared))}."
    else:
        few = judged["n"].min() < 3 or any(beyond_reach(u, effect.alpha).any() for _, u in judged.groupby("scope"))
        expected = Outcome.UNDECIDED if few else Outcome.NOT_SUPPORTED
        reason = "No ratio is significantly higher and wins more than half of the cells"
    assert effect.outcome is expected
    assert reason in effect.verdict


def check_left_out(effect):
    if not effect.excluded:
        assert effect.verdict.endswith("Nothing was left out.")
        return
    last = effect.verdict.rsplit(f"{len(effect.excluded)} left out: ", 1)[1]
    named = effect.excluded[:5]
    more = len(effect.excluded) - len(named)
    assert last == "; ".join(named) + (f" and {more} more." if more else ".")
