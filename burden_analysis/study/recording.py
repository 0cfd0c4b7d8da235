"""Reads one recording of a study, up to what its writers have committed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from burden_analysis.study.stored_array import StoredArray
from recorders.contract import SCHEMA_VERSION, InputError, flat_config

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from burden_analysis.study.files import Files

_MARKS = {"record": "records_written", "update": "updates_written"}  # by dimension, one count per run
_ATTEMPTS = 3  # a swap lasts two renames: whoever is caught by three of them reads a store that is being rewritten
_DESCRIBED = ("shape", "data_type", "chunk_grid", "chunk_key_encoding", "codecs", "fill_value")

Array = npt.NDArray[Any]


class Source(Protocol):
    """Values that are read when a window of them is asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every dimension."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of what is stored together."""

    def read(self, window: Sequence[slice]) -> Array:
        """Read a window."""


@dataclass(frozen=True, eq=False)
class Field:
    """A variable of a study: values in memory, or where they are read from."""

    dims: tuple[str, ...]
    data: Array | Source
    attrs: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording as it was opened.

    Attributes
    ----------
    fields : mapping of str to Field
        Its variables and coordinates by name.
    coordinates : collection of str
        Which of them are coordinates.
    config, provenance : mapping
        Its settings by short names, and where it comes from.
    stored : collection of str
        All that it holds, opened or not.
    """

    fields: Mapping[str, Field]
    coordinates: Collection[str]
    config: Mapping[str, Any]
    provenance: Mapping[str, Any]
    stored: Collection[str]

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Length of every dimension."""
        return {d: n for f in self.fields.values() for d, n in zip(f.dims, f.data.shape, strict=True)}

    def values(self, name: str) -> Array:
        """Values of a coordinate or of a state of runs, which are always in memory."""
        data = self.fields[name].data
        assert isinstance(data, np.ndarray)
        return data


@dataclass(frozen=True, eq=False)
class Opened:
    """A recording whose metadata were read: whether it still is the same one."""

    files: Files
    key: str
    content: bytes
    what: str

    def unchanged(self) -> bool:
        """Look again: a compaction that replaces the chunks under our reads replaces the attributes too."""
        return next(iter(self.files.read([f"{self.key}/zarr.json"]))) == self.content

    def check(self) -> None:
        """Refuse to read on in a recording that is another one by now."""
        if not self.unchanged():
            raise InputError(f"{self.what} was rewritten since it was opened: open the study again")


def check_schema(attributes: Mapping[str, Any], what: str) -> None:
    """Refuse a group that is not ours or is newer than we are."""
    schema = attributes.get("burden_schema")
    if not isinstance(schema, int):
        raise InputError(f"{what} is a zarr group, but was not written by burden-analysis (no 'burden_schema')")
    if schema > SCHEMA_VERSION:
        raise InputError(
            f"{what} has schema {schema}, this version reads up to {SCHEMA_VERSION}: upgrade burden-analysis"
        )


def group_metadata(content: bytes | None) -> dict[str, Any] | None:
    """Read the metadata of a group; None where there is none."""
    if content is None:
        return None
    found = json.loads(content)
    if not isinstance(found, dict) or "node_type" not in found:
        raise RuntimeError("it has no node_type")
    return found if found["node_type"] == "group" else None


def read_recording(
    files: Files, name: str, where: str, *, wanted: Collection[str] | None = None, lazy: bool = False
) -> Recording:
    """Read a recording that other processes may be writing: all variables or those wanted, values or sources."""
    what = f"recording {name!r} of {where}"
    for _ in range(_ATTEMPTS):
        key, content = _found(files, name, where)
        metadata = group_metadata(content) or {}
        check_schema(metadata.get("attributes", {}), what)

        opened = Opened(files, key, content, what)
        try:
            recording = _read(files, key, metadata, wanted, opened if lazy else None)
        except Exception:
            if opened.unchanged():
                raise
            continue
        if opened.unchanged():
            return recording
    raise InputError(f"{what} is being rewritten: try again")


def _found(files: Files, name: str, where: str) -> tuple[str, bytes]:
    for key in (name, f".{name}.old", name):  # the third look catches a swap that ended between the first two
        if (content := next(iter(files.read([f"{key}/zarr.json"])))) is not None:
            return key, content
    raise InputError(f"{where} has no recording {name!r} any more: it was removed while being opened")


