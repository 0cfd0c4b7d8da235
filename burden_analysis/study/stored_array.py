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

from burden_analysis.study.damage import DamagedError
from burden_analysis.study.unpacking import check_size, unpacked
from recorders.contract import ABSENT, chunk_checksums, listed_checksum

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


_DESCRIBED = ("shape", "data_type", "chunk_grid", "chunk_key_encoding", "codecs", "fill_value")
_MOST_CHUNKS = 10**7


def check_described(document: Mapping[str, Any], place: str) -> None:
    """Refuse metadata of an array that lack something or contradict themselves."""
    if lacking := [name for name in _DESCRIBED if name not in document]:
        raise DamagedError(place, f"lacks {', '.join(lacking)}")
    shape, dims = document["shape"], document.get("dimension_names") or ()
    try:
        lengths = document["chunk_grid"]["configuration"]["chunk_shape"]
        counts = [-(-n // m) for n, m in zip(shape, lengths, strict=True)]
        right = all(type(n) is int and n >= 0 for n in shape) and all(type(m) is int and m > 0 for m in lengths)
        names = [codec["name"] for codec in document["codecs"]]
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise DamagedError(place, f"describes no array ({error})") from error
    if not right or not names or len(dims) not in (0, len(shape)) or prod(counts) > _MOST_CHUNKS:
        raise DamagedError(place, f"describes no array (shape {shape}, chunks {lengths}, dimensions {dims})")


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
    listed : str, optional
        Checksums of its chunks, where the recording's manifest has them.

    Raises
    ------
    DamagedError
        On reading: a chunk is lost or altered, or larger than the metadata say.
    """

    files: Files
    key: str
    metadata: Mapping[str, Any]
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    listed: str | None = None

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
        check_size(prod(stop - start for start, stop in bounds) * self.dtype.itemsize, self.key)
        if self._is_ours:
            values = self._decoded(bounds)
        else:
            for _ in self._contents(self._places(bounds)):  # compared with the manifest
                pass
            values = self._as_zarr_reads(bounds)
        return np.array(values.tolist(), dtype=str) if values.dtype.kind in "OT" else values

    def _as_zarr_reads(self, bounds: Sequence[tuple[int, int]]) -> Array:
        try:
            return np.asarray(self._zarr_array()[tuple(slice(*b) for b in bounds)])
        except (ValueError, RuntimeError) as error:
            raise DamagedError(self.key, f"cannot be read ({error})") from error

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
        places = self._places(bounds)
        contents = self._contents(places)
        if len(places) == 1 and shape == self.chunks:
            return self._chunk(next(iter(contents)), places[0])
        values = np.empty(shape, self.dtype)
        for place, content in zip(places, contents, strict=True):
            inner, outer = zip(*self._overlap(place, bounds), strict=True) if place else ((), ())
            values[outer] = self._fill if content is None else self._chunk(content, place)[inner]
        return values

    def _places(self, bounds: Sequence[tuple[int, int]]) -> list[tuple[int, ...]]:
        """Find the chunks that have something of a window, in C order."""
        spans = [
            range(a // n, -(-b // n)) if b > a else range(0) for (a, b), n in zip(bounds, self.chunks, strict=True)
        ]
        return list(itertools.product(*spans))

    def _contents(self, places: Sequence[tuple[int, ...]]) -> Iterator[bytes | None]:
        """Read chunks, each compared with the manifest where there is one."""
        keys = [self._file(place) for place in places]
        contents = self.files.read(keys)
        if self.listed is None:
            yield from contents
            return
        for key, place, content in zip(keys, places, contents, strict=True):
            found = chunk_checksums((content,))
            if listed_checksum(self.listed, self._position(place)) != found:
                raise DamagedError(key, "is missing" if found == ABSENT else "is not what was written")
            yield content

    def _file(self, place: Sequence[int]) -> str:
        return "/".join([self.key, "c", *map(str, place)])

    def _position(self, place: Sequence[int]) -> int:
        """Position of a chunk in C order."""
        position = 0
        for at, n, length in zip(place, self.metadata["shape"], self.chunks, strict=True):
            position = position * -(-n // length) + at
        return position

    def _overlap(self, place: Sequence[int], bounds: Sequence[tuple[int, int]]) -> Iterator[tuple[slice, slice]]:
        """Give what a chunk has of a window, as slices of the chunk and of the window."""
        for at, n, (start, stop) in zip(place, self.chunks, bounds, strict=True):
            first, last = max(start, at * n), min(stop, (at + 1) * n)
            yield slice(first - at * n, last - at * n), slice(first - start, last - start)

    @property
    def _fill(self) -> Any:
        fill = self.metadata["fill_value"]
        return _FILL.get(fill, fill) if isinstance(fill, str) and not self.is_text else fill

    def _chunk(self, content: bytes | None, place: Sequence[int]) -> Array:
        """Decode one chunk, or fill one that was never written."""
        if content is None:
            return np.full(self.chunks, self._fill, self.dtype)
        try:
            raw = unpacked(content, None if self.is_text else prod(self.chunks) * self.dtype.itemsize)
            values = VLenUTF8().decode(raw) if self.is_text else np.frombuffer(bytearray(raw), self.dtype)
            return np.asarray(values.reshape(self.chunks))
        except (ValueError, RuntimeError, TypeError) as error:
            raise DamagedError(self._file(place), f"cannot be read ({error})") from error

    def _zarr_array(self) -> Any:
        import zarr

        place, path = self.files.zarr_place(self.key)
        return zarr.open_array(place, path=path, mode="r", zarr_format=3)
