"""Creates the recordings of a store: preallocated with NaN, visible only when whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.core.group import GroupMetadata
from zarr.core.metadata import ArrayV3Metadata

from recorders.contract import (
    COMMITS,
    MANIFEST,
    ORDERS,
    QUANTILES,
    SCHEMA_VERSION,
    TARGETS,
    InputError,
    Status,
    Variable,
    owning_layer,
)
from recorders.store.disk import disk_errors
from recorders.store.documents import array_metadata, attributes_of, write_group
from recorders.store.layout import Layout
from recorders.store.lock import root_lock
from recorders.store.manifest import stored_chunks
from recorders.store.root import drop_consolidated, note_schema, open_root
from recorders.store.stored_names import (
    ACTIVATION_SOURCE,
    MASK_SOURCE,
    MASKS,
    PARAMETER_COORDINATES,
    REMARKS,
    mask_array,
)

STATE = ("status", "status_reason", REMARKS, "initial_weights", "records_written", "updates_written", COMMITS)
_STATE_OF = {
    "status": "state of the run",
    "status_reason": "why the run diverged or failed",
    REMARKS: "what a reader of the run should know",
    "initial_weights": "SHA-256 of the dense initial weights (equal: paired runs)",
    "records_written": "records committed so far",
    "updates_written": "mask updates committed so far",
    COMMITS: "checksums of what is committed",
}


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
        fixed, state = _coordinates(layout), _state(layout)
        nodes: dict[str, Any] = {column.name: column.metadata for column in (*fixed, *state)}
        nodes |= {v.name: series_metadata(v, layout.sizes, layout.chunks(v.dims)) for v in layout.variables}
        nodes |= mask_nodes(layout.parameters, len(layout.runs))
        for _ in group.create_hierarchy(nodes):  # all at once: one by one takes a large network minutes
            pass
        write_group(temporary / MASKS, {}, MASKS)
        for column in state:
            group[column.name][:] = column.values  # type: ignore[index]
        with zarr.config.set({"array.write_empty_chunks": True}):  # what is always there is missed by all readers
            for column in fixed:
                group[column.name][:] = column.values  # type: ignore[index]
        write_group(
            temporary,
            {
                "burden_schema": SCHEMA_VERSION,
                "coordinates": " ".join(_coordinate_names(layout)),
                "sample_every": layout.sample_every,
                "config": json.dumps(config),
                "provenance": json.dumps(provenance),
                MANIFEST: stored_chunks(temporary, nodes, final=[column.name for column in fixed]),
            },
        )
        with root_lock(store):  # the root's consolidated metadata, if any, would not know this recording
            drop_consolidated(store)
            note_schema(store)
            temporary.rename(final)


def note_resumption(store: Path, name: str, provenance: Mapping[str, Any]) -> None:
    """Add to a recording's provenance that unfinished runs were taken up again: when, where and by which command."""
    with disk_errors(store / name):
        attributes = attributes_of(store / name)
        about = json.loads(str(attributes["provenance"]))
        about["resumed"] = [*about.get("resumed", []), dict(provenance)]
        write_group(store / name, attributes | {"provenance": json.dumps(about)})


def series_metadata(series: Variable, sizes: Mapping[str, int], chunks: tuple[int, ...]) -> ArrayV3Metadata:
    """Describe a float variable that is NaN until it is written; chunks that are never written cost no file."""
    return array_metadata(
        series.name,
        shape=tuple(sizes[d] for d in series.dims),
        kind=series.dtype,
        chunks=chunks,
        dims=series.dims,
        fill="NaN",
        attributes={
            "long_name": series.long_name,
            "units": series.units,
            "documentation": series.documentation,
            **({"combine": series.combine} if series.combine else {}),
        },
    )


def _coordinate_names(layout: Layout) -> list[str]:
    return [*layout.runs[0], "step", "epoch", *PARAMETER_COORDINATES]


@dataclass(frozen=True)
class _Column:
    """An array whose values are known when the recording is made."""

    name: str
    values: npt.NDArray[Any]
    metadata: ArrayV3Metadata


