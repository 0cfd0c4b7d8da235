"""The files of a store by key, wherever it lies: in a folder, in a zip archive or behind a URL."""

from __future__ import annotations

import zlib
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol
from zipfile import BadZipFile, ZipFile

from burden_analysis.study.damage import DamagedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_LARGE, _GROWTH = 2**26, 200  # bytes of a member of an archive; times its packed size
_AT_ONCE = 64  # requests to a server that are under way together

_ABSENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


class Files(Protocol):
    """Where the files of a store are read from; each kind can be pickled, as workers of dask need it."""

    def read(self, keys: Iterable[str]) -> Iterator[bytes | None]:
        """Give the content of one file after the other; None for one that is absent."""

    def folders(self, key: str) -> list[str]:
        """Name what lies in a folder and may be a folder itself."""

    def zarr_place(self, key: str) -> tuple[Any, str]:
        """Give what zarr opens as this store, and the path of an array in it."""


class Folder:
    """A store in a folder of this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, keys: Iterable[str]) -> Iterator[bytes | None]:
        """Read files when they are asked for."""
        for key in keys:
            try:
                content = (self._path / key).read_bytes()
            except _ABSENT:
                yield None
            except OSError as error:  # no right to read it, a disk that fails, a circle of links
                raise DamagedError(key, f"cannot be read ({error.strerror})") from error
            else:
                yield content

    def folders(self, key: str) -> list[str]:
        """List a folder."""
        try:
            return [p.name for p in (self._path / key).iterdir()]
        except _ABSENT:
            return []

    def zarr_place(self, key: str) -> tuple[Any, str]:
        """Give the folder."""
        return self._path, key


class Archive:
    """A store in a zip archive, whole or inside the one folder that the archive holds."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        self._archive = ZipFile(path)
        names = self._archive.namelist()
        outer = {name.partition("/")[0] for name in names}
        [folder, *others] = outer or {""}
        self._inside = f"{folder}/" if not others and f"{folder}/zarr.json" in names else ""
        self._names = set(names)

    def __reduce__(self) -> tuple[type[Archive], tuple[Path]]:
        return Archive, (self._path,)

    def read(self, keys: Iterable[str]) -> Iterator[bytes | None]:
        """Read members when they are asked for."""
        for key in keys:
            name = self._inside + key
            if name not in self._names:
                yield None
                continue
            with self._lock:
                content = self._read(name)
            yield content

    def _read(self, name: str) -> bytes:
        """Unpack a member; chunks are packed already, so one that grows much is a trap."""
        about = self._archive.getinfo(name)
        if about.file_size > _LARGE and about.file_size > _GROWTH * about.compress_size:
            raise DamagedError(name, f"unpacks to {about.file_size / 1e6:.0f} MB from {about.compress_size / 1e6:.1f}")
        try:
            return self._archive.read(name)
        except (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise DamagedError(name, f"cannot be read ({error})") from error

    def folders(self, key: str) -> list[str]:
        """List the members below a folder."""
        prefix = f"{self._inside}{key}/" if key else self._inside
        below = (name.removeprefix(prefix) for name in self._names if name.startswith(prefix))
        return list({name.partition("/")[0] for name in below if name})

    def zarr_place(self, key: str) -> tuple[Any, str]:
        """Open the archive once more, as zarr reads one."""
        from zarr.storage import ZipStore

        return ZipStore(self._path, mode="r"), self._inside + key


class Remote:
    """A store behind an fsspec URL."""

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        self._url = url
        self._system, self._path = url_to_fs(url)

    def read(self, keys: Iterable[str]) -> Iterator[bytes | None]:
        """Request many files together."""
        asked = [f"{self._path}/{key}" for key in keys]
        for start in range(0, len(asked), _AT_ONCE):
            yield from self._batch(asked[start : start + _AT_ONCE])

    def _batch(self, paths: Sequence[str]) -> Iterator[bytes | None]:
        found = self._system.cat(list(paths), on_error="return")
        for path in paths:
            content = found.get(path)
            if isinstance(content, Exception) and not isinstance(content, _ABSENT):
                raise content
            yield content if isinstance(content, bytes) else None

    def folders(self, key: str) -> list[str]:
        """List what the server has below a folder."""
        try:
            listed = self._system.ls(f"{self._path}/{key}".rstrip("/"), detail=False)
        except _ABSENT:
            return []
        return [name.rstrip("/").rpartition("/")[2] for name in listed]

    def zarr_place(self, key: str) -> tuple[Any, str]:
        """Give the URL."""
        return self._url, key
