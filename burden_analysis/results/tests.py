"""The tests that the rows of tables name."""

from __future__ import annotations

from burden_analysis.results.worded import Worded


class Test(Worded):
    """Which test a row is of."""

    PAGE_JOINT = "page_joint", "Page's L, joint"
    PAGE = "page", "Page's L"
    PAGE_RISES = "page_rises", "Page's L: rises, one-sided"
    PAGE_FALLS = "page_falls", "Page's L: falls, one-sided"
    FRIEDMAN = "friedman", "Friedman's χ²"
    FRIEDMAN_SLOPES = "friedman_slopes", "Friedman over per-seed slopes"
    FRIEDMAN_RATIOS = "friedman_ratios", "Friedman"
    MIXED_MODEL = "mixed_model", "mixed model"
    PAIRED_T = "paired_t", "paired t, one-sided"
    T_INTERVAL = "t_interval", "t interval"
    SIGN_FLIP = "sign_flip", "sign flip, two-sided"
    SIGN_FLIP_ABOVE = "sign_flip_above", "sign flip, one-sided"
    JONCKHEERE_JOINT = "jonckheere_joint", "Jonckheere–Terpstra, joint"
    JONCKHEERE = "jonckheere", "Jonckheere–Terpstra"
    BRUNNER_MUNZEL = "brunner_munzel", "Brunner–Munzel, two-sided"
    BRUNNER_MUNZEL_BELOW = "brunner_munzel_below", "Brunner–Munzel, one-sided"
    TOST = "tost", "TOST, paired t"
    TOST_WELCH = "tost_welch", "TOST, Welch's t"
    WILCOXON = "wilcoxon", "Wilcoxon signed-rank, two-sided"
    RELABELLING = "relabelling", "relabelling, one-sided"
    NONE = "none"
