"""Reads one recording of a study, up to what its writers have committed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from burden_analysis.study.committed import Committed
from burden_analysis.study.damage import DamagedError, LeftOut, of_runs
from burden_analysis.study.recording import (
    Field,
    Opened,
    Recording,
    VanishedError,
    check_schema,
    decoded_json,
    group_document,
)
from burden_analysis.study.run_states import check_runs, wrong_ends, wrong_marks
from burden_analysis.study.stored_array import StoredArray, check_described
from recorders.contract import (
    CHECKSUM,
    COMMITS,
    MANIFEST,
    MARKS,
    TEXTS,
    Commit,
    InputError,
    Status,
    flat_config,
    is_altered,
    is_whole_file,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from burden_analysis.study.files import Files
    from burden_analysis.study.stored_array import Array

# Without these nothing of a recording can be told apart, beside its coordinates.
_ESSENTIAL = ("status", *MARKS.values(), *TEXTS, "parameter", "layer", "target", "order", "quantile")
_ATTEMPTS = 20  # a swap lasts two renames: whoever is caught by so many reads a store that is being rewritten
_PAUSE = 0.01  # seconds between them


def read_recording(
    files: Files, name: str, where: str, *, wanted: Collection[str] | None = None, lazy: bool = False
) -> Recording:
    """Read a recording that other processes may be writing: all variables or those wanted, values or sources.

    Raises
    ------
    VanishedError
        It is there no more.
    DamagedError
        Something is lost or altered without which nothing of it can be read.
    """
    what = f"recording {name!r} of {where}"
    for _ in range(_ATTEMPTS):
        key, content = _found(files, name, where)
        opened = Opened(files, key, content, name, where)
        damage: DamagedError | None = None
        reading: _Reading | None = None
        try:
            document = group_document(content, f"{key}/zarr.json")
            check_schema(document["attributes"], what)
            trusted = is_whole_file(content)
            reading = _Reading(files, key, document, wanted, opened if lazy else None, trusted=trusted)
            recording = reading.recording()
        except DamagedError as found:
            damage = found
        whole = damage is None and not recording.left_out
        if opened.unchanged() and (whole or reading is None or not reading.went_on()):
            if damage is not None:
                raise damage
            return recording
        time.sleep(_PAUSE)
    raise InputError(f"{what} is being rewritten: try again")


def _found(files: Files, name: str, where: str) -> tuple[str, bytes]:
    for key in (name, f".{name}.old", name):  # the third look catches a swap that ended between the first two
        if (content := next(iter(files.read([f"{key}/zarr.json"])))) is not None:
            return key, content
    raise VanishedError(f"{where} has no recording {name!r} any more: it was removed while being opened")


class _Reading:
    """A recording while it is read: whatever is lost or altered is left out, and told."""

    def __init__(
        self,
        files: Files,
        key: str,
        metadata: Mapping[str, Any],
        wanted: Collection[str] | None,
        opened: Opened | None,
        *,
        trusted: bool,
    ) -> None:
        self._files, self._key, self._wanted, self._opened = files, key, wanted, opened
        self._trusted = trusted  # its consolidated metadata are what was written
        self._attributes = metadata["attributes"]
        self._manifest: Mapping[str, str | None] = self._attributes.get(MANIFEST) or {}
        self._consolidated = (metadata.get("consolidated_metadata") or {}).get("metadata") or {}
        listed = self._attributes.get("coordinates")
        if listed is None:
            raise DamagedError(f"{key}/zarr.json", "is not the metadata of a recording")
        if not isinstance(listed, str) or not isinstance(self._manifest, dict):
            raise DamagedError(f"{key}/zarr.json", "has attributes of the wrong kind")
        self._listed = listed.split()
        self._left_out: list[LeftOut] = []
        self._known: dict[str, StoredArray | None] = {}
        self._texts: list[str] = []  # what runs said that they had committed
        self._broken: dict[int, DamagedError] = {}  # runs whose state cannot be read, by row

    def recording(self) -> Recording:
        """Read it."""
        # Marks and what is committed come before the list of arrays: whatever is read after them is at least as new.
        state = {name: array for name in (*MARKS.values(), COMMITS) if (array := self._array(name)) is not None}
        marks, commits = self._committed(state)
        arrays = self._arrays()
        check_runs(arrays, marks, self._key)
        coordinates = {name for name, array in arrays.items() if name in self._listed or array.dims == (name,)}
        fields: dict[str, Field] = {}
        for name, array in arrays.items():
            if name in (*MARKS.values(), COMMITS):
                continue
            series = name not in coordinates and not MARKS.keys().isdisjoint(array.dims)
            if series and self._wanted is not None and name not in self._wanted:
                continue
            attrs = _attributes(array)
            if series:
                written = marks.get(array.dims[1]) if array.dims[0:1] == ("run",) and len(array.dims) > 1 else None
                source = Committed(array, name, written, commits, self._opened)
                if self._opened is not None and array.dtype.kind == "f":
                    fields[name] = Field(array.dims, source, attrs)
                elif (values := self._series(source)) is not None:
                    fields[name] = Field(array.dims, values, attrs)
            elif array.dims[0:1] == ("run",) and name not in coordinates:
                fields[name] = Field(array.dims, self._by_run(array), attrs)
            else:
                used = {dim: int(mark.max(initial=0)) for dim, mark in marks.items()}
                fields[name] = Field(array.dims, array.cut(used).read(), attrs)
        for dim, mark in marks.items():
            fields[MARKS[dim]] = Field(("run",), mark, _attributes(state[MARKS[dim]]))
        self._broken = wrong_ends(fields, commits, self._key) | self._broken
        self._tell_broken(fields)
        if "step" not in fields:  # a recording without a single record lost its empty arrays when it was compacted
            fields["step"] = Field(("record",), np.empty(0, np.int64), {})
            coordinates.add("step")
        config, provenance = (self._decoded(key) for key in ("config", "provenance"))
        stored = set(arrays) - {COMMITS}
        return Recording(fields, coordinates, flat_config(config), provenance, stored, tuple(self._left_out))

    def _array(self, name: str) -> StoredArray | None:
        """Describe one array; None where there is none, or it is a group."""
        if name in self._known:
            return self._known[name]
        if name in self._consolidated:
            return self._described(name, self._consolidated[name])
        if self._consolidated:
            return None
        place = f"{self._key}/{name}/zarr.json"
        content = next(iter(self._files.read([place])))
        return None if content is None else self._described(name, decoded_json(content, place))

    def _described(self, name: str, document: Any) -> StoredArray | None:
        place = f"{self._key}/{name}/zarr.json"
        if not isinstance(document, dict) or "node_type" not in document:
            raise DamagedError(place, "has no node_type")
        if not (self._trusted and name in self._consolidated) and is_altered(
            document, name, must_tell=name in self._manifest
        ):
            raise DamagedError(place, "is not what was written")
        if document["node_type"] != "array":
            return None
        check_described(document, place)
        dims = tuple(str(d) for d in document.get("dimension_names") or ())
        shape = tuple(document["shape"])
        found = StoredArray(self._files, f"{self._key}/{name}", document, dims, shape, self._manifest.get(name))
        self._known[name] = found
        return found

    def _arrays(self) -> dict[str, StoredArray]:
        """Describe all arrays but the masks, and notice what is gone; series can be done without."""
        names = [name for name in self._consolidated if "/" not in name] or sorted(self._files.folders(self._key))
        names = list(dict.fromkeys([*names, *(name for name in self._manifest if "/" not in name)]))
        places = [f"{self._key}/{name}/zarr.json" for name in names]
        unread = [] if self._consolidated else [n for n in names if n not in self._known]
        contents = dict(zip(unread, self._files.read(f"{self._key}/{name}/zarr.json" for name in unread), strict=True))
        found = {}
        for name, place in zip(names, places, strict=True):
            content = contents.get(name)
            try:
                if name in self._known:
                    array = self._known[name]
                elif name in self._consolidated:
                    array = self._described(name, self._consolidated[name])
                elif content is not None:
                    array = self._described(name, decoded_json(content, place))
                elif name in self._manifest:
                    raise DamagedError(place, "is missing")
                else:
                    continue
            except DamagedError as damage:
                if name in _ESSENTIAL or name in self._listed:
                    raise
                self._left_out.append(LeftOut(name, damage))
            else:
                if array is not None:
                    found[name] = array
        return found

    def _series(self, source: Committed) -> Array | None:
        """Read a series; None where it is damaged for every run."""
        try:
            values, damaged = source.values()
        except DamagedError as damage:
            self._left_out.append(LeftOut(source.name, damage))
            return None
        if damaged:
            names = self._run_names(list(damaged), values.shape[0])
            self._left_out.append(LeftOut(of_runs(source.name, names, values.shape[0]), next(iter(damaged.values()))))
        return None if len(damaged) == values.shape[0] else values

    def _by_run(self, array: StoredArray) -> Array:
        """Read the state of runs, of which one may be damaged and the others not."""
        name = array.key.rpartition("/")[2]
        try:
            return array.read()
        except DamagedError as damage:
            if array.chunks[0] != 1 and name not in TEXTS:
                raise
            if array.chunks[0] != 1:
                self._left_out.append(LeftOut(name, damage))
                return np.full(array.shape, "")
        rows = []
        for row in range(array.shape[0]):
            try:
                rows.append(array.read([slice(row, row + 1), *(slice(None) for _ in array.shape[1:])]))
            except DamagedError as damage:
                self._broken.setdefault(row, damage)
                rows.append(np.full((1, *array.shape[1:]), "" if array.is_text else 0))
        return np.concatenate(rows)

    def _committed(self, state: Mapping[str, StoredArray]) -> tuple[dict[str, Array], dict[int, Commit]]:
        """Read the commit marks, and what runs wrote down before they set them."""
        marks = {dim: self._by_run(state[name]) for dim, name in MARKS.items() if name in state}
        if COMMITS not in state:
            return marks, {}
        self._texts = self._by_run(state[COMMITS]).tolist()
        commits = {row: commit for row, text in enumerate(self._texts) if (commit := Commit.parsed(text or "{}"))}
        wrong = wrong_marks(marks, commits, len(self._texts), self._key)
        for row, damage in wrong.items():
            self._broken.setdefault(row, damage)
        for row in self._broken:
            for mark in marks.values():
                mark[row] = 0
        return marks, commits

    def went_on(self) -> bool:
        """Whether a run has committed since its commits were read: then nothing that was met need be damage."""
        told = self._array(COMMITS) if self._texts else None
        return told is not None and self._by_run(told).tolist() != self._texts

    def _tell_broken(self, fields: dict[str, Field]) -> None:
        """Have the runs whose state is damaged failed, whatever is left of it says."""
        if not self._broken:
            return
        count = fields["status"].data.shape[0]
        status, reason = (np.array(fields[n].data, dtype=object) for n in ("status", "status_reason"))
        for row, damage in self._broken.items():
            status[row], reason[row] = Status.FAILED.value, f"damaged: {damage}"
            for mark in MARKS.values():
                np.asarray(fields[mark].data)[row] = 0
            [name] = self._run_names([row], count)
            self._left_out.append(LeftOut(f"run {name}", damage))
        fields["status"] = Field(("run",), status.astype(str), fields["status"].attrs)
        fields["status_reason"] = Field(("run",), reason.astype(str), fields["status_reason"].attrs)

    def _decoded(self, name: str) -> Mapping[str, Any]:
        """Read an attribute that is a mapping, written as JSON."""
        place, said = f"{self._key}/zarr.json", self._attributes.get(name) or {}
        found = decoded_json(said.encode(), f"{place} ({name})") if isinstance(said, str) else said
        if not isinstance(found, dict):
            raise DamagedError(place, f"has a {name} that is no mapping")
        return found

    def _run_names(self, rows: Sequence[int], count: int) -> list[str]:
        array = self._array("run_id")
        names = [str(n) for n in array.read()] if array is not None else [f"row {row}" for row in range(count)]
        return [names[row] for row in rows]


def _attributes(array: StoredArray) -> dict[str, Any]:
    hidden = ("_FillValue", "coordinates", CHECKSUM)
    return {k: v for k, v in array.metadata.get("attributes", {}).items() if k not in hidden}
