"""Looks for everything in a store that is not as its writers left it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import zarr

from recorders.contract import ABSENT, COMMITS, MANIFEST, chunk_checksums, is_altered, listed_checksum
from recorders.store.documents import read_document
from recorders.store.manifest import chunk_paths, content
from recorders.store.recording import STATE
from recorders.store.root import leftovers, recording_names
from recorders.store.stored_names import MASKS
from recorders.upkeep.committed_runs import run_problems


class Harm(StrEnum):
    """What a finding costs, and by that what can be done about it."""

    LEFTOVER = "--repair removes it"
    GROUP = "--repair writes it anew"
    MANIFEST = "--repair writes one"
    RUNS = "restore it from a copy, or --repair and record again the runs that it marks"
    RECORDING = "restore it from a copy, or --repair moves the recording aside, and record it again"


@dataclass(frozen=True)
class Finding:
    """Something in a store that is not as its writers left it.

    Attributes
    ----------
    place : Path
        The file or folder.
    what : str
        What is wrong with it.
    harm : Harm
        What it costs.
    recording : str
        Where it lies; empty for the store itself.
    rows : tuple of int
        Positions of the runs that it spoils.
    """

    place: Path
    what: str
    harm: Harm
    recording: str = ""
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.place}: {self.what}; {self.harm}"


def store_findings(store: Path) -> Iterator[Finding]:
    """Verify a whole store, which may be being written.

    Parameters
    ----------
    store : Path
        Folder of the study.

    Yields
    ------
    Finding
        The store's own first, then those of one recording after the other.
    """
    if problem := group_problem(store):
        yield Finding(store / "zarr.json", problem, Harm.GROUP)
    for place in leftovers(store):
        yield Finding(place, "was left behind by a process that was killed", Harm.LEFTOVER)
    names = recording_names(store)
    for folder in sorted(store.iterdir()):
        if folder.is_dir() and not folder.name.startswith(".") and folder.name not in (*names, "zarr.json"):
            yield Finding(folder, "has no zarr.json", Harm.RECORDING, folder.name)
    for name in names:
        yield from recording_findings(store, name)


def recording_findings(store: Path, name: str) -> Iterator[Finding]:
    """Verify one recording."""
    folder = store / name
    if problem := group_problem(folder):
        yield Finding(folder / "zarr.json", problem, Harm.RECORDING, name)
        return
    attributes = read_document(folder)["attributes"]
    if "coordinates" not in attributes:
        yield Finding(folder / "zarr.json", "is not the metadata of a recording", Harm.RECORDING, name)
        return
    manifest: Mapping[str, str | None] | None = attributes.get(MANIFEST)
    documents: dict[str, dict[str, Any]] = {}
    for path in _array_paths(folder, manifest or {}):
        document, problem = _array_document(folder, path, must_tell=path in (manifest or ()))
        if problem:
            harm = Harm.GROUP if path == MASKS else Harm.RECORDING
            yield Finding(folder / path / "zarr.json", problem, harm, name)
        elif document is not None:
            documents[path] = document
    for partial in sorted(folder.rglob("*.partial")):
        yield Finding(partial, "was left behind by a process that was killed", Harm.LEFTOVER, name)
    if manifest is None:
        yield Finding(folder, "has no manifest, so that a lost file cannot be told", Harm.MANIFEST, name)
    for path, document in documents.items():
        listed = (manifest or {}).get(path)
        found = _unreadable(folder, path, document) if manifest is None else _differing(folder, path, document, listed)
        for position, file, what in found:
            rows = _rows(document, position) if _is_series(path, document) else ()
            yield Finding(file, what, Harm.RUNS if rows else Harm.RECORDING, name, rows)
    if manifest is not None and manifest.get(COMMITS, "") is None and documents.keys() >= {*STATE}:
        for row, path, what in run_problems(folder, documents):
            yield Finding(folder / path / "c" / str(row), what, Harm.RUNS, name, (row,))


def group_problem(folder: Path) -> str:
    """Say what is wrong with the metadata of a store or a recording; nothing where they are whole."""
    try:
        document = read_document(folder)
    except FileNotFoundError:
        return "is missing"
    except (OSError, ValueError) as error:
        return f"cannot be read ({error})"
    if not isinstance(document, dict) or document.get("node_type") != "group":
        return "is not the metadata of a group"
    attributes = document.get("attributes")
    if not isinstance(attributes, dict) or not isinstance(attributes.get("burden_schema"), int):
        return "has no burden_schema"
    return "is not what was written" if is_altered(document, "") else ""


def _array_paths(folder: Path, manifest: Mapping[str, str | None]) -> list[str]:
    """List the arrays that there should be, and those that there are."""
    there = [*folder.glob("*/zarr.json"), *folder.glob(f"{MASKS}/*/zarr.json")]
    found = (str(path.parent.relative_to(folder)) for path in sorted(there))
    return list(dict.fromkeys([*manifest, *found]))


def _array_document(folder: Path, path: str, *, must_tell: bool) -> tuple[dict[str, Any] | None, str]:
    """Read what describes an array, and say what is wrong with it; nothing for what is no array."""
    try:
        document = read_document(folder / path)
    except FileNotFoundError:
        return None, "is missing"
    except (OSError, ValueError) as error:
        return None, f"cannot be read ({error})"
    if not isinstance(document, dict) or is_altered(document, path, must_tell=must_tell):
        return None, "is not what was written"
    return (document, "") if document.get("node_type") == "array" else (None, "")


def _differing(
    folder: Path, path: str, document: Mapping[str, Any], listed: str | None
) -> Iterator[tuple[int, Path, str]]:
    """Compare the chunks of an array that is final with the manifest."""
    if listed is None:
        return
    for position, file in enumerate(chunk_paths(folder / path, document)):
        said, found = listed_checksum(listed, position), chunk_checksums([content(file)])
        if said != found:
            yield position, file, "is missing" if found == ABSENT else "is not what was written"


def _unreadable(folder: Path, path: str, document: Mapping[str, Any]) -> Iterator[tuple[int, Path, str]]:
    """Find the chunks of an array that cannot be decoded."""
    array = zarr.open_array(folder / path, mode="r")
    try:
        array[...]
    except Exception:
        for position, file in enumerate(chunk_paths(folder / path, document)):
            try:
                array.blocks[tuple(int(part) for part in file.relative_to(folder / path / "c").parts)]
            except Exception as error:
                yield position, file, f"cannot be read ({error})"


def _is_series(path: str, document: Mapping[str, Any]) -> bool:
    """Whether the chunks of an array are of runs alone, so that losing one leaves the others."""
    return path.startswith(f"{MASKS}/") or document["dimension_names"][1:2] in (["record"], ["update"])


def _rows(document: Mapping[str, Any], position: int) -> tuple[int, ...]:
    """Find the runs that a chunk holds, by its position in C order."""
    lengths = document["chunk_grid"]["configuration"]["chunk_shape"]
    grid = [-(-n // m) for n, m in zip(document["shape"], lengths, strict=True)]
    after = 1
    for count in grid[1:]:
        after *= count
    first = position // after * lengths[0]
    return tuple(range(first, min(first + lengths[0], document["shape"][0])))
