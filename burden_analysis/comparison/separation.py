"""When do two strategies separate? A simultaneous band over training for their paired log-ratio."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import xarray as xr

from burden_analysis.arrangement.levels import at_level, with_levels
from burden_analysis.arrangement.runs import check_strategies, check_unique, complete_runs, run_table
from burden_analysis.indicators.series import record_series, recorded
from burden_analysis.statistics.estimates.band import BAND_FROM, Band, simultaneous_band
from burden_analysis.statistics.significance.max_t import max_t
from recorders.contract import InputError

Floats = npt.NDArray[np.float64]


def separation(
    dataset: xr.Dataset,
    indicator: str,
    first: str,
    second: str,
    *,
    sparsity: float | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Estimate the ratio of two strategies at each record, with a band that holds over all records at once.

    Seeds are paired. The band is that of `statistics.simultaneous_band`: up to five seeds t intervals with Bonferroni's
    correction over records, above studentised sign flips of whole centred curves. Records are those at which every
    pair has a value.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`.
    indicator : str
        As in `burden_analysis.series`; must be positive.
    first, second : str
        Strategies; the ratio is first / second.
    sparsity : float, optional
        At which they are compared; needed where both were run at several.
    level : float, default 0.95
        Simultaneous coverage.
    seed : int, default 0
        Of the sampled sign patterns: of the band above 13 seeds, of the test above 14.

    Returns
    -------
    xarray.Dataset
        Over `record`, with its coordinates: ``ratio`` of geometric means, ``low`` and ``high`` (NaN below three seeds),
        ``excludes_one`` (bool), ``p_adjusted`` of the max-|t| sign-flip test, family-wise over records. NaN where some
        pair has no value. Without dimension: ``onset``, the step of the first record whose band excludes 1, with
        ``onset_low`` and ``onset_high``, its range when each seed is left out in turn (NaN where there is no onset, or
        none in some of these), ``onsets_without_a_seed``, how many of these have one; ``share_below`` and
        ``share_above``, of the steps whose records have a ratio, the shares with it below and above 1;
        ``share_below_in_each_seed`` and ``share_above_in_each_seed``, where all seeds agree. Attributes: ``n`` seeds,
        ``method``, ``test``, ``level``, ``first``, ``second``, ``sparsity``, ``indicator``, and ``excluded``, a list
        of ``"run_id: reason"``.

    Raises
    ------
    InputError
        Unknown names, an indicator of mask updates, a sparsity that was not run, no pair of complete runs, two runs in
        one cell, or values without a logarithm.
    """
    if not 0 < level < 1:
        raise InputError(f"level {level} is no coverage: choose one in (0, 1), usually 0.95")
    check_strategies(dataset, [first, second])
    dataset = with_levels(dataset)
    sparsity = _only_sparsity(dataset, first, second) if sparsity is None else sparsity
    kept, excluded = complete_runs(_at_sparsity(dataset, sparsity), [first, second])
    mine, theirs, unpaired = _pairs(kept, first, second)
    differences = _log_ratios(kept, indicator, mine, theirs)
    if not len(differences):
        raise InputError(f"no seed has complete runs of both {first} and {second} at sparsity {sparsity:g}")
    band = simultaneous_band(differences, level=level, seed=seed)
    tested = max_t(differences, seed=seed)
    low, high = np.exp(band.centre - band.half), np.exp(band.centre + band.half)
    along = {str(k): v for k, v in dataset.coords.items() if v.dims == ("record",)}
    step = dataset["step"].to_numpy()
    curves = {
        "ratio": (np.exp(band.centre), f"{indicator}, {first} / {second}"),
        "low": (low, "lower bound, all records at once"),
        "high": (high, "upper bound, all records at once"),
        "excludes_one": (_excludes_zero(band), "band excludes 1"),
        "p_adjusted": (tested.p_adjusted, "p of the max-|t| sign-flip test, all records at once"),
    }
    single = {**_onset(differences, step, level, seed), **_shares(differences, _own_steps(kept, [*mine, *theirs]))}
    return xr.Dataset(
        {name: ("record", values, {"long_name": words, "units": "1"}) for name, (values, words) in curves.items()}
        | {name: ((), value, {"long_name": words, "units": unit}) for name, (value, words, unit) in single.items()},
        along,
        {
            "indicator": indicator,
            "first": first,
            "second": second,
            "sparsity": float(kept["sparsity"].to_numpy()[0]),
            "n": len(differences),
            "method": band.method,
            "test": tested.method,
            "level": level,
            "excluded": [*excluded, *unpaired],
        },
    )


