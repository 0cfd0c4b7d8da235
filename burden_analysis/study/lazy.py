"""Series as dask arrays: what is read when it is computed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from recorders.contract import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from burden_analysis.study.recording import Array, Source

_DIMS = ("run", "record", "update", "parameter", "layer", "target", "order", "quantile")


def check_chunks(chunks: Any) -> None:
    """Refuse chunks that are no lengths by dimension, and any where dask is missing."""
    if chunks is None:
        return
    if not isinstance(chunks, Mapping):
        raise InputError(
            f"chunks is {chunks!r}: pass None for values in memory, {{}} for the store's own chunks, or lengths by "
            "dimension such as {'record': 500}"
        )
    if unknown := [dim for dim in chunks if dim not in _DIMS]:
        raise InputError(f"chunks has the dimension {unknown[0]!r}: choose from {', '.join(_DIMS)}")
    try:
        import dask.array  # noqa: F401
    except ImportError as error:
        raise InputError(
            "chunks needs dask, which is not installed: pip install 'burden-analysis[lazy]', or leave chunks out"
        ) from error


def lazy_array(source: Source, dims: Sequence[str], chunks: Mapping[str, Any]) -> Any:
    """Make a dask array whose blocks are read from a source."""
    import dask.array

    da: Any = dask.array  # without types
    stored = da.core.normalize_chunks(source.chunks, source.shape)
    asked = tuple(chunks.get(dim, own) for dim, own in zip(dims, stored, strict=True))
    try:
        blocks = da.core.normalize_chunks(asked, source.shape, dtype=source.dtype, previous_chunks=stored)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"chunks {dict(chunks)} do not fit dimensions {dict(zip(dims, source.shape, strict=True))}: {error}"
        ) from error
    return da.map_blocks(
        partial(_block, source),
        chunks=blocks,
        dtype=source.dtype,
        meta=np.empty((0,) * len(source.shape), source.dtype),
        name=f"study-{uuid.uuid4().hex}",
    )


def _block(source: Source, block_info: Any = None) -> Array:
    return source.read([slice(start, stop) for start, stop in block_info[None]["array-location"]])
