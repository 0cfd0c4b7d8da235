"""What a mask update is decomposed into, said once: names in storage order, and what each is in words.

The study's eq. (5) and what follows from it; docs/burden.md derives them.
"""

from __future__ import annotations

TERMS = {
    "fit": "error of the output before the mask update",
    "compensation": "squared change of the output by the mask update",
    "covariance": "twice the inner product of error and change (signed)",
    "new_fit": "error of the output after the mask update",
    "burden": "compensation / (fit + compensation)",
}
PARTS = {
    "lost": "squared change of the output by the weights that were pruned",
    "regained": "squared change of the output by the weights that returned",
    "recovered": "share of the loss that returning weights made up for",
}
# Each with its units; quantiles over the units of a hidden layer.
LOADS = {
    "load_inputs": ("active inputs of a hidden unit, quantile over units", "weights"),
    "load_weight_norm": ("L2 norm of a hidden unit's active input weights, quantile over units", "1"),
    "load_activation": ("mean absolute activation of a hidden unit, quantile over units", "1"),
}
TARGETS = ("labels", "dense")
ORDERS = ("pruned_first", "returned_first", "mean")
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
