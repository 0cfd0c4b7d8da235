"""What writer and reader agree on: the variables of a store, its schema version, run states and errors.

This is the only part of `recorders` that `burden_analysis` and `reports` may import; it imports neither torch nor zarr.
"""

from recorders.contract.config import SECTIONS, flat_config, short_name
from recorders.contract.errors import BurdenError, InputError, RunError, unknown_name
from recorders.contract.parameters import magnitudes, owning_layer
from recorders.contract.printable import one_line, printable, shortened
from recorders.contract.terms import LOADS, ORDERS, PARTS, QUANTILES, TARGETS, TERMS
from recorders.contract.variables import (
    COMBINATIONS,
    MEASURED,
    PROBED,
    SCHEMA_VERSION,
    SERIES,
    UPDATE_NORM,
    Status,
    Variable,
    base_name,
    interval_mean,
    mean_name,
    variable,
)

__all__ = [
    "COMBINATIONS",
    "LOADS",
    "MEASURED",
    "ORDERS",
    "PARTS",
    "PROBED",
    "QUANTILES",
    "SCHEMA_VERSION",
    "SECTIONS",
    "SERIES",
    "TARGETS",
    "TERMS",
    "UPDATE_NORM",
    "BurdenError",
    "InputError",
    "RunError",
    "Status",
    "Variable",
    "base_name",
    "flat_config",
    "interval_mean",
    "magnitudes",
    "mean_name",
    "one_line",
    "owning_layer",
    "printable",
    "short_name",
    "shortened",
    "unknown_name",
    "variable",
]
