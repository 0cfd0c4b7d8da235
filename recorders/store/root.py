"""A study store: a zarr v3 group whose child groups are recordings.

A recording is created under a temporary name and renamed, so that no reader ever meets half of one. Everything is
preallocated with NaN and never resized: resizing under a reader or a kill leaves stores that xarray cannot open.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from recorders.contract import SCHEMA_VERSION, InputError
from recorders.store.disk import disk_errors
from recorders.store.documents import attributes_of, read_document, write_group


def open_root(store: Path, *, create: bool) -> zarr.Group:
    """Open a study's root group, creating the store when asked."""
    if create and not store.exists():
        with disk_errors(store):
            _create_root(store)
    try:
        root = zarr.open_group(store, mode="r+", use_consolidated=False)
    except (FileNotFoundError, FileExistsError, NotADirectoryError, ValueError) as error:
        raise InputError(
            f"{store} is not a study store: give the path of one, or a path that does not exist"
        ) from error
    schema = root.attrs.get("burden_schema")
    if not isinstance(schema, int):
        raise InputError(f"{store} is a zarr group, but not a study store of this package: choose another path")
    if schema > SCHEMA_VERSION:
        raise InputError(
            f"{store} has schema {schema}, this version reads up to {SCHEMA_VERSION}: upgrade burden-analysis"
        )
    return root


def _create_root(store: Path) -> None:
    store.parent.mkdir(parents=True, exist_ok=True)
    temporary = store.with_name(f".{store.name}.tmp-{np.random.default_rng().integers(2**63):x}")
    temporary.mkdir()
    write_group(temporary, {"burden_schema": SCHEMA_VERSION})
    try:
        temporary.rename(store)
    except OSError:  # somebody else created it meanwhile
        shutil.rmtree(temporary)
        if not store.exists():
            raise


def recording_names(store: Path) -> list[str]:
    """Names of the recordings of a store, sorted; hidden groups are work in progress."""
    return sorted(p.parent.name for p in store.glob("[!.]*/zarr.json"))


def leftovers(store: Path) -> list[Path]:
    """Hidden groups of a store: work in progress, or what a kill left of it."""
    return sorted(p for end in ("tmp", "compact", "old", "removed") for p in store.glob(f".*.{end}"))


def note_schema(store: Path) -> None:
    """Note that this version writes into a store that an older one made; under `root_lock`."""
    attributes = attributes_of(store)
    if attributes["burden_schema"] != SCHEMA_VERSION:
        write_group(store, attributes | {"burden_schema": SCHEMA_VERSION})


def recording_with_setting(store: Path, name: str) -> str | None:
    """Find a recording whose runs have a setting of this name."""
    return next((other for other in recording_names(store) if name in _coordinates(store / other)), None)


def recording_with_scalar(store: Path, name: str) -> str | None:
    """Find a recording that holds a series of this name."""
    holders = (path.parent.parent.name for path in store.glob(f"[!.]*/{name}/zarr.json"))
    return next((other for other in holders if name not in _coordinates(store / other)), None)


def recording_with_another(store: Path, name: str, combine: str, *, but: str) -> str | None:
    """Find a recording, but one, where a name is no indicator combined in this way (``""``: no indicator at all)."""
    for path in store.glob(f"[!.]*/{name}/zarr.json"):
        other = path.parent.parent.name
        attributes = _attributes(path.parent)
        if other != but and (name in _coordinates(store / other) or attributes.get("combine", "") != combine):
            return other
    return None


def _coordinates(recording: Path) -> list[str]:
    return str(_attributes(recording).get("coordinates", "")).split()


def _attributes(folder: Path) -> dict[str, Any]:
    """Attributes of a group or array; none where it is damaged, or another process is replacing it."""
    try:
        return attributes_of(folder)
    except (OSError, ValueError, AttributeError):
        return {}


def drop_consolidated(store: Path) -> None:
    """Take the root's consolidated metadata away, before the list of recordings changes; under `root_lock`."""
    if "consolidated_metadata" in read_document(store):
        write_group(store, attributes_of(store))
