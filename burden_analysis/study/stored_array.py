"""One array of a recording: where its chunks are, and how they become numbers.

Chunks of the codecs that this package writes are decoded here, in one pass: zarr's coroutines take ten times as long
where chunks are small, and 1 000 recordings of one run each are 38 000 chunks. Whatever else a store holds zarr reads.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numcodecs.vlen import VLenUTF8
from numcodecs.zstd import Zstd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from burden_analysis.study.files import Files

Array = npt.NDArray[Any]
_NUMBERS = {
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64"),
}
_BYTES = ({"name": "bytes"}, {"name": "bytes", "configuration": {"endian": "little"}})
_KEYS = ({"name": "default"}, {"name": "default", "configuration": {"separator": "/"}})
_FILL = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}


@dataclass(frozen=True, eq=False)
class StoredArray:
    """An array as its metadata describe it, up to what its writers had committed when it was opened.

    Attributes
    ----------
    files : Files
        Of the store.
    key : str
        Folder of the array.
    metadata : mapping
        What its ``zarr.json`` says.
    dims : tuple of str
        Names of its dimensions.
    shape : tuple of int
        What is read of it; chunks may reach further.
    """

    files: Files
    key: str
    metadata: Mapping[str, Any]
    dims: tuple[str, ...]
    shape: tuple[int, ...]

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of a chunk."""
        return tuple(self.metadata["chunk_grid"]["configuration"]["chunk_shape"])

    @property
    def is_text(self) -> bool:
        """Whether its elements are strings of any length."""
        return bool(self.metadata["data_type"] == "string")

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its elements; texts are objects until they are read."""
        kind = self.metadata["data_type"]
        if isinstance(kind, str) and kind in _NUMBERS:
            return np.dtype(kind)
        return np.dtype(object) if self.is_text else np.dtype(self._zarr_array().dtype)

    def cut(self, lengths: Mapping[str, int]) -> StoredArray:
        """Leave out what lies beyond these lengths of dimensions."""
        shape = tuple(min(n, lengths.get(dim, n)) for dim, n in zip(self.dims, self.shape, strict=True))
        return replace(self, shape=shape)

    def read(self, window: Sequence[slice] | None = None) -> Array:
        """Read a window of it, in memory of its own; all of it by default."""
        whole = [slice(n) for n in self.shape]
        bounds = [s.indices(n)[:2] for s, n in zip(window or whole, self.shape, strict=True)]
        if not self._is_ours:
            values = np.asarray(self._zarr_array()[tuple(slice(*b) for b in bounds)])
        else:
            values = self._decoded(bounds)
        return np.array(values.tolist(), dtype=str) if values.dtype.kind in "OT" else values

    @property
    def _is_ours(self) -> bool:
        """Whether it is stored as this package stores arrays."""
        about = self.metadata
        kind, fill, (shaped, *packed) = about["data_type"], about["fill_value"], about["codecs"]
        text = kind == "string" and shaped["name"] == "vlen-utf8"
        number = isinstance(kind, str) and kind in _NUMBERS and shaped in _BYTES
        return (
            (text or (number and (fill in _FILL or not isinstance(fill, str))))
            and [codec["name"] for codec in packed] == ["zstd"]
            and about["chunk_grid"]["name"] == "regular"
            and about["chunk_key_encoding"] in _KEYS
            and not about.get("storage_transformers")
        )

    def _decoded(self, bounds: Sequence[tuple[int, int]]) -> Array:
        shape = tuple(max(0, stop - start) for start, stop in bounds)
        spans = [
            range(a // n, -(-b // n)) if b > a else range(0) for (a, b), n in zip(bounds, self.chunks, strict=True)
        ]
        places = list(itertools.product(*spans))
        contents = self.files.read(["/".join([self.key, "c", *map(str, place)]) for place in places])
        if len(places) == 1 and shape == self.chunks:
            return self._chunk(next(iter(contents)))
        values = np.empty(shape, self.dtype)
        for place, content in zip(places, contents, strict=True):
            inner, outer = zip(*self._overlap(place, bounds), strict=True) if place else ((), ())
            values[outer] = self._fill if content is None else self._chunk(content)[inner]
        return values

    def _overlap(self, place: Sequence[int], bounds: Sequence[tuple[int, int]]) -> Iterator[tuple[slice, slice]]:
        """Give what a chunk has of a window, as slices of the chunk and of the window."""
        for at, n, (start, stop) in zip(place, self.chunks, bounds, strict=True):
            first, last = max(start, at * n), min(stop, (at + 1) * n)
            yield slice(first - at * n, last - at * n), slice(first - start, last - start)

    @property
    def _fill(self) -> Any:
        fill = self.metadata["fill_value"]
        return _FILL.get(fill, fill) if isinstance(fill, str) and not self.is_text else fill

    def _chunk(self, content: bytes | None) -> Array:
        """Decode one chunk, or fill one that was never written."""
        size = prod(self.chunks)
        if content is None:
            return np.full(self.chunks, self._fill, self.dtype)
        raw = Zstd().decode(content)
        if self.is_text:
            values = VLenUTF8().decode(raw)
        else:
            values = np.frombuffer(bytearray(raw), np.uint8 if len(raw) % self.dtype.itemsize else self.dtype)
        if values.size != size:
            raise RuntimeError(f"a chunk of {self.key} holds {values.size} values, not {size}")
        return np.asarray(values.reshape(self.chunks))

    def _zarr_array(self) -> Any:
        import zarr

        place, path = self.files.zarr_place(self.key)
        return zarr.open_array(place, path=path, mode="r", zarr_format=3)
