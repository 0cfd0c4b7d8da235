"""Reads one recording of a study into memory, up to what its writers have committed.

Arrays are read straight through zarr, one read each: 45 runs x 2 000 records take half the time of xarray's backend.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr
from zarr.errors import GroupNotFoundError

from recorders.contract import SCHEMA_VERSION, InputError, flat_config

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARKS = {"record": "records_written", "update": "updates_written"}  # by dimension, one count per run
_ATTEMPTS = 3  # a swap lasts two renames: whoever is caught by three of them reads a store that is being rewritten

Array = npt.NDArray[Any]


def check_schema(group: zarr.Group, what: str) -> None:
    """Refuse a group that is not ours or is newer than we are."""
    schema = group.attrs.get("burden_schema")
    if not isinstance(schema, int):
        raise InputError(f"{what} is a zarr group, but was not written by burden-analysis (no 'burden_schema')")
    if schema > SCHEMA_VERSION:
        raise InputError(
            f"{what} has schema {schema}, this version reads up to {SCHEMA_VERSION}: upgrade burden-analysis"
        )


def read_recording(root: zarr.Group, name: str) -> xr.Dataset:
    """Read a recording that other processes may be writing."""
    for _ in range(_ATTEMPTS):
        group = _open(root, name)
        check_schema(group, f"recording {name!r} of {root.store_path}")
        try:
            dataset = _read(group)
        except Exception:
            if _unchanged(root, name, group):
                raise
            continue
        # A compaction may have replaced the chunks under our reads; it replaces the attributes too.
        if _unchanged(root, name, group):
            return dataset
    raise InputError(f"recording {name!r} of {root.store_path} is being rewritten: try again")


def _open(root: zarr.Group, name: str) -> zarr.Group:
    for path in (name, f".{name}.old", name):  # the third look catches a swap that ended between the first two
        try:
            return zarr.open_group(root.store, path=f"{root.path}/{path}".strip("/"), mode="r", zarr_format=3)
        except GroupNotFoundError:
            continue
    raise InputError(f"{root.store_path} has no recording {name!r} any more: it was removed while being opened")


def _unchanged(root: zarr.Group, name: str, group: zarr.Group) -> bool:
    now = _open(root, name)
    return now.path == group.path and now.attrs.asdict() == group.attrs.asdict()


def _read(group: zarr.Group) -> xr.Dataset:
    arrays = dict(group.arrays())
    # The commit marks come first: whatever is read after them is at least as new.
    marks = {dim: np.asarray(arrays[name][:]) for dim, name in _MARKS.items() if name in arrays}
    used = {dim: int(mark.max(initial=0)) for dim, mark in marks.items()}
    variables = {key: _variable(array, used) for key, array in arrays.items()}
    for dim, mark in marks.items():
        variables[_MARKS[dim]] = variables[_MARKS[dim]].copy(data=mark)
        _blank(variables, dim, mark)
    listed = str(group.attrs.get("coordinates", "")).split()
    coords = {k: v for k, v in variables.items() if k in listed or v.dims == (k,)}
    data = {k: v for k, v in variables.items() if k not in coords}
    config, provenance = (_decoded(group.attrs.get(key)) for key in ("config", "provenance"))
    return xr.Dataset(data, coords, {"config": flat_config(config), "provenance": provenance})


def _variable(array: zarr.Array[Any], used: Mapping[str, int]) -> xr.Variable:
    dims = tuple(str(d) for d in getattr(array.metadata, "dimension_names", None) or ())
    values = np.asarray(array[tuple(slice(used.get(d)) for d in dims)])
    if values.dtype.kind in "OT":
        values = np.array(values.tolist(), dtype=str)  # one kind of text, whatever zarr makes of it
    attrs = {k: v for k, v in array.attrs.items() if k not in ("_FillValue", "coordinates")}
    return xr.Variable(dims, values, attrs)


def _blank(variables: Mapping[str, xr.Variable], dim: str, written: Array) -> None:
    """Set what a run has not committed along `dim` to NaN."""
    for variable in variables.values():
        if variable.dims[:2] == ("run", dim):
            for run in np.flatnonzero(written < variable.shape[1]):
                variable.values[run, written[run] :] = np.nan


def _decoded(attribute: Any) -> Any:
    return json.loads(attribute) if isinstance(attribute, str) else attribute or {}


def as_mapping(dataset: xr.Dataset) -> dict[str, Any]:
    """Config and provenance of a recording, as `open_study` keeps them."""
    return {"config": dataset.attrs["config"], "provenance": dataset.attrs["provenance"]}
