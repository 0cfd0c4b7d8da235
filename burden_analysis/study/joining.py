"""Joins recordings: different ones on one grid, padded with NaN; continuations of a run one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, chain
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from recorders.contract import InputError

LABELLED = ("target", "order", "quantile")  # dimensions of the mask probe, the same in every recording

Index = Mapping[str, npt.NDArray[np.intp]]


def union(parts: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Concatenate recordings along `run`, with an outer join on everything else."""
    datasets = list(parts.values())
    index, sizes = _grid(datasets)
    names = dict.fromkeys(chain.from_iterable(d.variables for d in datasets))
    joined = {str(name): _placed(str(name), parts, index, sizes) for name in names}
    coords = {str(name) for d in datasets for name in d.coords}
    return xr.Dataset(
        {k: v for k, v in joined.items() if k not in coords}, {k: v for k, v in joined.items() if k in coords}
    )


def _grid(datasets: Sequence[xr.Dataset]) -> tuple[list[Index], dict[str, int]]:
    starts = [0, *accumulate(d.sizes["run"] for d in datasets)]
    steps = np.unique(np.concatenate([d["step"].values for d in datasets]))
    names = {
        dim: list(dict.fromkeys(chain.from_iterable(d[dim].values.tolist() for d in datasets if dim in d.sizes)))
        for dim in ("parameter", "layer", *LABELLED)
    }
    updates = max(d.sizes.get("update", 0) for d in datasets)
    sizes = {"run": starts[-1], "record": len(steps), "update": updates, **{k: len(v) for k, v in names.items()}}
    index: list[Index] = [
        {
            "run": np.arange(start, start + d.sizes["run"]),
            "record": np.searchsorted(steps, d["step"].values),
            "update": np.arange(d.sizes.get("update", 0)),
            **{k: np.array([v.index(n) for n in d[k].values], int) for k, v in names.items() if k in d.sizes},
        }
        for start, d in zip(starts, datasets, strict=False)
    ]
    return index, sizes


def _placed(
    name: str, parts: Mapping[str, xr.Dataset], index: Sequence[Index], sizes: Mapping[str, int]
) -> xr.Variable:
    have = [
        (recording, d[name].variable, i) for (recording, d), i in zip(parts.items(), index, strict=True) if name in d
    ]
    first_recording, first, _ = have[0]
    dims = [str(d) for d in first.dims]
    text = first.dtype.kind == "U"
    missing: Any = "" if text else np.nan
    shape = tuple(sizes[d] for d in dims)
    result = np.full(shape, missing, _wide_type([v.dtype for _, v, _ in have]))
    known, clash = np.zeros(shape, bool), np.zeros(shape, bool)
    for recording, variable, axes in have:
        if variable.dims != first.dims:
            raise InputError(
                f"{name!r} has dimensions {first.dims} in recording {first_recording!r} and {variable.dims} in "
                f"{recording!r}: open them one at a time with recordings=[...]"
            )
        place = np.ix_(*(axes[d] for d in dims))
        if "run" not in dims:  # runs never overlap; records and parameters are shared, and must then agree
            clash[place] |= known[place] & (result[place] != variable.values)
            known[place] = True
        result[place] = variable.values
    result[clash] = missing
    if text:
        result = result.astype(str)
    elif all(v.dtype.kind in "iub" for _, v, _ in have) and not np.isnan(result).any():
        result = result.astype(np.result_type(*(v.dtype for _, v, _ in have)))
    return xr.Variable(dims, result, first.attrs)


def _wide_type(dtypes: Sequence[np.dtype[Any]]) -> np.dtype[Any]:
    if dtypes[0].kind == "U":
        return np.dtype(object)  # fixed-width text would be cut to the first recording's width
    return np.result_type(*dtypes, np.float32)


_LAST = ("status", "status_reason", "remarks", "mask_source", "activation_source")  # known at a run's end
_SUMMED = ("records_written", "updates_written")


def stitch(parts: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Put every continuation behind the recording it continues."""
    joined = {name: part for name, part in parts.items() if part.attrs["config"].get("continues") not in parts}
    later = [part for name, part in parts.items() if name not in joined]
    for part in sorted(later, key=lambda part: int(part["step"].min()) if part.sizes["record"] else 0):
        base = part.attrs["config"]["continues"]
        joined[base] = _append(joined[base], part)
    return joined


def _append(first: xr.Dataset, second: xr.Dataset) -> xr.Dataset:
    pieces = [_along(dim, first, second) for dim in ("record", "update")]
    state = {name: second[name].variable for name in _LAST if name in second}
    counts = {name: first[name].variable + second[name].variable for name in _SUMMED if name in first}
    rest = first.drop_vars([name for name, v in first.variables.items() if {"record", "update"} & set(v.dims)])
    return xr.merge([rest, *pieces], combine_attrs="drop").assign(state | counts).assign_attrs(first.attrs)


def _along(dim: str, first: xr.Dataset, second: xr.Dataset) -> xr.Dataset:
    """Concatenate what has a dimension; a scalar that was logged in one part only is NaN in the other."""
    sides = [d[[name for name, v in d.variables.items() if dim in v.dims]] for d in (first, second) if dim in d.sizes]
    if len(sides) < 2:  # a part without mask updates has no such variables
        return sides[0] if sides else xr.Dataset()
    return xr.concat(sides, dim=dim, data_vars="minimal", coords="minimal", compat="override", join="outer")
