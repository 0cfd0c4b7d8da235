"""The files of a recording as its writers write them: never where it is gone, on the disk when asked."""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zarr.core.buffer import Buffer
from zarr.storage import LocalStore

from recorders.contract import RunError


class RecordingFiles(LocalStore):
    """A recording's folder that zarr writes into.

    Parameters
    ----------
    root : Path
        Of the recording.
    read_only : bool
        As zarr has it.

    Raises
    ------
    RunError
        On writing: the recording was moved or deleted; zarr would make a stump of it.
    """

    def __init__(self, root: Path | str, *, read_only: bool = False) -> None:
        super().__init__(root, read_only=read_only)
        self._written: set[Path] = set()

    async def set(self, key: str, value: Buffer) -> None:
        """Write one file, whole or not at all."""
        self._check_writable()
        await asyncio.to_thread(self._put, self.root / key, value.as_buffer_like())

    def sync(self) -> None:
        """Have on the disk what was written since the last time, so that not even a power cut takes it."""
        written, self._written = self._written, set()
        sync_paths([*written, *{path.parent for path in written}])

    def _put(self, path: Path, content: Any) -> None:
        temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
        self._make_folder(path.parent)
        try:
            with temporary.open("wb") as file:
                file.write(content)
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            self._check_there()
            raise
        self._written.add(path)

    def _make_folder(self, folder: Path) -> None:
        """Make the folders of a chunk, but never the recording's own."""
        if folder.is_dir():
            return
        if folder == self.root:
            self._check_there()
        self._make_folder(folder.parent)
        if folder.name == "c" and not (folder.parent / "zarr.json").exists():
            raise RunError(f"{folder.parent} is gone: it was moved or deleted while it was recorded")
        try:
            folder.mkdir(exist_ok=True)
        except FileNotFoundError:
            self._check_there()
            raise

    def _check_there(self) -> None:
        if not (self.root / "zarr.json").exists():
            raise RunError(f"{self.root} is gone: it was moved or deleted while it was recorded")


def sync_paths(paths: Iterable[Path]) -> None:
    """Have files and folders on the disk."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def drop(path: Path) -> None:
    """Remove a file, or a folder that lies in its place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