def _only_sparsity(dataset: xr.Dataset, first: str, second: str) -> float:
    """Find the one sparsity at which both strategies were run."""
    strategy, sparsity = dataset["strategy"].to_numpy(), dataset["sparsity"].to_numpy()
    shared = sorted(set(sparsity[strategy == first]) & set(sparsity[strategy == second]))
    if len(shared) != 1:
        listed = ", ".join(f"{s:g}" for s in shared) or "none"
        raise InputError(f"{first} and {second} share {len(shared)} sparsities ({listed}): pass sparsity=")
    return float(shared[0])


def _at_sparsity(dataset: xr.Dataset, sparsity: float) -> xr.Dataset:
    here = at_level(dataset["sparsity"], sparsity)
    if not here.any():
        known = ", ".join(f"{s:g}" for s in np.unique(dataset["sparsity"].to_numpy()))
        raise InputError(f"no run has sparsity {sparsity:g}: choose from {known}")
    return dataset.isel(run=np.flatnonzero(here))


def _pairs(dataset: xr.Dataset, first: str, second: str) -> tuple[list[int], list[int], list[str]]:
    """Positions of the runs of both strategies, one per shared seed, and the runs that have no partner."""
    table = run_table(dataset)
    check_unique(table, "seed")
    strategy = table["strategy"].to_numpy()
    mine, theirs = (
        dict(zip(table["seed"][strategy == name], np.flatnonzero(strategy == name), strict=True))
        for name in (first, second)
    )
    seeds = sorted(mine.keys() & theirs.keys())
    unpaired = [f"{run_id}: no pair" for run_id in table.loc[~table["seed"].isin(seeds), "run_id"]]
    return [int(mine[s]) for s in seeds], [int(theirs[s]) for s in seeds], unpaired


def _log_ratios(dataset: xr.Dataset, indicator: str, mine: list[int], theirs: list[int]) -> Floats:
    """Logarithm of first / second per seed (seed, record)."""
    values = record_series(dataset, indicator).to_numpy()
    bad = np.any(values <= 0, axis=1)
    if bad.any():
        names = ", ".join(map(str, dataset["run_id"].to_numpy()[bad]))
        raise InputError(f"{indicator} is zero or negative in {names}: a ratio needs positive values")
    return np.asarray(np.log(values[mine]) - np.log(values[theirs]))


def _own_steps(dataset: xr.Dataset, runs: list[int]) -> Floats:
    """Count the steps that each record covers in all of some runs: recordings may have different intervals."""
    interval = recorded(dataset, "interval_steps").transpose("run", "record").to_numpy().astype(float)
    return np.asarray(interval[runs].min(axis=0))


def _excludes_zero(band: Band) -> npt.NDArray[np.bool_]:
    return np.asarray(np.abs(band.centre) > band.half)  # False where either is NaN


def _onset(
    differences: Floats, step: npt.NDArray[np.int64], level: float, seed: int
) -> dict[str, tuple[float, str, str]]:
    """First record that passes, and its range when each seed is left out in turn."""

    def first_step(some: Floats) -> float:
        passed = np.flatnonzero(_excludes_zero(simultaneous_band(some, level=level, seed=seed)))
        return float(step[passed[0]]) if passed.size else math.nan

    n = len(differences)
    # With a band's fewest seeds, leaving one out leaves no band.
    without = np.array([first_step(np.delete(differences, k, axis=0)) if n > BAND_FROM else math.nan for k in range(n)])
    return {
        "onset": (first_step(differences), "step of the first record whose band excludes 1", "steps"),
        "onset_low": (float(without.min()), "earliest onset with one seed left out", "steps"),
        "onset_high": (float(without.max()), "latest onset with one seed left out", "steps"),
        "onsets_without_a_seed": (float(np.isfinite(without).sum()), "left-out seeds that leave an onset", "1"),
    }


def _shares(differences: Floats, covered: Floats) -> dict[str, tuple[float, str, str]]:
    """Shares of the steps covered by records at which the ratio, or each seed's, lies on one side of 1."""
    whole = np.isfinite(differences).all(axis=0)
    kept, covered = differences[:, whole], covered[whole]
    mean = kept.mean(axis=0)
    sides = {
        "share_below": (mean < 0, "share of steps with a ratio below 1"),
        "share_above": (mean > 0, "share of steps with a ratio above 1"),
        "share_below_in_each_seed": ((kept < 0).all(axis=0), "share of steps with every seed's ratio below 1"),
        "share_above_in_each_seed": ((kept > 0).all(axis=0), "share of steps with every seed's ratio above 1"),
    }
    total = covered.sum()
    return {
        name: (float(covered[side].sum() / total) if total else math.nan, words, "1")
        for name, (side, words) in sides.items()
    }
