"""Opens a study: every recording of a store as one labelled Dataset in memory."""

from __future__ import annotations

import json
import os
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

import numpy as np
import zarr
from zarr.errors import GroupNotFoundError, MetadataValidationError, ZarrUserWarning
from zarr.storage import ZipStore

from burden_analysis.arrangement.levels import with_levels
from burden_analysis.study.joining import stitch, union
from burden_analysis.study.recording import as_mapping, check_schema, read_recording
from recorders.contract import SCHEMA_VERSION, InputError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import xarray as xr


def open_study(store: str | os.PathLike[str], *, recordings: str | Iterable[str] | None = None) -> xr.Dataset:
    """Read a study into memory, finished or still being written.

    Parameters
    ----------
    store : str or path
        A folder, a ``.zip`` of one, or an fsspec URL (``s3://bucket/study.zarr``).
    recordings : str or iterable of str, optional
        Which recordings to read; all by default.

    Returns
    -------
    xarray.Dataset
        Dimensions ``run``, ``record``, ``parameter``, ``layer``, ``update``; coordinates and variables as in
        `recorders.contract`, with ``recording`` added on ``run``. A run that went on in further recordings is one run.
        Several recordings are joined on the sorted union of
        their committed steps (coordinate ``step`` on ``record``). Sparsities that are the same number to their user are
        one (docs/store.md). Whatever a run has not committed is NaN; a recording
        without a single record adds its runs and no steps.
        ``attrs["recordings"]`` maps each recording to its ``config`` (settings by short names) and ``provenance``.

    Raises
    ------
    InputError
        The path does not exist, is no zarr group, was not written by this package or by a newer version of it, is
        damaged (the file is named), holds no recordings, or not the ones asked for.
    """
    where = os.fspath(store)
    with _opened(where) as root:
        check_schema(root, where)
        with _damage_named(where):
            names = _recording_names(root)
        if not names:
            raise InputError(f"{where} holds no recordings yet: record one first")
        parts = {}
        for name in _chosen(names, recordings):
            with _damage_named(f"{where}/{name}"):
                parts[name] = _with_steps(read_recording(root, name))
    parts = stitch(parts)
    labelled = {k: d.assign_coords(recording=("run", [k] * d.sizes["run"])) for k, d in parts.items()}
    dataset = union(labelled) if len(labelled) > 1 else next(iter(labelled.values()))
    dataset.attrs = {
        "burden_schema": SCHEMA_VERSION,
        "recordings": {name: as_mapping(part) for name, part in parts.items()},
    }
    return with_levels(dataset)


@contextmanager
def _opened(store: str) -> Iterator[zarr.Group]:
    local = "://" not in store
    if local and not Path(store).exists():
        raise InputError(f"{store} does not exist: give the path of a study store")
    archive, inside = None, ""
    try:
        if local and Path(store).is_file():
            archive, inside = ZipStore(store, mode="r"), _outer_folder(store)
        root = zarr.open_group(archive or store, path=inside, mode="r", zarr_format=3, use_consolidated=False)
    except GroupNotFoundError as error:
        raise InputError(f"{store} is not a zarr v3 group: give the path of a study store") from error
    except (BadZipFile, ValueError, ImportError, OSError) as error:
        raise InputError(f"{store} cannot be opened as a study store: {error}") from error
    try:
        yield root
    finally:
        if archive is not None:
            archive.close()


def _outer_folder(archive: str) -> str:
    """Name the folder of an archive that holds all of it, as zipping a folder from outside makes one; else nothing."""
    with ZipFile(archive) as opened:
        names = opened.namelist()
    folders = {name.partition("/")[0] for name in names}
    [folder, *others] = folders or {""}
    return folder if not others and f"{folder}/zarr.json" in names else ""


@contextmanager
def _damage_named(place: str) -> Iterator[None]:
    """Turn what zarr raises for damaged metadata or chunks into one line that names the file, if it can be told."""
    try:
        yield
    except (json.JSONDecodeError, MetadataValidationError, RuntimeError) as error:
        bad = next((path for path in sorted(Path(place).rglob("zarr.json")) if not _is_metadata(path)), place)
        raise InputError(
            f"{bad} is damaged ({error}): restore it from a copy, or move its recording out of the store"
        ) from error


def _is_metadata(path: Path) -> bool:
    try:
        return "node_type" in json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False


def _recording_names(root: zarr.Group) -> list[str]:
    """Visible child groups, and those that a compaction has moved aside but not yet replaced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrUserWarning)  # a foreign file beside the groups is not our concern
        keys = sorted(root.group_keys())
    aside = {k[1:].removesuffix(".old") for k in keys if k.startswith(".") and k.endswith(".old")}
    return sorted({k for k in keys if not k.startswith(".")} | aside)


def _with_steps(recording: xr.Dataset) -> xr.Dataset:
    """Give a recording without a single record, which lost its empty arrays when it was compacted, zero steps."""
    return recording if "step" in recording else recording.assign_coords(step=("record", np.empty(0, np.int64)))


def _chosen(names: list[str], asked: str | Iterable[str] | None) -> list[str]:
    if asked is None:
        return names
    chosen = [asked] if isinstance(asked, str) else list(dict.fromkeys(asked))
    for name in chosen:
        if name not in names:
            raise unknown_name("recording", name, names)
    if not chosen:
        raise InputError(f"recordings is empty: choose from {', '.join(names)}")
    return chosen
