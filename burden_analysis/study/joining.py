"""Joins recordings: different ones on one grid, padded with NaN; continuations of a run one after the other."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, chain
from typing import Any

import numpy as np
import numpy.typing as npt

from burden_analysis.study.recording import Array, Field, Recording, Source
from recorders.contract import InputError

LABELLED = ("parameter", "layer", "target", "order", "quantile")  # dimensions joined by their names

Positions = range | npt.NDArray[np.intp]  # of one part along a dimension of the whole, ascending or not
Index = Mapping[str, Positions]


@dataclass(frozen=True, eq=False)
class Joined:
    """Several arrays on one grid, NaN (text: empty) where none of them lies.

    Attributes
    ----------
    parts : sequence of (array or Source, sequence of Positions)
        What is joined, and where it lies along every dimension.
    shape, dtype
        Of the whole.
    along : int
        The axis on which the parts lie one after the other.
    """

    parts: Sequence[tuple[Array | Source, Sequence[Positions]]]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    along: int

    @cached_property
    def _starts(self) -> list[int]:
        ranges = [positions[self.along] for _, positions in self.parts]
        return [r.start if isinstance(r, range) else int(r[0]) for r in ranges]

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of what is stored together in most of the parts."""
        stored = [data.chunks for data, _ in self.parts if not isinstance(data, np.ndarray)]
        return tuple(max(1, *lengths) for lengths in zip(*stored, strict=True))

    def read(self, window: Sequence[slice]) -> Array:
        """Read a window: of every part what lies in it."""
        missing: Any = "" if self.dtype.kind == "O" else np.nan
        result = np.full([s.stop - s.start for s in window], missing, self.dtype)
        # Of a thousand runs a block needs one: looking at all of them for every block would be quadratic.
        first = max(0, bisect_right(self._starts, window[self.along].start) - 1)
        last = bisect_left(self._starts, window[self.along].stop)
        for data, positions in self.parts[first:last]:
            axes = [_within(*pair) for pair in zip(positions, window, strict=True)]
            if all(axis.source.stop > axis.source.start for axis in axes):
                source = tuple(axis.source for axis in axes)
                values = data[source] if isinstance(data, np.ndarray) else data.read(source)
                _place(result, values, axes)
        return result


@dataclass(frozen=True)
class _Axis:
    """What is read of a part along a dimension, which of it is kept (None: all), and where that goes."""

    source: slice
    kept: npt.NDArray[np.intp] | None
    target: slice | npt.NDArray[np.intp]


def _within(positions: Positions, window: slice) -> _Axis:
    if isinstance(positions, range):
        first, last = max(positions.start, window.start), min(positions.stop, window.stop)
        return _Axis(
            slice(first - positions.start, last - positions.start),
            None,
            slice(first - window.start, last - window.start),
        )
    inside = np.flatnonzero((positions >= window.start) & (positions < window.stop))
    if not len(inside):
        return _Axis(slice(0, 0), inside, inside)
    first = int(inside[0])
    return _Axis(slice(first, int(inside[-1]) + 1), inside - first, positions[inside] - window.start)


def _place(result: Array, values: Array, axes: Sequence[_Axis]) -> None:
    if all(isinstance(axis.target, slice) for axis in axes):
        result[tuple(axis.target for axis in axes)] = values
        return
    kept = [np.arange(n) if axis.kept is None else axis.kept for axis, n in zip(axes, values.shape, strict=True)]
    target = [np.arange(a.target.start, a.target.stop) if isinstance(a.target, slice) else a.target for a in axes]
    result[np.ix_(*target)] = values[np.ix_(*kept)]


def union(parts: Mapping[str, Recording]) -> dict[str, Field]:
    """Concatenate recordings along `run`, with an outer join on everything else."""
    index, sizes = _grid(list(parts.values()), follow=("run",))
    names = dict.fromkeys(chain.from_iterable(part.fields for part in parts.values()))
    return {name: _whole(name, parts, index, sizes, follow=("run",)) for name in names}


def _grid(parts: Sequence[Recording], follow: Sequence[str]) -> tuple[list[Index], dict[str, int]]:
    """Where every part lies on the common grid: along `follow` one after the other, along all else by label."""
    index: list[dict[str, Positions]] = [{} for _ in parts]
    sizes: dict[str, int] = {}
    for dim in ("run", "record", "update", *LABELLED):
        lengths = [part.sizes.get(dim, 0) for part in parts]
        if dim in follow:
            starts = [0, *accumulate(lengths)]
            places: Iterable[Positions] = (range(a, a + n) for a, n in zip(starts, lengths, strict=False))
            sizes[dim] = starts[-1]
        elif dim in ("run", "update"):  # counted, without a label
            places, sizes[dim] = map(range, lengths), max(lengths)
        else:
            places, sizes[dim] = _by_label([_labels(part, dim) for part in parts], ordered=dim == "record")
        for own, place in zip(index, places, strict=True):
            own[dim] = place
    return list(index), sizes


