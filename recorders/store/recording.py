"""Creates the recordings of a store: preallocated with NaN, visible only when whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import ZstdCodec
from zarr.core.group import GroupMetadata
from zarr.core.metadata import ArrayV3Metadata

from recorders.contract import ORDERS, QUANTILES, SCHEMA_VERSION, TARGETS, InputError, Status, Variable, owning_layer
from recorders.store.disk import disk_errors
from recorders.store.layout import Layout
from recorders.store.lock import root_lock
from recorders.store.root import drop_consolidated, note_schema, open_root
from recorders.store.stored_names import (
    ACTIVATION_SOURCE,
    MASK_SOURCE,
    MASKS,
    PARAMETER_COORDINATES,
    REMARKS,
    mask_array,
)

COMPRESSOR = ZstdCodec(level=0, checksum=True)


def create_recording(
    store: Path, name: str, layout: Layout, *, config: Mapping[str, Any], provenance: Mapping[str, Any]
) -> None:
    """Preallocate a recording, visible only when whole."""
    open_root(store, create=True)
    final, temporary = store / name, store / f".{name}.tmp"
    if final.exists():
        raise InputError(f"{store} already holds a recording {name!r}: choose another name, or overwrite or resume it")
    with disk_errors(store):
        shutil.rmtree(temporary, ignore_errors=True)
        group = zarr.open_group(temporary, mode="w", zarr_format=3)
        _write_coordinates(group, layout)
        for series in layout.variables:
            create_series(group, series, layout.sizes, layout.chunks(series.dims))
        create_masks(group, layout.parameters, len(layout.runs))
        group.attrs.update(
            {
                "burden_schema": SCHEMA_VERSION,
                "coordinates": " ".join(_coordinate_names(layout)),
                "sample_every": layout.sample_every,
                "config": json.dumps(config),
                "provenance": json.dumps(provenance),
            }
        )
        with root_lock(store):  # the root's consolidated metadata, if any, would not know this recording
            drop_consolidated(store)
            note_schema(store)
            temporary.rename(final)


def note_resumption(store: Path, name: str, provenance: Mapping[str, Any]) -> None:
    """Add to a recording's provenance that unfinished runs were taken up again: when, where and by which command."""
    with disk_errors(store / name):
        group = zarr.open_group(store / name, mode="r+", use_consolidated=False)
        about = json.loads(str(group.attrs["provenance"]))
        about["resumed"] = [*about.get("resumed", []), dict(provenance)]
        group.attrs["provenance"] = json.dumps(about)


def create_series(
    group: zarr.Group, series: Variable, sizes: Mapping[str, int], chunks: tuple[int, ...]
) -> zarr.Array[Any]:
    """Preallocate one float variable with NaN; chunks that are never written cost no file."""
    return group.create_array(
        series.name,
        shape=tuple(sizes[d] for d in series.dims),
        dtype=series.dtype,
        chunks=chunks,
        dimension_names=series.dims,
        fill_value=np.nan,
        compressors=COMPRESSOR,
        attributes={
            "long_name": series.long_name,
            "units": series.units,
            "documentation": series.documentation,
            **({"combine": series.combine} if series.combine else {}),
        },
    )


def _coordinate_names(layout: Layout) -> list[str]:
    return [*layout.runs[0], "step", "epoch", *PARAMETER_COORDINATES]


def _write_coordinates(group: zarr.Group, layout: Layout) -> None:
    def put(
        name: str,
        dims: str | tuple[str, ...],
        values: Sequence[Any] | npt.NDArray[Any],
        long_name: str,
        units: str = "1",
        chunk: int | tuple[int, ...] | None = None,
    ) -> None:
        if not len(values):
            return
        text = isinstance(values[0], str) or np.asarray(values).dtype == object
        data = np.array(values, dtype=object) if text else np.asarray(values)
        array = group.create_array(
            name,
            shape=data.shape,
            dtype=str if text else data.dtype,
            chunks=chunk if isinstance(chunk, tuple) else (chunk or len(values),),
            dimension_names=dims if isinstance(dims, tuple) else (dims,),
            fill_value="" if text else 0,
            compressors=COMPRESSOR,
            attributes={"long_name": long_name, "units": units, "documentation": "docs/store.md"},
        )
        array[:] = data

    for key in layout.runs[0]:
        put(key, "run", [run[key] for run in layout.runs], f"{key.replace('_', ' ')} of the run")
    runs = len(layout.runs)
    put("status", "run", [Status.PLANNED.value] * runs, "state of the run", chunk=1)
    put("status_reason", "run", [""] * runs, "why the run diverged or failed", chunk=1)
    put(REMARKS, "run", [""] * runs, "what a reader of the run should know", chunk=1)
    put("initial_weights", "run", [""] * runs, "SHA-256 of the dense initial weights (equal: paired runs)", chunk=1)
    put("records_written", "run", [0] * runs, "records committed so far", "records", chunk=1)
    put("updates_written", "run", [0] * runs, "mask updates committed so far", "updates", chunk=1)
    steps = layout.steps
    put("step", "record", steps, "optimiser steps done", "steps")
    put("epoch", "record", steps / layout.steps_per_epoch, "epochs done", "epochs")
    names, sizes = list(layout.parameters), layout.sizes
    for name, dim, text in (
        (MASK_SOURCE, "parameter", "where the masks came from; empty: there were none"),
        (ACTIVATION_SOURCE, "layer", "what activation_rms is of, or why it is NaN"),
    ):
        if sizes[dim]:
            put(name, ("run", dim), np.full((runs, sizes[dim]), "", object), text, chunk=(1, sizes[dim]))
    put("parameter", "parameter", names, "prunable tensor")
    put("parameter_layer", "parameter", [owning_layer(n) for n in names], "module that owns the tensor")
    put("parameter_size", "parameter", [int(np.prod(s)) for s in layout.parameters.values()], "weights", "weights")
    put("layer", "layer", list(layout.layers), "hidden layer")
    if layout.probed:
        put("target", "target", TARGETS, "what outputs are compared with")
        put("order", "order", ORDERS, "what a mask update does first")
        put("quantile", "quantile", QUANTILES, "quantile over the units of a layer")


def create_masks(group: zarr.Group, shapes: Mapping[str, tuple[int, ...]], runs: int) -> None:
    """Make room for the final masks, for all at once: one by one takes a large network minutes."""
    nodes: dict[str, Any] = {MASKS: GroupMetadata()}
    for name, shape in shapes.items():
        nodes[f"{MASKS}/{mask_array(name)}"] = _mask_metadata(name, (runs, *shape))
    for _ in group.create_hierarchy(nodes):
        pass


def _mask_metadata(name: str, shape: tuple[int, ...]) -> ArrayV3Metadata:
    """Describe the array of a tensor's final masks, one run a chunk; True, active, where nothing is written."""
    return ArrayV3Metadata.from_dict(
        {
            "zarr_format": 3,
            "node_type": "array",
            "shape": shape,
            "data_type": "bool",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": (1, *(max(1, n) for n in shape[1:]))}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": True,
            "codecs": ({"name": "bytes"}, COMPRESSOR.to_dict()),
            "dimension_names": ("run", *(f"{name}:{axis}" for axis in range(len(shape) - 1))),
            "attributes": {
                "parameter": name,
                "long_name": f"final mask of {name} (True: active)",
                "units": "1",
                "documentation": "docs/store.md",
            },
        }
    )
