"""Recordings that were packed out of several: written, and found again by the runs they hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from recorders.contract import COMMITS, SCHEMA_VERSION
from recorders.store.documents import read_document, write_group
from recorders.store.recording import mask_nodes
from recorders.store.root import recording_names
from recorders.store.stored_names import MASKS, mask_array
from recorders.upkeep.compaction import seal_recording, write_array

PACKED = "packed"
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Part:
    """A finished recording that is packed with others.

    Attributes
    ----------
    store : Path
        Where it lies.
    name : str
        What it is called there.
    """

    store: Path
    name: str

    @cached_property
    def group(self) -> zarr.Group:
        """The recording, opened to read."""
        return zarr.open_group(self.store / self.name, mode="r", use_consolidated=False)

    @cached_property
    def arrays(self) -> dict[str, zarr.Array[Any]]:
        """Its arrays but for the masks."""
        return dict(self.group.arrays())

    @cached_property
    def masks(self) -> dict[str, zarr.Array[Any]]:
        """Its final masks."""
        return dict(_masks(self.group).arrays())

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Its attributes."""
        return dict(self.group.attrs.asdict())

    @cached_property
    def config(self) -> dict[str, Any]:
        """Its settings as stored."""
        return dict(json.loads(str(self.attributes["config"])))

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Where it comes from."""
        return dict(json.loads(str(self.attributes["provenance"])))

    def texts(self, name: str) -> list[str]:
        """Give a column of texts, such as the names of its runs."""
        return [str(value) for value in self.values(name)]

    def values(self, name: str) -> Array:
        """All of an array, up to what was committed."""
        array = self.arrays[name]
        return np.asarray(array[tuple(slice(self._used.get(dim)) for dim in dims(array))])

    @cached_property
    def _used(self) -> dict[str, int]:
        marks = {"record": "records_written", "update": "updates_written"}
        return {dim: int(np.asarray(self.arrays[mark][:]).max(initial=0)) for dim, mark in marks.items()}


def dims(array: zarr.Array[Any]) -> tuple[str, ...]:
    """Names of the dimensions of an array."""
    return tuple(str(d) for d in array.metadata.dimension_names or ())  # type: ignore[union-attr]


def write_packed(store: Path, name: str, parts: Sequence[Part], attributes: Mapping[str, Any]) -> None:
    """Write recordings of one schedule as one, run after run, in the chunks of a compacted recording."""
    folder = store / name
    folder.mkdir()
    write_group(folder, {})
    group = zarr.open_group(folder, mode="r+", use_consolidated=False)
    for key in dict.fromkeys(key for part in parts for key in part.arrays):
        if key != COMMITS:
            _write_joined(group, key, parts)
    _write_masks(group, parts)
    first = parts[0].attributes
    seal_recording(
        folder,
        {
            "burden_schema": SCHEMA_VERSION,
            "coordinates": first["coordinates"],
            "sample_every": first.get("sample_every", 1),
            **attributes,
        },
    )


def _write_joined(group: zarr.Group, key: str, parts: Sequence[Part]) -> None:
    like = next(part.arrays[key] for part in parts if key in part.arrays)
    if "run" in dims(like):
        values = _joined([part.values(key) if key in part.arrays else None for part in parts], _lengths(parts), like)
    else:
        values = next(part for part in parts if key in part.arrays).values(key)
    holder = next(part for part in parts if key in part.arrays)
    write_array(group, key, values, read_document(holder.store / holder.name / key))


def _lengths(parts: Sequence[Part]) -> list[int]:
    return [part.arrays["run_id"].shape[0] for part in parts]


def _joined(columns: Sequence[Array | None], runs: Sequence[int], like: zarr.Array[Any]) -> Array:
    """Put runs one after the other; what a part did not log, or updates that it did not have, is the fill value."""
    there = [column for column in columns if column is not None]
    inner = tuple(np.max([column.shape[1:] for column in there], axis=0).astype(int)) if like.ndim > 1 else ()
    text = like.dtype.kind in "OTU"
    values = np.full(
        (sum(runs), *inner), like.fill_value, object if text else np.result_type(*(c.dtype for c in there))
    )
    first = 0
    for column, count in zip(columns, runs, strict=True):
        if column is not None:
            values[(slice(first, first + count), *(slice(n) for n in column.shape[1:]))] = column
        first += count
    return values


def _write_masks(group: zarr.Group, parts: Sequence[Part]) -> None:
    """Copy final masks, one run at a time: together they may not fit in memory."""
    sources = [part.masks for part in parts]
    shapes = {_parameter(key, array): array.shape[1:] for key, array in sources[0].items()}
    for _ in group.create_hierarchy(mask_nodes(shapes, sum(_lengths(parts)))):
        pass
    write_group(Path(str(group.store_path).removeprefix("file://")) / MASKS, {}, MASKS)
    target, row = dict(_masks(group).arrays()), 0
    for part, source in zip(parts, sources, strict=True):
        for own in range(part.arrays["run_id"].shape[0]):
            for key, array in source.items():
                mask = np.asarray(array[own], bool)
                if not mask.all():  # nothing written is all active
                    target[mask_array(_parameter(key, array))][row] = mask
            row += 1


def _parameter(key: str, array: zarr.Array[Any]) -> str:
    return str(array.attrs.get("parameter", key))


def _masks(group: zarr.Group) -> zarr.Group:
    masks = group[MASKS]
    assert isinstance(masks, zarr.Group)
    return masks


def packed_with(store: Path, run: str) -> str | None:
    """Find the packed recording that holds a run."""
    for name in recording_names(store):
        try:
            content = (store / name / "zarr.json").read_text(encoding="utf-8")
            if f'"{PACKED}"' in content and run in json.loads(content)["attributes"].get(PACKED, ()):
                return name
        except (OSError, ValueError):  # damaged, or another process is replacing it, and nobody replaces a packed one
            continue
    return None
