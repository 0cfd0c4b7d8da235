"""The ``zarr.json`` of groups and arrays: each with its checksum, written whole or not at all."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zarr.codecs import ZstdCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.metadata import ArrayV3Metadata

from recorders.contract import CHECKSUM, sealed, sealed_file

COMPRESSOR = ZstdCodec(level=0, checksum=True)
_NAME = "zarr.json"


def array_metadata(
    path: str,
    *,
    shape: tuple[int, ...],
    kind: str,
    chunks: tuple[int, ...],
    dims: tuple[str, ...],
    fill: Any,
    attributes: Mapping[str, Any],
) -> ArrayV3Metadata:
    """Describe an array; `path` is where in its recording it lies, `kind` its data type in zarr's words."""
    encoding: dict[str, Any] = (
        {"name": "vlen-utf8"}
        if kind == "string"
        else {"name": "bytes", **({} if kind == "bool" else {"configuration": {"endian": "little"}})}
    )
    metadata = ArrayV3Metadata.from_dict(
        {
            "zarr_format": 3,
            "node_type": "array",
            "shape": shape,
            "data_type": kind,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": tuple(max(1, n) for n in chunks)}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": fill,
            "codecs": (encoding, dict(COMPRESSOR.to_dict())),
            "dimension_names": dims,
            "attributes": {key: value for key, value in attributes.items() if key != CHECKSUM},
        }
    )
    written = metadata.to_buffer_dict(default_buffer_prototype())[_NAME].to_bytes()
    return metadata.update_attributes(sealed(json.loads(written), path)["attributes"])


def read_document(folder: Path) -> dict[str, Any]:
    """Read the ``zarr.json`` of a group or an array."""
    found: dict[str, Any] = json.loads((folder / _NAME).read_text(encoding="utf-8"))
    return found


def write_group(folder: Path, attributes: Mapping[str, Any], path: str = "") -> None:
    """Write or replace the ``zarr.json`` of a group; consolidated metadata are dropped. `path`: in its recording."""
    document = {"zarr_format": 3, "node_type": "group", "attributes": {**attributes}}
    write_document(folder, sealed(document, path))


def write_document(folder: Path, document: Mapping[str, Any]) -> None:
    """Write or replace a ``zarr.json``."""
    _replace(folder / _NAME, json.dumps(document, indent=2).encode())


def seal_file(folder: Path) -> None:
    """Have a ``zarr.json`` tell that it is whole as a file: what is in it need not be looked at one by one."""
    _replace(folder / _NAME, sealed_file(read_document(folder)))


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    temporary.write_bytes(content)
    temporary.replace(path)


def attributes_of(folder: Path) -> dict[str, Any]:
    """Attributes of a group, but for its checksum."""
    attributes = read_document(folder).get("attributes", {})
    return {key: value for key, value in attributes.items() if key != CHECKSUM}
