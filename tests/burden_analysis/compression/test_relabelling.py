from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from burden_analysis.statistics.significance.relabelling import best_gain, relabel
from burden_analysis.statistics.significance.signed_rank import signed_rank

ACCURACY = st.integers(7000, 7020).map(lambda hundredths: hundredths / 100)  # narrow: ties are common


def cells(rows=4, labels=3):
    row = st.lists(ACCURACY, min_size=labels, max_size=labels)
    return st.lists(row, min_size=1, max_size=rows).map(np.array)


def gain(values):
    return float(np.mean([max(row[1:]) - row[0] for row in values]))


@given(cells(labels=4))
def test_best_gain_is_the_best_other_less_each_value(values):
    slow = [[max(np.delete(row, j)) - row[j] for j in range(len(row))] for row in values]
    assert best_gain(values) == pytest.approx(np.array(slow), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(cells(rows=3))
def test_relabelling_within_cells_is_full_enumeration(values):
    """All k! orders of every cell, not only who is the baseline."""
    null = [
        gain(np.array([row[list(order)] for row, order in zip(values, orders, strict=True)]))
        for orders in product(*[list(permutations(range(3)))] * len(values))
    ]
    found = relabel(best_gain(values), np.arange(len(values)))
    assert found.observed == pytest.approx(gain(values))
    assert found.expected == pytest.approx(np.mean(null))
    assert found.result.p == pytest.approx(np.mean(np.array(null) >= gain(values) - 1e-9))
    assert (found.result.n, found.result.mc_error) == (len(values), 0.0)


@settings(max_examples=30, deadline=None)
@given(cells(rows=5))
def test_relabelling_within_blocks_moves_all_cells_of_a_block_at_once(values):
    units = np.arange(len(values)) // 2
    null = []
    for orders in product(list(permutations(range(3))), repeat=int(units.max()) + 1):
        null.append(gain(np.array([row[list(orders[u])] for row, u in zip(values, units, strict=True)])))
    found = relabel(best_gain(values), units)
    assert found.expected == pytest.approx(np.mean(null))
    assert found.result.p == pytest.approx(np.mean(np.array(null) >= gain(values) - 1e-9))


def test_accuracies_without_a_common_step_are_enumerated_or_sampled():
    rng = np.random.default_rng(3)
    for count, exact in ((6, True), (40, False)):
        values = rng.normal(70, 5, (count, 4)) * np.pi
        found = relabel(best_gain(values), np.arange(count))
        assert (found.result.mc_error == 0) is exact
        drawn = np.random.default_rng(4).integers(4, size=(200_000, count))
        null = best_gain(values)[np.arange(count), drawn].mean(axis=1)
        assert found.result.p == pytest.approx((null >= found.observed).mean(), abs=0.01)
        assert found.expected == pytest.approx(null.mean(), abs=0.05)


def test_selection_alone_wins_four_of_five():
    values = np.array([[1.0, 2, 3, 4, 5]] * 3)
    assert relabel((best_gain(values) > 0).astype(float), np.arange(3)).expected == pytest.approx(0.8)


def test_no_cell_no_test():
    found = relabel(np.empty((0, 5)), np.empty(0))
    assert np.isnan([found.observed, found.expected, found.result.p]).all()


@given(st.lists(st.integers(-400, 400).filter(bool), min_size=1, max_size=12, unique_by=abs))
def test_signed_rank_is_scipys_exact_test_without_ties(values):
    expected = wilcoxon(np.array(values, float), method="exact").pvalue
    assert signed_rank(np.array(values) / 7).p == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
def test_signed_rank_with_ties_and_zeros_is_full_enumeration(values):
    moved = np.array([v for v in values if v], float)
    found = signed_rank(np.array(values, float))
    assert found.n == len(values)
    if not moved.size:
        assert found.p == 1.0
        return
    size = np.abs(moved)
    ranks = np.array([(size < v).sum() + ((size == v).sum() + 1) / 2 for v in size])
    sums = np.array([ranks[np.array(signs)].sum() for signs in product([False, True], repeat=len(ranks))])
    observed = ranks[moved > 0].sum()
    tails = (sums <= observed + 1e-9).mean(), (sums >= observed - 1e-9).mean()
    assert found.p == pytest.approx(min(1.0, 2 * min(tails)))
    assert found.statistic == pytest.approx(observed)


def test_signed_rank_reaches_its_attainable_p():
    found = signed_rank(np.arange(1, 7))
    assert found.p == found.attainable_p == 2 / 2**6
    assert np.isnan(signed_rank(np.array([])).p)
