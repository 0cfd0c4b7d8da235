"""How a store says what belongs to it: zarr reads a chunk that is lost as if it had never been written.

Every ``zarr.json`` carries the CRC-32C of itself (attribute ``crc32c``). A recording's attribute ``manifest`` has the
CRC-32C of every chunk of the arrays that change no more: coordinates at first, all of them once it is compacted. What
runs have committed until then is told in the variable ``commits``, a text for each run that is written before its
commit mark (`Commit`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt

CHECKSUM, MANIFEST, COMMITS = "crc32c", "manifest", "commits"
ABSENT = "-" * 8  # a chunk that was never written
_FILE_CHECKSUM, _OPEN = "file_crc32c", "0" * 8
_FILE_FIELD = f'"{_FILE_CHECKSUM}": "'.encode()
MARKS = {"record": "records_written", "update": "updates_written"}  # commit marks by dimension, one count a run
TEXTS = ("initial_weights", "status_reason", "remarks", "mask_source", "activation_source")
_DIGITS = 8


def checksum(content: bytes | npt.NDArray[Any], before: str = "") -> str:
    """CRC-32C of bytes, or of an array's; goes on from that of what came before."""
    if isinstance(content, np.ndarray):
        content = np.ascontiguousarray(content).tobytes()
    return f"{google_crc32c.extend(int(before or '0', 16), content):08x}"


def document_checksum(document: Mapping[str, Any], path: str) -> str:
    """CRC-32C of a ``zarr.json`` and of where in its recording it lies, without itself and consolidated metadata."""
    own = (CHECKSUM, _FILE_CHECKSUM)
    attributes = {key: value for key, value in document.get("attributes", {}).items() if key not in own}
    kept = {key: value for key, value in document.items() if key != "consolidated_metadata"} | {
        "attributes": attributes
    }
    return checksum(json.dumps([path, kept], sort_keys=True, separators=(",", ":")).encode())


def sealed(document: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Give a ``zarr.json`` with its checksum."""
    attributes = {**document.get("attributes", {}), CHECKSUM: document_checksum(document, path)}
    return {**document, "attributes": attributes}


def sealed_file(document: Mapping[str, Any]) -> bytes:
    """Give the content of a ``zarr.json`` with the checksum of itself as a file, consolidated metadata included."""
    attributes = {**document.get("attributes", {}), _FILE_CHECKSUM: _OPEN}
    content = json.dumps({**document, "attributes": attributes}).encode()
    place = content.index(_FILE_FIELD) + len(_FILE_FIELD)
    return content[:place] + checksum(content).encode() + content[place + _DIGITS :]


def is_whole_file(content: bytes) -> bool:
    """Whether a ``zarr.json`` is, byte for byte, what `sealed_file` gave; False where it tells nothing of that."""
    place = content.find(_FILE_FIELD) + len(_FILE_FIELD)
    said = content[place : place + _DIGITS]
    return said == checksum(content[:place] + _OPEN.encode() + content[place + _DIGITS :]).encode()


def is_altered(document: Mapping[str, Any], path: str, *, must_tell: bool = False) -> bool:
    """Whether a ``zarr.json`` differs from what was written; those of older versions need not carry a checksum."""
    attributes = document.get("attributes", {})
    said = attributes.get(CHECKSUM)
    if said is None:
        return must_tell or MANIFEST in attributes
    return bool(said != document_checksum(document, path))


def chunk_checksums(contents: Iterable[bytes | None]) -> str:
    """Write down chunks as they are stored, in C order of the chunk grid; None for one that is absent."""
    return "".join(ABSENT if content is None else checksum(content) for content in contents)


def listed_checksum(listed: str, position: int) -> str:
    """Look up a chunk; ABSENT beyond the end."""
    return listed[position * _DIGITS : (position + 1) * _DIGITS] or ABSENT


def plain_nans(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Give every NaN the bits of the fill value: a chunk of nothing but NaN is not stored, and read as that."""
    return np.where(np.isnan(values), values.dtype.type(np.nan), values) if values.dtype.kind == "f" else values


def row_checksums(values: npt.NDArray[Any], block: int, first: int = 0, before: str = "") -> str:
    """Write down rows of a series, block by block.

    Parameters
    ----------
    values : array, shape (record, ...)
        Of one run.
    block : int
        Records in a chunk.
    first : int
        Position of the first of them.
    before : str
        Checksums of the rows before them.

    Returns
    -------
    str
        Checksums of all rows up to the last of these, eight digits a block.
    """
    while len(values):
        count = min(block - first % block, len(values))
        done, open_one = (before, "") if first % block == 0 else (before[:-_DIGITS], before[-_DIGITS:])
        before = done + checksum(values[:count], open_one)
        values, first = values[count:], first + count
    return before


def text_checksum(texts: Mapping[str, Any]) -> str:
    """Write down what is said of a run in words, by variable (`TEXTS`)."""
    said = {name: np.asarray(texts[name], dtype=object).tolist() for name in TEXTS if name in texts}
    return checksum(json.dumps(said).encode())


def empty_rows(shape: Sequence[int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Rows that were not written."""
    return np.full(tuple(shape), np.nan, dtype)


@dataclass
class Commit:
    """What a run has committed.

    It is written after the values and before the marks, so that between two writes the marks lie in these bounds.

    Attributes
    ----------
    records, updates : list of int
        Least and greatest commit mark that may be met; values are written down as far as the greatest.
    rows : dict of str to str
        Checksums of a series by name, see `row_checksums`.
    masks : dict of str to str
        Checksums of the chunks of its final masks, by array; what is not listed was never written (all active).
    ended : str
        Its status, once it has finished.
    texts : str
        Checksum of what is said of it in words (`TEXTS`), once it has finished.
    """

    records: list[int] = field(default_factory=lambda: [0, 0])
    updates: list[int] = field(default_factory=lambda: [0, 0])
    rows: dict[str, str] = field(default_factory=dict)
    masks: dict[str, str] = field(default_factory=dict)
    ended: str = ""
    texts: str = ""

    def text(self) -> str:
        """Write it down."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def parsed(cls, text: str) -> Commit | None:
        """Read it; None for a text that is none."""
        try:
            found = cls(**json.loads(text))
            bounds = [int(n) for n in (*found.records, *found.updates)]
        except (ValueError, TypeError):
            return None
        return found if len(bounds) == 4 and isinstance(found.rows, dict) and isinstance(found.masks, dict) else None

    def marks(self) -> dict[str, list[int]]:
        """Bounds of the marks by dimension."""
        return {"record": self.records, "update": self.updates}

    def differing(self, name: str, values: npt.NDArray[Any], block: int, first: int = 0) -> Iterator[int]:
        """Tell the blocks in which rows of a series, from the start of a block on, are not those written down."""
        listed = self.rows.get(name, "")
        for start in range(0, len(values), block):
            position = (first + start) // block
            if checksum(values[start : start + block]) != listed_checksum(listed, position):
                yield position
