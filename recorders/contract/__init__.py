"""What writer and reader agree on: the variables of a store, its schema version, run states and errors.

This is the only part of `recorders` that `burden_analysis` and `reports` may import; it imports neither torch nor zarr.
"""

from recorders.contract.checksums import (
    ABSENT,
    CHECKSUM,
    COMMITS,
    MANIFEST,
    TEXTS,
    Commit,
    chunk_checksums,
    is_altered,
    is_whole_file,
    listed_checksum,
    plain_nans,
    row_checksums,
    sealed,
    sealed_file,
    text_checksum,
)
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
    "ABSENT",
    "CHECKSUM",
    "COMBINATIONS",
    "COMMITS",
    "LOADS",
    "MANIFEST",
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
    "TEXTS",
    "UPDATE_NORM",
    "BurdenError",
    "Commit",
    "InputError",
    "RunError",
    "Status",
    "Variable",
    "base_name",
    "chunk_checksums",
    "flat_config",
    "interval_mean",
    "is_altered",
    "is_whole_file",
    "listed_checksum",
    "magnitudes",
    "mean_name",
    "one_line",
    "owning_layer",
    "plain_nans",
    "printable",
    "row_checksums",
    "sealed",
    "sealed_file",
    "short_name",
    "shortened",
    "text_checksum",
    "unknown_name",
    "variable",
]
