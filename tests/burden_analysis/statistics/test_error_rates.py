"""Simulated false-positive rates and coverage: what docs/statistics.md states."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import rankdata

from burden_analysis.arrangement.cells import Cells
from burden_analysis.comparison.paired_tests import claim_rows, gated_rows
from burden_analysis.comparison.unpaired_tests import unpaired_claim_rows
from burden_analysis.results.question import Question
from burden_analysis.statistics import (
    brunner_munzel,
    friedman_exact,
    interaction,
    jonckheere_terpstra,
    max_t,
    page_joint,
    sign_flip,
    simultaneous_band,
    tost,
)

pytestmark = pytest.mark.slow

Record = Callable[[str, object], None]

ALPHA = 0.05
SEEDS = (3, 5, 10)
STRATEGIES, SPARSITIES = ("iterative", "optimal", "random"), (0.7, 0.8, 0.9)
ASKED = Question("gradient_mean_abs", STRATEGIES, 0.2, "log", ALPHA)


def at_most(rejected: list[bool], nominal: float = ALPHA) -> float:
    """The rate, which may exceed the nominal level by three Monte-Carlo standard errors at most."""
    rate = float(np.mean(rejected))
    assert rate <= nominal + 3 * math.sqrt(nominal * (1 - nominal) / len(rejected)), rate
    return rate


def paired(rng: np.random.Generator, n: int) -> np.ndarray:
    """Seeds differ, sparsities differ, runs of a seed and strategy share noise over sparsities; strategies do not."""
    common = rng.normal(size=(n, 1, 1)) + np.arange(3)[None, :, None]
    return common + rng.normal(size=(n, 1, 3)) + 0.3 * rng.normal(size=(n, 3, 3))


def arranged(values: np.ndarray) -> Cells:
    return Cells(values, tuple(range(len(values))), SPARSITIES, STRATEGIES, ())


@pytest.mark.parametrize("n", SEEDS)
def test_paired_tests_of_one_family(n: int, record_property: Record) -> None:
    rng = np.random.default_rng(n)
    studies = [paired(rng, n) for _ in range(2000)]
    rates = {
        "Page, joint": at_most([page_joint(v).p <= ALPHA for v in studies]),
        "Friedman": at_most([friedman_exact(v[:, 0]).p <= ALPHA for v in studies[:1000]]),
        "sign flip": at_most([sign_flip(v[:, 0, 1] - v[:, 0, 0]).p <= ALPHA for v in studies[:1000]]),
    }
    for name, rate in rates.items():
        record_property(f"{name}, n = {n}", rate)


@pytest.mark.parametrize("n", [5, 10])
def test_stacking_sparsities_as_blocks_would_reject_too_often(n: int) -> None:
    """Why strategies are relabelled jointly: the textbook Page test on 3n blocks."""
    rng = np.random.default_rng(n)
    weights, hits = np.arange(1, 4), 0
    for _ in range(4000):
        ranks = rankdata(paired(rng, n).reshape(-1, 3), axis=1)
        blocks = len(ranks)
        z = ((ranks @ weights).sum() - 12 * blocks) / math.sqrt(2 * blocks)
        hits += bool(z > 1.645)
    assert hits / 4000 > 0.1


@pytest.mark.parametrize("n", SEEDS)
def test_gatekeeping_holds_over_all_sparsities_and_pairs(n: int, record_property: Record) -> None:
    """Any rejection of a true null, over joint, per sparsity and pairs; and any against the claim."""
    rng = np.random.default_rng(10 + n)
    gated, against = [], []
    for _ in range(1500):
        found = arranged(paired(rng, n))
        joint, *opposed = claim_rows(found, ASKED)
        opened = gated_rows(found, joint["p"], ASKED) if joint["p"] <= ALPHA else []  # else all are NaN
        gated.append(any(row["p_adjusted"] <= ALPHA for row in [joint, *opened]))
        against.append(any(row["p_adjusted"] <= ALPHA for row in opposed))
    record_property(f"gatekeeping, n = {n}", at_most(gated))
    record_property(f"against, n = {n}", at_most(against))


@pytest.mark.parametrize("n", SEEDS)
def test_max_t_over_correlated_records(n: int, record_property: Record) -> None:
    rng = np.random.default_rng(20 + n)
    rejected = [bool((max_t(curves(rng, n)).p_adjusted <= ALPHA).any()) for _ in range(1000)]
    record_property(f"max-|t|, n = {n}", at_most(rejected))


@pytest.mark.parametrize("n", [3, 5, 6, 10])
def test_the_band_covers_all_records_at_once(n: int, record_property: Record) -> None:
    rng = np.random.default_rng(30 + n)
    covered = []
    for _ in range(1500):
        band = simultaneous_band(curves(rng, n))
        covered.append(bool((np.abs(band.centre) <= band.half).all()))
    assert np.mean(covered) >= 0.93
    record_property(f"coverage, n = {n}", float(np.mean(covered)))


@pytest.mark.parametrize("n", SEEDS)
def test_independent_samples(n: int, record_property: Record) -> None:
    rng = np.random.default_rng(40 + n)
    trend, pair, against = [], [], []
    for _ in range(300):
        values = rng.normal(size=(3, n, 1)) + 0.3 * rng.normal(size=(3, n, 3))
        trend.append(jonckheere_terpstra(list(values), resamples=1000).p <= ALPHA)
        pair.append(brunner_munzel(values[0, :, 0], values[1, :, 0], resamples=1000).p <= ALPHA)
        if n == 3:  # few enough groupings to list
            grid = np.full((9, 3, 3), np.nan)
            for k in range(3):
                grid[3 * k : 3 * k + 3, :, k] = values[k]
            against.append(any(row["p_adjusted"] <= ALPHA for row in unpaired_claim_rows(arranged(grid), ASKED)[1:]))
    record_property(f"Jonckheere-Terpstra, n = {n}", at_most(trend))
    record_property(f"Brunner-Munzel, n = {n}", at_most(pair))
    if against:
        at_most(against)


@pytest.mark.parametrize("n", SEEDS)
def test_equivalence_at_the_edge_of_the_margin(n: int, record_property: Record) -> None:
    rng = np.random.default_rng(50 + n)
    record_property(f"TOST, n = {n}", at_most([tost(rng.normal(1, 0.3, n), 1.0).p <= ALPHA for _ in range(2000)]))


@pytest.mark.parametrize(("n", "trials"), [(3, 60), (5, 50), (10, 30)])
def test_the_mixed_model_of_strategy_and_sparsity(n: int, trials: int, record_property: Record) -> None:
    """Slopes differ between runs of a seed, but not between strategies on average."""
    rng = np.random.default_rng(60 + n)
    results = []
    for _ in range(trials):
        slopes = rng.normal(0, 0.4, (n, 1, 3)) * np.array([-1, 0, 1])[None, :, None]
        results.append(interaction(paired(rng, n) + slopes, SPARSITIES))
    usable = [r.p <= ALPHA for r in results if not r.unusable]
    record_property(f"mixed model, n = {n} ({len(usable)} of {trials} usable)", at_most(usable))


def curves(rng: np.random.Generator, n: int) -> np.ndarray:
    """Differences of AR(1) series with the same law (coefficient 0.95), 100 records."""
    noise = rng.normal(size=(n, 100))
    for k in range(1, 100):
        noise[:, k] = 0.95 * noise[:, k - 1] + math.sqrt(1 - 0.95**2) * noise[:, k]
    return noise
