"""The manifest of a recording: its arrays, with the checksums of the chunks of those that change no more."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recorders.contract import MANIFEST, chunk_checksums
from recorders.store.documents import attributes_of, read_document, write_group

Manifest = dict[str, str | None]


def stored_chunks(recording: Path, arrays: Iterable[str], *, final: Collection[str]) -> Manifest:
    """Write down arrays by path (and the group of masks): None for those that are not final yet."""
    return {
        path: chunk_checksums(map(content, chunk_paths(recording / path, read_document(recording / path))))
        if path in final
        else None
        for path in arrays
    }


def mask_checksums(recording: Path, row: int, arrays: Iterable[str]) -> dict[str, str]:
    """Write down the final masks of a run that are stored, by path of their array."""
    found = {}
    for path in arrays:
        first = recording / path / "c" / str(row)
        if first.exists():  # one chunk holds all of a run
            found[path] = chunk_checksums(content(leaf) for leaf in leaves(first))
    return found


@contextmanager
def changing(recording: Path, path: str) -> Iterator[None]:
    """Change an array that is final: until it is whole again nothing is said of it."""
    attributes = attributes_of(recording)
    if MANIFEST not in attributes:
        yield
        return
    write_group(recording, attributes | {MANIFEST: attributes[MANIFEST] | {path: None}})
    yield
    write_group(
        recording, attributes | {MANIFEST: attributes[MANIFEST] | stored_chunks(recording, [path], final=[path])}
    )


def chunk_paths(folder: Path, document: Mapping[str, Any]) -> Iterator[Path]:
    """List where the chunks of an array are, in C order of its chunk grid, whether they were written or not."""
    for place in chunk_places(document):
        yield folder.joinpath("c", *map(str, place))


def leaves(path: Path) -> Iterator[Path]:
    """Files at a path and below it, first things first."""
    if path.is_dir():
        for inner in sorted(path.iterdir()):
            yield from leaves(inner)
    else:
        yield path


def chunk_places(document: Mapping[str, Any]) -> Iterator[tuple[int, ...]]:
    """Positions of the chunks of an array, in C order."""
    lengths = document["chunk_grid"]["configuration"]["chunk_shape"]
    return itertools.product(*(range(-(-n // m)) for n, m in zip(document["shape"], lengths, strict=True)))


def content(path: Path) -> bytes | None:
    """Read a chunk as it is stored; None where there is none."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
