"""The claims of the study and the defensible readings of each (docs/statistics.md). Imports nothing heavy."""

from __future__ import annotations

ORDER = ("iterative", "optimal", "random")
"""Claim C1, from the lowest gradient magnitude to the highest."""

GRADIENT_MAGNITUDES = (
    "gradient_mean_abs_mean",
    "gradient_rms_mean",
    "gradient_norm_mean",
    "dense_gradient_norm_mean",
)
"""Readings of "gradient magnitude", of interval means: they use every step. The first is the headline."""

WEIGHT_NORMS = ("weight_norm_mean", "weight_rms_mean", "weight_mean_abs_mean")
"""Readings of "weight norm" of the surviving weights. The first is the headline."""

SCALES = ("log", "raw")
STATEMENTS = {
    "C1": "gradient magnitude is ordered iterative < optimal < random",
    "C2": "the norm of surviving weights grows late in training under iterative pruning, more than in optimal",
    "C3": "compressing the input makes highly sparse networks more accurate",
}