def _read(
    files: Files,
    key: str,
    metadata: Mapping[str, Any],
    wanted: Collection[str] | None,
    opened: Opened | None,
) -> Recording:
    arrays = {name: _stored(files, f"{key}/{name}", about) for name, about in _arrays(files, key, metadata).items()}
    # The commit marks come first: whatever is read after them is at least as new.
    marks = {dim: arrays[name].read() for dim, name in _MARKS.items() if name in arrays}
    used = {dim: int(mark.max(initial=0)) for dim, mark in marks.items()}
    attributes = metadata["attributes"]
    listed = str(attributes.get("coordinates", "")).split()
    coordinates = {name for name, array in arrays.items() if name in listed or array.dims == (name,)}
    fields = {}
    for name, array in arrays.items():
        series = name not in coordinates and not _MARKS.keys().isdisjoint(array.dims)
        if series and wanted is not None and name not in wanted:
            continue
        written = marks.get(array.dims[1]) if array.dims[0:1] == ("run",) and len(array.dims) > 1 else None
        committed = Committed(array.cut(used), written, opened)
        later = opened is not None and series and array.dtype.kind == "f"
        attrs = {
            k: v for k, v in array.metadata.get("attributes", {}).items() if k not in ("_FillValue", "coordinates")
        }
        fields[name] = Field(array.dims, committed if later else committed.values(), attrs)
    fields |= {_MARKS[dim]: Field(("run",), mark, fields[_MARKS[dim]].attrs) for dim, mark in marks.items()}
    if "step" not in fields:  # a recording without a single record lost its empty arrays when it was compacted
        fields["step"] = Field(("record",), np.empty(0, np.int64), {})
        coordinates.add("step")
    config, provenance = (_decoded(attributes.get(key)) for key in ("config", "provenance"))
    return Recording(fields, coordinates, flat_config(config), provenance, set(arrays))


def _arrays(files: Files, key: str, metadata: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Metadata of the arrays of a recording, from one file where they are consolidated."""
    consolidated = metadata.get("consolidated_metadata")
    if consolidated:
        found = {name: about for name, about in consolidated["metadata"].items() if "/" not in name}
    else:
        names = sorted(files.folders(key))
        contents = files.read([f"{key}/{name}/zarr.json" for name in names])
        found = {
            name: json.loads(content) for name, content in zip(names, contents, strict=True) if content is not None
        }
    for name, about in found.items():
        if not isinstance(about, dict) or "node_type" not in about:
            raise RuntimeError(f"{name} has no node_type")
    return {name: about for name, about in found.items() if about["node_type"] == "array"}


def _stored(files: Files, key: str, about: Mapping[str, Any]) -> StoredArray:
    if lacking := [name for name in _DESCRIBED if name not in about]:
        raise RuntimeError(f"the metadata of {key} lack {', '.join(lacking)}")
    dims = tuple(str(d) for d in about.get("dimension_names") or ())
    return StoredArray(files, key, about, dims, tuple(about["shape"]))


@dataclass(frozen=True, eq=False)
class Committed:
    """What the runs of a recording had committed of an array when it was opened; the rest is NaN.

    Attributes
    ----------
    stored : StoredArray
        The array, up to the longest run.
    written : array of int, optional
        Of every run, along the second dimension; None where nothing is committed bit by bit.
    opened : Opened, optional
        The recording as it was then, for reading later.
    """

    stored: StoredArray
    written: Array | None
    opened: Opened | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every dimension."""
        return self.stored.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.stored.dtype

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of what is stored together."""
        return self.stored.chunks

    def values(self) -> Array:
        """Read all of it."""
        return self._blanked([slice(0, n) for n in self.shape])

    def read(self, window: Sequence[slice]) -> Array:
        """Read a window, long after opening."""
        try:
            values = self._blanked(window)
        except RuntimeError as error:
            raise InputError(
                f"{self.stored.key} is damaged ({error}): restore it from a copy, or move its recording out"
            ) from error
        finally:
            if self.opened is not None:
                self.opened.check()
        return values

    def _blanked(self, window: Sequence[slice]) -> Array:
        values = self.stored.read(window)
        if self.written is not None:
            first = window[1].start
            for row, written in enumerate(self.written[window[0]]):
                if written - first < values.shape[1]:
                    values[row, max(0, written - first) :] = np.nan
        return values


def _decoded(attribute: Any) -> Any:
    return json.loads(attribute) if isinstance(attribute, str) else attribute or {}
