"""When do two strategies separate? A simultaneous band over training for their paired log-ratio."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.stats import t as student

from burden_analysis.cells import check_strategies, check_unique, complete_runs, run_table
from burden_analysis.indicators import record_series
from recorders.contract import InputError

Floats = npt.NDArray[np.float64]

_BONFERRONI_UP_TO = 5  # seeds; 2⁴ distinct sign patterns cannot place a 95 % quantile
_ENUMERABLE = 12  # seeds; 2¹¹ distinct patterns, more are sampled
_FLIPS = 4096


def separation(
    dataset: xr.Dataset, indicator: str, first: str, second: str, *, sparsity: float, level: float = 0.95, seed: int = 0
) -> xr.Dataset:
    """Estimate the ratio of two strategies at each record, with a band that holds over all records at once.

    Seeds are paired. Up to five seeds the band is a t interval with Bonferroni's correction over records; above, its
    half-width is the quantile of the largest |t| over records when the signs of whole centred curves are flipped
    (studentised, all patterns up to 12 seeds). Records are those at which every pair has a value.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`.
    indicator : str
        As in `burden_analysis.series`; must be positive.
    first, second : str
        Strategies; the ratio is first / second.
    sparsity : float
        At which they are compared.
    level : float, default 0.95
        Simultaneous coverage.
    seed : int, default 0
        Of the sampled sign patterns (more than 12 seeds).

    Returns
    -------
    xarray.Dataset
        Over `record`, with its coordinates: ``ratio`` of geometric means, ``low`` and ``high`` (NaN below three seeds),
        ``excludes_one`` (bool). NaN where some pair has no value. Attributes: ``n`` seeds, ``method``, ``level``,
        ``first``, ``second``, ``sparsity``, ``indicator``, and ``excluded``, a list of ``"run_id: reason"``.

    Raises
    ------
    InputError
        Unknown names, an indicator of mask updates, a sparsity that was not run, no pair of complete runs, two runs in
        one cell, or values without a logarithm.
    """
    if not 0 < level < 1:
        raise InputError(f"level {level} is no coverage: choose one in (0, 1), usually 0.95")
    check_strategies(dataset, [first, second])
    kept, excluded = complete_runs(_at_sparsity(dataset, sparsity), [first, second])
    differences, unpaired = _paired_logs(kept, indicator, first, second)
    if not len(differences):
        raise InputError(f"no seed has complete runs of both {first} and {second} at sparsity {sparsity:g}")
    centre, half, method = _band(differences, level, seed)
    low, high = np.exp(centre - half), np.exp(centre + half)
    along = {str(k): v for k, v in dataset.coords.items() if v.dims == ("record",)}
    return xr.Dataset(
        {
            "ratio": ("record", np.exp(centre), {"long_name": f"{indicator}, {first} / {second}", "units": "1"}),
            "low": ("record", low, {"long_name": "lower bound, all records at once", "units": "1"}),
            "high": ("record", high, {"long_name": "upper bound, all records at once", "units": "1"}),
            "excludes_one": ("record", (low > 1) | (high < 1), {"long_name": "band excludes 1", "units": "1"}),
        },
        along,
        {
            "indicator": indicator,
            "first": first,
            "second": second,
            "sparsity": sparsity,
            "n": len(differences),
            "method": method,
            "level": level,
            "excluded": [*excluded, *unpaired],
        },
    )


def _at_sparsity(dataset: xr.Dataset, sparsity: float) -> xr.Dataset:
    here = np.isclose(dataset["sparsity"].to_numpy(), sparsity, rtol=0, atol=1e-9)
    if not here.any():
        known = ", ".join(f"{s:g}" for s in np.unique(dataset["sparsity"].to_numpy()))
        raise InputError(f"no run has sparsity {sparsity:g}: choose from {known}")
    return dataset.isel(run=np.flatnonzero(here))


def _paired_logs(dataset: xr.Dataset, indicator: str, first: str, second: str) -> tuple[Floats, list[str]]:
    """Logarithm of first / second per seed (seed, record), and the runs that have no partner."""
    table = run_table(dataset)
    check_unique(table, "seed")
    values = record_series(dataset, indicator).to_numpy()
    bad = np.any(values <= 0, axis=1)
    if bad.any():
        names = ", ".join(table["run_id"][bad])
        raise InputError(f"{indicator} is zero or negative in {names}: a ratio needs positive values")
    strategy = table["strategy"].to_numpy()
    mine, theirs = (
        dict(zip(table["seed"][strategy == name], values[strategy == name], strict=True)) for name in (first, second)
    )
    seeds = sorted(mine.keys() & theirs.keys())
    unpaired = [f"{run_id}: no pair" for run_id in table.loc[~table["seed"].isin(seeds), "run_id"]]
    pairs = [np.log(mine[s]) - np.log(theirs[s]) for s in seeds]
    return np.array(pairs).reshape(len(seeds), values.shape[1]), unpaired


def _band(differences: Floats, level: float, seed: int) -> tuple[Floats, Floats, str]:
    """Mean and half-width per record; NaN where a pair is missing."""
    n = len(differences)
    whole = np.isfinite(differences).all(axis=0)
    centre = np.full(whole.shape, np.nan)
    half = centre.copy()
    kept = differences[:, whole]
    centre[whole] = kept.mean(axis=0)
    if n < 3:
        return centre, half, "no band below three seeds"
    error = kept.std(axis=0, ddof=1) / np.sqrt(n)
    records = int(whole.sum())
    if n <= _BONFERRONI_UP_TO:
        half[whole] = error * student.ppf(1 - (1 - level) / (2 * max(records, 1)), n - 1)
        return centre, half, f"Bonferroni t over {records} records"
    patterns = _sign_patterns(n, seed)
    half[whole] = error * _critical(kept - kept.mean(axis=0), patterns, level)
    return centre, half, f"studentised max-|t| over {records} records, {len(patterns)} sign flips"


def _sign_patterns(n: int, seed: int) -> Floats:
    if n <= _ENUMERABLE:  # a pattern and its mirror image give the same |t|: the first sign stays +
        return np.array([(1.0, *rest) for rest in product((1.0, -1.0), repeat=n - 1)])
    return np.random.default_rng(seed).choice([-1.0, 1.0], (_FLIPS, n))


def _critical(residuals: Floats, signs: Floats, level: float) -> float:
    """Quantile of max |t| over records when whole residual curves change sign."""
    n = len(residuals)
    square = (residuals**2).mean(axis=0)
    varying = square > 0
    if not varying.any():
        return 0.0
    mean = signs @ residuals[:, varying] / n
    # Flipping keeps squares, so the variance of a flipped sample follows from its mean alone.
    share = np.minimum(mean**2 / square[varying], 1 - 1e-12)
    largest = np.sqrt(share / (1 - share) * (n - 1)).max(axis=1)
    return float(np.quantile(largest, level, method="higher"))
