"""Tests and estimates on plain arrays: exact where they can be, seeded and with their error stated where they cannot.

Rows are blocks (seeds), columns are treatments (strategies, sparsities). A row with a missing value is left out and
counted.
"""

from burden_analysis.statistics.estimates.band import Band, simultaneous_band
from burden_analysis.statistics.estimates.effect_size import EffectSize, cliffs_delta, interquartile_mean, rank_biserial
from burden_analysis.statistics.estimates.interval import Interval, resampling_interval
from burden_analysis.statistics.estimates.paired import Estimate, mean_difference, one_sided_p, ratio_of_geometric_means
from burden_analysis.statistics.estimates.shift import hodges_lehmann, hodges_lehmann_two_sample
from burden_analysis.statistics.holm import holm
from burden_analysis.statistics.power.page import PagePower, page_blocks_needed, page_power
from burden_analysis.statistics.power.paired import detectable_delta, detectable_difference, paired_power, pairs_needed
from burden_analysis.statistics.result import PermutationResult
from burden_analysis.statistics.significance.brunner_munzel import brunner_munzel
from burden_analysis.statistics.significance.equivalence import Equivalence, tost, tost_two_sample
from burden_analysis.statistics.significance.friedman import friedman_attainable_p, friedman_exact, kendalls_w
from burden_analysis.statistics.significance.interaction import Interaction, interaction
from burden_analysis.statistics.significance.jonckheere import jonckheere_terpstra
from burden_analysis.statistics.significance.max_t import MaxT, max_t
from burden_analysis.statistics.significance.page import page_attainable_p, page_joint, page_trend
from burden_analysis.statistics.significance.sign_flip import sign_flip, sign_flip_attainable_p

__all__ = [
    "Band",
    "EffectSize",
    "Equivalence",
    "Estimate",
    "Interaction",
    "Interval",
    "MaxT",
    "PagePower",
    "PermutationResult",
    "brunner_munzel",
    "cliffs_delta",
    "detectable_delta",
    "detectable_difference",
    "friedman_attainable_p",
    "friedman_exact",
    "hodges_lehmann",
    "hodges_lehmann_two_sample",
    "holm",
    "interaction",
    "interquartile_mean",
    "jonckheere_terpstra",
    "kendalls_w",
    "max_t",
    "mean_difference",
    "one_sided_p",
    "page_attainable_p",
    "page_blocks_needed",
    "page_joint",
    "page_power",
    "page_trend",
    "paired_power",
    "pairs_needed",
    "rank_biserial",
    "ratio_of_geometric_means",
    "resampling_interval",
    "sign_flip",
    "sign_flip_attainable_p",
    "simultaneous_band",
    "tost",
    "tost_two_sample",
]