def _labels(part: Recording, dim: str) -> list[Any]:
    name = "step" if dim == "record" else dim
    return part.values(name).tolist() if name in part.fields else []


def _by_label(labels: Sequence[Sequence[Any]], *, ordered: bool) -> tuple[list[Positions], int]:
    known = dict.fromkeys(chain.from_iterable(labels))
    place = {label: i for i, label in enumerate(sorted(known) if ordered else known)}
    return [_positions([place[label] for label in own]) for own in labels], len(place)


def _positions(places: Sequence[int]) -> Positions:
    """Positions as a range where they are one: what lies side by side is copied at once."""
    if not places or list(places) == list(range(places[0], places[0] + len(places))):
        return range(places[0], places[0] + len(places)) if places else range(0)
    return np.array(places, np.intp)


def _whole(
    name: str, parts: Mapping[str, Recording], index: Sequence[Index], sizes: Mapping[str, int], follow: Sequence[str]
) -> Field:
    have = [(k, part.fields[name], i) for (k, part), i in zip(parts.items(), index, strict=True) if name in part.fields]
    first_recording, first, _ = have[0]
    for recording, field, _ in have:
        if field.dims != first.dims:
            raise InputError(
                f"{name!r} has dimensions {first.dims} in recording {first_recording!r} and {field.dims} in "
                f"{recording!r}: open them one at a time with recordings=[...]"
            )
    dtypes = [field.data.dtype for _, field, _ in have]
    joined = Joined(
        [(field.data, [places[d] for d in first.dims]) for _, field, places in have],
        tuple(sizes[d] for d in first.dims),
        # Text of fixed width would be cut to the first recording's width.
        np.dtype(object) if dtypes[0].kind == "U" else np.result_type(*dtypes, np.float32),
        next((axis for axis, dim in enumerate(first.dims) if dim in follow), 0),
    )
    if any(not isinstance(field.data, np.ndarray) for _, field, _ in have):
        return Field(first.dims, joined, first.attrs)
    shared = set(follow).isdisjoint(first.dims)
    values = _agreed(joined) if shared else joined.read([slice(0, n) for n in joined.shape])
    if dtypes[0].kind == "U":
        values = values.astype(str)
    elif all(dtype.kind in "iub" for dtype in dtypes) and not np.isnan(values).any():
        values = values.astype(np.result_type(*dtypes))
    return Field(first.dims, values, first.attrs)


def _agreed(joined: Joined) -> Array:
    """Join what recordings share, such as the epoch of a step: nothing where two of them disagree."""
    missing: Any = "" if joined.dtype.kind == "O" else np.nan
    result = np.full(joined.shape, missing, joined.dtype)
    known, clash = np.zeros(joined.shape, bool), np.zeros(joined.shape, bool)
    for data, positions in joined.parts:
        place = np.ix_(*(np.asarray(p, np.intp) for p in positions))
        values = np.asarray(data)
        clash[place] |= known[place] & (result[place] != values)
        known[place] = True
        result[place] = values
    result[clash] = missing
    return result


_LAST = ("status", "status_reason", "remarks", "mask_source", "activation_source")  # known at a run's end
_SUMMED = ("records_written", "updates_written")


def stitch(parts: Mapping[str, Recording]) -> dict[str, Recording]:
    """Put every continuation behind the recording it continues."""
    joined = {name: part for name, part in parts.items() if part.config.get("continues") not in parts}
    later = [part for name, part in parts.items() if name not in joined]
    for part in sorted(later, key=lambda part: int(part.values("step").min(initial=np.iinfo(np.int64).max))):
        base = part.config["continues"]
        joined[base] = _append(joined[base], part)
    return joined


def _append(first: Recording, second: Recording) -> Recording:
    """Continue records and mask updates; what was logged in one part only is NaN in the other."""
    parts, follow = {"first": first, "second": second}, ("record", "update")
    index, sizes = _grid(list(parts.values()), follow)
    fields = dict(first.fields)
    for name in dict.fromkeys([*first.fields, *second.fields]):
        if name in _LAST and name in second.fields:
            fields[name] = second.fields[name]
        elif name in _SUMMED and name in first.fields:
            field = first.fields[name]
            fields[name] = replace(field, data=first.values(name) + second.values(name))
        elif not set(follow).isdisjoint((first.fields.get(name) or second.fields[name]).dims):
            fields[name] = _whole(name, parts, index, sizes, follow)
        elif name not in fields:  # such as the labels of what only the second part has
            fields[name] = second.fields[name]
    return replace(first, fields=fields, coordinates={*first.coordinates, *second.coordinates})
