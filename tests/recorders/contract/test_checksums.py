from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorders.contract import (
    ABSENT,
    Commit,
    chunk_checksums,
    is_altered,
    is_whole_file,
    listed_checksum,
    plain_nans,
    row_checksums,
    sealed,
    sealed_file,
    text_checksum,
)

# RFC 3720, appendix B.4, and the usual check value of CRC-32C.
KNOWN = [
    (b"123456789", "e3069283"),
    (bytes(32), "8a9136aa"),
    (b"\xff" * 32, "62a8ab43"),
    (bytes(range(32)), "46dd794e"),
]
DOCUMENT = {"zarr_format": 3, "node_type": "array", "shape": [3], "attributes": {"units": "1"}}


@pytest.mark.parametrize(("content", "known"), KNOWN)
def test_chunks_are_told_by_crc32c(content: bytes, known: str) -> None:
    assert chunk_checksums([content]) == known
    assert chunk_checksums([None, content, None]) == ABSENT + known + ABSENT
    assert [listed_checksum(ABSENT + known, i) for i in range(3)] == [ABSENT, known, ABSENT]


@pytest.mark.parametrize(("content", "known"), KNOWN)
def test_rows_are_told_by_crc32c_of_their_bytes(content: bytes, known: str) -> None:
    values = np.frombuffer(content, np.uint8)
    assert row_checksums(values, 100) == known
    assert row_checksums(np.concatenate([values, values]), len(values)) == 2 * known


@given(st.lists(st.integers(0, 7), max_size=8), st.integers(1, 5))
def test_rows_written_in_pieces_are_told_as_if_at_once(pieces: list[int], block: int) -> None:
    values = np.arange(3.0 * sum(pieces), dtype=np.float32).reshape(-1, 3)
    told, first = "", 0
    for count in pieces:
        told, first = row_checksums(values[first : first + count], block, first, told), first + count
    assert told == row_checksums(values, block)
    commit = Commit(rows={"loss": told})
    assert list(commit.differing("loss", values, block)) == []
    for row in range(len(values)):
        altered = values.copy()
        altered[row, 1] += 1
        assert list(commit.differing("loss", altered, block)) == [row // block]


def test_a_nan_is_told_as_the_fill_value_whatever_its_bits() -> None:
    odd = np.array([0x7FC00000, 0xFFC00001, 0x3F800000], np.uint32).view(np.float32)
    assert row_checksums(plain_nans(odd), 9) == row_checksums(np.array([np.nan, np.nan, 1], np.float32), 9)
    assert plain_nans(np.array([1, 2])).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("change", "altered"),
    [
        ({}, False),
        ({"consolidated_metadata": {"metadata": {}}}, False),
        ({"shape": [4]}, True),
        ({"attributes": {"units": "2"}}, True),
        ({"more": 1}, True),
    ],
)
def test_metadata_tell_when_they_are_altered(change: dict[str, object], altered: bool) -> None:
    whole = sealed(DOCUMENT, "loss")
    attributes = whole["attributes"] | change.pop("attributes", {})  # type: ignore[operator]
    assert is_altered(whole | change | {"attributes": attributes}, "loss") is altered
    assert is_altered(whole, "accuracy")  # metadata of arrays that were swapped
    assert not is_altered(DOCUMENT, "loss")  # of a version that told nothing
    assert is_altered(DOCUMENT, "loss", must_tell=True)


def test_every_flipped_bit_of_a_sealed_file_is_noticed() -> None:
    content = sealed_file(sealed(DOCUMENT, ""))
    assert is_whole_file(content)
    assert not is_altered(json.loads(content), "")
    assert not is_whole_file(json.dumps(DOCUMENT).encode())
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not is_whole_file(bytes(flipped))


@given(st.builds(Commit, rows=st.dictionaries(st.text(), st.text("0123456789abcdef")), ended=st.text()))
def test_a_commit_is_read_as_it_was_written(commit: Commit) -> None:
    assert Commit.parsed(commit.text()) == commit


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "3", '{"records":[1]}', '{"rows":3}', '{"else":1}', '{"records":["a","b"]}']
)
def test_what_is_no_commit_is_none(text: str) -> None:
    assert Commit.parsed(text) is None


def test_texts_are_told_whatever_array_they_come_in() -> None:
    said = {"remarks": "a", "mask_source": ["b", ""], "unknown": "c"}
    other = {"mask_source": np.array(["b", ""]), "remarks": np.array("a", object)}
    assert text_checksum(said) == text_checksum(other)
    assert text_checksum(said) != text_checksum(said | {"remarks": ""})
