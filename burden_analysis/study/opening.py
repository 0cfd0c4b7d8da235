"""Opens a study: every recording of a store as one labelled Dataset, in memory or read when it is asked for."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
import xarray as xr

from burden_analysis.arrangement.levels import with_levels
from burden_analysis.study.asked import check_variables, chosen
from burden_analysis.study.damage import DamagedError, DamageWarning, LeftOut
from burden_analysis.study.files import Archive, Folder, Remote
from burden_analysis.study.joining import stitch, union
from burden_analysis.study.lazy import check_chunks, lazy_array
from burden_analysis.study.reading import read_recording
from burden_analysis.study.recording import Field, Recording, VanishedError, check_schema, group_document
from recorders.contract import SCHEMA_VERSION, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from burden_analysis.study.files import Files

_TOLD = 5  # parts that warnings name one by one


def open_study(
    store: str | os.PathLike[str],
    *,
    recordings: str | Iterable[str] | None = None,
    variables: str | Iterable[str] | None = None,
    chunks: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Read a study, finished or still being written.

    Parameters
    ----------
    store : str or path
        A folder, a ``.zip`` of one, or an fsspec URL (``s3://bucket/study.zarr``).
    recordings : str or iterable of str, optional
        Which recordings to read; all by default.
    variables : str or iterable of str, optional
        Which series over records and mask updates to read; all by default. Coordinates and the state of the runs
        (``status``, ``records_written``, ``remarks``, …) are always there; of an empty list nothing else.
    chunks : mapping, optional
        None: values in memory. A mapping: series are dask arrays that are read when they are computed, in chunks of
        these lengths by dimension, as xarray takes them; ``{}``: in the chunks that the store has.

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
        damaged (the file is named), holds no recordings, or not the ones or the variables asked for. Of a lazy study,
        when it is computed: a recording was rewritten since.
    """
    where = os.fspath(store)
    check_chunks(chunks)
    wanted = None if variables is None else [variables] if isinstance(variables, str) else list(variables)
    files = _files(where)
    left_out = _check_root(files, where)
    names = _recording_names(files, left_out)
    parts = {}
    for name in chosen(names, recordings):
        try:
            parts[name] = read_recording(files, name, where, wanted=wanted, lazy=chunks is not None)
            left_out += [LeftOut(f"{name}/{part.part}", part.damage) for part in parts[name].left_out]
        except VanishedError:
            if recordings is not None:
                raise
        except DamagedError as damage:
            left_out.append(LeftOut(f"recording {name}", damage))
    if not parts:
        raise _nothing(where, left_out)
    _warn(where, left_out)
    if wanted is not None:
        check_variables(wanted, parts, where)
    parts = stitch(parts)
    labelled = {name: _labelled(name, part) for name, part in parts.items()}
    fields = union(labelled) if len(labelled) > 1 else next(iter(labelled.values())).fields
    coordinates = {name for part in labelled.values() for name in part.coordinates}
    data = {name: _variable(field, chunks) for name, field in fields.items()}
    dataset = xr.Dataset(
        {name: variable for name, variable in data.items() if name not in coordinates},
        {name: variable for name, variable in data.items() if name in coordinates},
        {
            "burden_schema": SCHEMA_VERSION,
            "recordings": {k: {"config": part.config, "provenance": part.provenance} for k, part in parts.items()},
            **({"left_out": [part.told(where) for part in left_out]} if left_out else {}),
        },
    )
    return with_levels(dataset)


def _files(where: str) -> Files:
    if "://" not in where and not Path(where).exists():
        raise InputError(f"{where} does not exist: give the path of a study store")
    try:
        if "://" in where:
            return Remote(where)
        return Archive(Path(where)) if Path(where).is_file() else Folder(Path(where))
    except (BadZipFile, ValueError, ImportError, OSError) as error:
        raise InputError(f"{where} cannot be opened as a study store: {error}") from error


def _check_root(files: Files, where: str) -> list[LeftOut]:
    """Refuse what is no store of ours; a root that is damaged is left out where recordings can be opened without."""
    try:
        content = next(iter(files.read(["zarr.json"])))
    except (ValueError, RuntimeError, ImportError, OSError) as error:
        raise InputError(f"{where} cannot be opened as a study store: {error}") from error
    try:
        if content is None:
            raise DamagedError("zarr.json", "is missing")
        check_schema(group_document(content, "zarr.json")["attributes"], where)
    except DamagedError as damage:
        if not any(_is_ours(files, name) for name in files.folders("")):
            raise InputError(f"{where} is not a zarr v3 group: give the path of a study store") from damage
        return [LeftOut("what the store says of itself", damage)]
    return []


def _contents(files: Files, keys: Sequence[str]) -> list[bytes | None]:
    """Read files together; empty where one is refused, which whoever needs it will say."""
    try:
        return list(files.read(keys))
    except DamagedError:
        return [b""] if len(keys) == 1 else [content for key in keys for content in _contents(files, [key])]


def _is_ours(files: Files, name: str) -> bool:
    place = f"{name}/zarr.json"
    [content] = _contents(files, [place])
    try:
        return content is not None and isinstance(
            group_document(content, place)["attributes"].get("burden_schema"), int
        )
    except DamagedError:
        return False


def _recording_names(files: Files, left_out: list[LeftOut]) -> list[str]:
    """Visible child groups, and those that a compaction has moved aside but not yet replaced."""
    listed = sorted(name for name in files.folders("") if not name.startswith(".") or name.endswith(".old"))
    found = set()
    for name, content in zip(listed, _contents(files, [f"{name}/zarr.json" for name in listed]), strict=True):
        own = name[1:].removesuffix(".old") if name.startswith(".") else name
        if content is not None:
            found.add(own)
        elif name == own and any(_contents(files, [f"{name}/{array}/zarr.json" for array in files.folders(name)])):
            left_out.append(LeftOut(f"recording {own}", DamagedError(f"{name}/zarr.json", "is missing")))
    return sorted(found)


def _nothing(where: str, left_out: Sequence[LeftOut]) -> InputError:
    if not left_out:
        return InputError(f"{where} holds no recordings yet: record one first")
    return InputError(
        f"nothing of {where} can be opened: {where}/{left_out[-1].damage}; restore the file from a copy, or see burden "
        f"verify {where}"
    )


def _warn(where: str, left_out: Sequence[LeftOut]) -> None:
    for part in left_out[:_TOLD]:
        warnings.warn(part.told(where), DamageWarning, stacklevel=3)
    if len(left_out) > _TOLD:
        text = f"{where}: {len(left_out) - _TOLD} more parts are left out: burden verify {where} names all"
        warnings.warn(text, DamageWarning, stacklevel=3)


def _labelled(name: str, part: Recording) -> Recording:
    """Say of every run which recording it lies in."""
    label = Field(("run",), np.array([name] * part.sizes["run"]), {})
    return replace(part, fields={**part.fields, "recording": label}, coordinates={*part.coordinates, "recording"})


def _variable(field: Field, chunks: Mapping[str, Any] | None) -> xr.Variable:
    data = field.data if isinstance(field.data, np.ndarray) else lazy_array(field.data, field.dims, chunks or {})
    return xr.Variable(field.dims, data, dict(field.attrs))
