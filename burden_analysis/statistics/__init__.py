"""Tests and estimates on plain arrays: exact where they can be, seeded and with their error stated where they cannot.

Rows are blocks (seeds), columns are treatments (strategies, sparsities). A row with a missing value is left out and
counted.
"""

from burden_analysis.statistics.detectable import detectable_difference
from burden_analysis.statistics.friedman import friedman_attainable_p, friedman_exact, kendalls_w
from burden_analysis.statistics.holm import holm
from burden_analysis.statistics.page import page_attainable_p, page_joint, page_trend
from burden_analysis.statistics.paired import Estimate, mean_difference, one_sided_p, ratio_of_geometric_means
from burden_analysis.statistics.result import PermutationResult
from burden_analysis.statistics.sign_flip import sign_flip, sign_flip_attainable_p

__all__ = [
    "Estimate",
    "PermutationResult",
    "detectable_difference",
    "friedman_attainable_p",
    "friedman_exact",
    "holm",
    "kendalls_w",
    "mean_difference",
    "one_sided_p",
    "page_attainable_p",
    "page_joint",
    "page_trend",
    "ratio_of_geometric_means",
    "sign_flip",
    "sign_flip_attainable_p",
]
