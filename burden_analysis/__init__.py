"""READ: open stores, aggregate indicators, test orders, judge claims.

Names are imported on first use: `import burden_analysis` must import neither scipy, statsmodels nor xarray.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from burden_analysis.accuracies import accuracy_table as accuracy_table
    from burden_analysis.claims import Claims as Claims
    from burden_analysis.claims import check_claims as check_claims
    from burden_analysis.comparison import Comparison as Comparison
    from burden_analysis.comparison import compare_sparsities as compare_sparsities
    from burden_analysis.comparison import compare_strategies as compare_strategies
    from burden_analysis.compression import compression_effect as compression_effect
    from burden_analysis.compression_result import CompressionEffect as CompressionEffect
    from burden_analysis.curves import separation as separation
    from burden_analysis.decomposition import burden_decomposition as burden_decomposition
    from burden_analysis.endpoints import endpoint as endpoint
    from burden_analysis.equivalence import EquivalenceResult as EquivalenceResult
    from burden_analysis.equivalence import equivalent as equivalent
    from burden_analysis.growth import LateGrowth as LateGrowth
    from burden_analysis.growth import late_growth as late_growth
    from burden_analysis.indicators import INDICATORS as INDICATORS
    from burden_analysis.indicators import cumulative_mean as cumulative_mean
    from burden_analysis.indicators import global_norm as global_norm
    from burden_analysis.indicators import per_active_weight as per_active_weight
    from burden_analysis.indicators import series as series
    from burden_analysis.multiverse import Robustness as Robustness
    from burden_analysis.multiverse import robustness as robustness
    from burden_analysis.power import detectable_effect as detectable_effect
    from burden_analysis.power import seeds_needed as seeds_needed
    from burden_analysis.probe import PROBE_INDICATORS as PROBE_INDICATORS
    from burden_analysis.published import published_tables as published_tables
    from burden_analysis.study import missing_runs as missing_runs
    from burden_analysis.study import open_study as open_study

_HOME = {
    "accuracy_table": "accuracies",
    "Comparison": "comparison",
    "compare_sparsities": "comparison",
    "compare_strategies": "comparison",
    "CompressionEffect": "compression_result",
    "compression_effect": "compression",
    "separation": "curves",
    "INDICATORS": "indicators",
    "PROBE_INDICATORS": "probe",
    "burden_decomposition": "decomposition",
    "cumulative_mean": "indicators",
    "endpoint": "endpoints",
    "global_norm": "indicators",
    "per_active_weight": "indicators",
    "series": "indicators",
    "published_tables": "published",
    "Claims": "claims",
    "check_claims": "claims",
    "EquivalenceResult": "equivalence",
    "equivalent": "equivalence",
    "LateGrowth": "growth",
    "late_growth": "growth",
    "Robustness": "multiverse",
    "robustness": "multiverse",
    "detectable_effect": "power",
    "seeds_needed": "power",
    "missing_runs": "study",
    "open_study": "study",
}

__all__ = [
    "INDICATORS",
    "PROBE_INDICATORS",
    "Claims",
    "Comparison",
    "CompressionEffect",
    "EquivalenceResult",
    "LateGrowth",
    "Robustness",
    "accuracy_table",
    "burden_decomposition",
    "check_claims",
    "compare_sparsities",
    "compare_strategies",
    "compression_effect",
    "cumulative_mean",
    "detectable_effect",
    "endpoint",
    "equivalent",
    "global_norm",
    "late_growth",
    "missing_runs",
    "open_study",
    "per_active_weight",
    "published_tables",
    "robustness",
    "seeds_needed",
    "separation",
    "series",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"burden_analysis.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
