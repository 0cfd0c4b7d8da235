"""One recording of a study as it was opened."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from burden_analysis.study.damage import DamagedError
from recorders.contract import SCHEMA_VERSION, InputError, is_altered, is_whole_file

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from burden_analysis.study.damage import LeftOut
    from burden_analysis.study.files import Files


Array = npt.NDArray[Any]


class Source(Protocol):
    """Values that are read when a window of them is asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every dimension."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of what is stored together."""

    def read(self, window: Sequence[slice]) -> Array:
        """Read a window."""


@dataclass(frozen=True, eq=False)
class Field:
    """A variable of a study: values in memory, or where they are read from."""

    dims: tuple[str, ...]
    data: Array | Source
    attrs: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording as it was opened.

    Attributes
    ----------
    fields : mapping of str to Field
        Its variables and coordinates by name.
    coordinates : collection of str
        Which of them are coordinates.
    config, provenance : mapping
        Its settings by short names, and where it comes from.
    stored : collection of str
        All that it holds, opened or not.
    """

    fields: Mapping[str, Field]
    coordinates: Collection[str]
    config: Mapping[str, Any]
    provenance: Mapping[str, Any]
    stored: Collection[str]
    left_out: Sequence[LeftOut] = ()

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Length of every dimension."""
        return {d: n for f in self.fields.values() for d, n in zip(f.dims, f.data.shape, strict=True)}

    def values(self, name: str) -> Array:
        """Values of a coordinate or of a state of runs, which are always in memory."""
        data = self.fields[name].data
        assert isinstance(data, np.ndarray)
        return data


class VanishedError(InputError):
    """A recording was removed while it was opened."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A recording whose metadata were read: whether it still is the same one."""

    files: Files
    key: str
    content: bytes
    name: str
    where: str

    def unchanged(self) -> bool:
        """Look again: a compaction that replaces the chunks under our reads replaces the attributes too."""
        return next(iter(self.files.read([f"{self.key}/zarr.json"]))) == self.content

    def check(self) -> None:
        """Refuse to read on in a recording that is another one by now."""
        if not self.unchanged():
            raise InputError(
                f"recording {self.name!r} of {self.where} was rewritten since it was opened: open the study again"
            )


def check_schema(attributes: Mapping[str, Any], what: str) -> None:
    """Refuse a group that is not ours or is newer than we are."""
    schema = attributes.get("burden_schema")
    if type(schema) is not int or schema < 1:
        raise InputError(f"{what} is a zarr group, but was not written by burden-analysis (no 'burden_schema')")
    if schema > SCHEMA_VERSION:
        raise InputError(
            f"{what} has schema {schema}, this version reads up to {SCHEMA_VERSION}: upgrade burden-analysis"
        )


def decoded_json(content: bytes, place: str) -> Any:
    """Read a ``zarr.json``."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedError(place, f"cannot be read ({error})") from error


def group_document(content: bytes, place: str) -> dict[str, Any]:
    """Read the metadata of a group of ours, which are what was written."""
    document = decoded_json(content, place)
    if not isinstance(document, dict) or document.get("node_type") != "group":
        raise DamagedError(place, "is not the metadata of a group")
    if not isinstance(document.setdefault("attributes", {}), dict):
        raise DamagedError(place, "has no attributes")
    if not is_whole_file(content) and is_altered(document, ""):
        raise DamagedError(place, "is not what was written")
    return document
