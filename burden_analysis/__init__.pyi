from .claims.check import Claims as Claims
from .claims.check import check_claims as check_claims
from .claims.late_growth import LateGrowth as LateGrowth
from .claims.late_growth import late_growth as late_growth
from .claims.robustness import Robustness as Robustness
from .claims.robustness import robustness as robustness
from .comparison.compare import compare_sparsities as compare_sparsities
from .comparison.compare import compare_strategies as compare_strategies
from .comparison.equivalence import EquivalenceResult as EquivalenceResult
from .comparison.equivalence import equivalent as equivalent
from .comparison.power import detectable_effect as detectable_effect
from .comparison.power import seeds_needed as seeds_needed
from .comparison.result import Comparison as Comparison
from .comparison.separation import separation as separation
from .compression.accuracies import accuracy_table as accuracy_table
from .compression.accuracies import published_tables as published_tables
from .compression.effect import compression_effect as compression_effect
from .compression.result import CompressionEffect as CompressionEffect
from .indicators.burden import burden_decomposition as burden_decomposition
from .indicators.cumulative_mean import cumulative_mean as cumulative_mean
from .indicators.endpoints import endpoint as endpoint
from .indicators.global_norm import global_norm as global_norm
from .indicators.mask_updates import PROBE_INDICATORS as PROBE_INDICATORS
from .indicators.per_active_weight import per_active_weight as per_active_weight
from .indicators.series import INDICATORS as INDICATORS
from .indicators.series import series as series
from .study.missing_runs import missing_runs as missing_runs
from .study.opening import open_study as open_study

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
