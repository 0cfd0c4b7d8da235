"""Joins the recordings of a run that outgrew its first one: arrays are never resized, a second recording starts."""

from __future__ import annotations

from collections.abc import Mapping

import xarray as xr

_SUMMED = ("records_written", "updates_written")


def stitch(parts: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Put every continuation behind the recording it continues.

    Parameters
    ----------
    parts : mapping of str to Dataset
        Recordings by name; the ``config`` of a continuation names the first recording under ``continues``.

    Returns
    -------
    dict of str to Dataset
        The first recordings only, each with the records and mask updates of all its parts in order, the state of the
        last one and the counts of all.
    """
    joined = {name: part for name, part in parts.items() if part.attrs["config"].get("continues") not in parts}
    later = [part for name, part in parts.items() if name not in joined]
    for part in sorted(later, key=lambda part: int(part["step"].min()) if part.sizes["record"] else 0):
        base = part.attrs["config"]["continues"]
        joined[base] = _append(joined[base], part)
    return joined


def _append(first: xr.Dataset, second: xr.Dataset) -> xr.Dataset:
    pieces = [_along(dim, first, second) for dim in ("record", "update")]
    state = {name: second[name].variable for name in ("status", "status_reason") if name in second}
    counts = {name: first[name].variable + second[name].variable for name in _SUMMED if name in first}
    rest = first.drop_vars([name for name, v in first.variables.items() if {"record", "update"} & set(v.dims)])
    return xr.merge([rest, *pieces], combine_attrs="drop").assign(state | counts).assign_attrs(first.attrs)


def _along(dim: str, first: xr.Dataset, second: xr.Dataset) -> xr.Dataset:
    """Concatenate what has a dimension; a scalar that was logged in one part only is NaN in the other."""
    sides = [d[[name for name, v in d.variables.items() if dim in v.dims]] for d in (first, second) if dim in d.sizes]
    if len(sides) < 2:  # a part without mask updates has no such variables
        return sides[0] if sides else xr.Dataset()
    return xr.concat(sides, dim=dim, data_vars="minimal", coords="minimal", compat="override", join="outer")
