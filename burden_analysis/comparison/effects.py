"""Paired effects on the scale of a comparison: ratios on the log scale, differences on the raw one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from burden_analysis.statistics import detectable_difference, mean_difference, ratio_of_geometric_means
from burden_analysis.statistics.estimates.paired import antilog
from burden_analysis.statistics.ranks import last_digit

if TYPE_CHECKING:
    from burden_analysis.results.question import Question
    from burden_analysis.statistics import Estimate

Floats = npt.NDArray[np.float64]

SPARSITY_STEP = 0.1  # slopes are told for a sparsity that is higher by this


def paired_effect(lower: Floats, higher: Floats, asked: Question) -> Estimate:
    """Estimate higher / lower, or higher − lower."""
    if asked.scale == "log":
        return ratio_of_geometric_means(higher, lower, level=asked.level)
    return mean_difference(higher - lower, level=asked.level)


def slopes_over_sparsity(sparsities: Floats, values: Floats) -> Floats:
    """Least-squares slope per seed, per `SPARSITY_STEP`."""
    unit = last_digit(np.where(np.isfinite(values), values, 0.0).ravel())
    whole = np.round(values / unit)
    centred = sparsities - sparsities.mean()  # does not add up to 0: a constant would have a slope of rounding errors
    return np.asarray(SPARSITY_STEP * unit * ((whole - whole[..., :1]) @ centred) / (centred @ centred))


def detectable(estimate: Estimate, asked: Question) -> float:
    """Smallest effect that a paired t test with these seeds and this spread sees with 80 % power."""
    difference = detectable_difference(estimate.sd, estimate.n, alpha=asked.alpha)
    return antilog(difference) if asked.scale == "log" else difference