def _column(
    name: str,
    dims: str | tuple[str, ...],
    values: Sequence[Any] | npt.NDArray[Any],
    long_name: str,
    units: str = "1",
    chunks: tuple[int, ...] | None = None,
) -> _Column:
    text = isinstance(values[0], str) or np.asarray(values).dtype == object
    data = np.array(values, dtype=object) if text else np.asarray(values)
    metadata = array_metadata(
        name,
        shape=data.shape,
        kind="string" if text else data.dtype.name,
        chunks=chunks or data.shape,
        dims=dims if isinstance(dims, tuple) else (dims,),
        fill="" if text else False if data.dtype == bool else 0,
        attributes={"long_name": long_name, "units": units, "documentation": "docs/store.md"},
    )
    return _Column(name, data, metadata)


def _state(layout: Layout) -> list[_Column]:
    """List what is written again and again, one chunk a run."""
    runs, sizes = len(layout.runs), layout.sizes
    first = {"status": Status.PLANNED.value, "records_written": 0, "updates_written": 0}
    units = {"records_written": "records", "updates_written": "updates"}
    columns = [
        _column(name, "run", [first.get(name, "")] * runs, _STATE_OF[name], units.get(name, "1"), (1,))
        for name in STATE
    ]
    for name, dim, text in (
        (MASK_SOURCE, "parameter", "where the masks came from; empty: there were none"),
        (ACTIVATION_SOURCE, "layer", "what activation_rms is of, or why it is NaN"),
    ):
        if sizes[dim]:
            empty = np.full((runs, sizes[dim]), "", object)
            columns.append(_column(name, ("run", dim), empty, text, chunks=(1, sizes[dim])))
    return columns


def commits_metadata(runs: int) -> ArrayV3Metadata:
    """Describe the array in which runs tell what they committed."""
    return _column(COMMITS, "run", [""] * runs, _STATE_OF[COMMITS], chunks=(1,)).metadata


def _coordinates(layout: Layout) -> list[_Column]:
    """List what never changes."""
    steps, parameters = layout.steps, layout.parameters
    names = list(parameters)
    columns: list[tuple[Any, ...]] = [
        *(
            (key, "run", [run[key] for run in layout.runs], f"{key.replace('_', ' ')} of the run")
            for key in layout.runs[0]
        ),
        ("step", "record", steps, "optimiser steps done", "steps"),
        ("epoch", "record", steps / layout.steps_per_epoch, "epochs done", "epochs"),
        ("parameter", "parameter", names, "prunable tensor"),
        ("parameter_layer", "parameter", [owning_layer(n) for n in names], "module that owns the tensor"),
        ("parameter_size", "parameter", [int(np.prod(s)) for s in parameters.values()], "weights", "weights"),
        ("layer", "layer", list(layout.layers), "hidden layer"),
    ]
    if layout.probed:
        columns += [
            ("target", "target", TARGETS, "what outputs are compared with"),
            ("order", "order", ORDERS, "what a mask update does first"),
            ("quantile", "quantile", QUANTILES, "quantile over the units of a layer"),
        ]
    return [_column(*column) for column in columns if len(column[2])]


def mask_nodes(shapes: Mapping[str, tuple[int, ...]], runs: int) -> dict[str, Any]:
    """Describe the arrays of the final masks, by path."""
    nodes: dict[str, Any] = {MASKS: GroupMetadata()}
    for name, shape in shapes.items():
        path = f"{MASKS}/{mask_array(name)}"
        nodes[path] = _mask_metadata(path, name, (runs, *shape))
    return nodes


def _mask_metadata(path: str, name: str, shape: tuple[int, ...]) -> ArrayV3Metadata:
    """Describe the array of a tensor's final masks, one run a chunk; True, active, where nothing is written."""
    return array_metadata(
        path,
        shape=shape,
        kind="bool",
        chunks=(1, *shape[1:]),
        dims=("run", *(f"{name}:{axis}" for axis in range(len(shape) - 1))),
        fill=True,
        attributes={
            "parameter": name,
            "long_name": f"final mask of {name} (True: active)",
            "units": "1",
            "documentation": "docs/store.md",
        },
    )
