"""YAML of strangers: plain values, or one line on what it is instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorders.contract import InputError, one_line, printable, shortened
from recorders.settings.axes import axes_of
from recorders.settings.presets import preset
from recorders.settings.settings import Settings
from recorders.settings.yaml_value import yaml_value

BOMB = "a: &a [1]\n" + "\n".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("3", 3),
        ("1e-3", "1e-3"),
        ("a: &x [1, 2]\nb: *x", {"a": [1, 2], "b": [1, 2]}),
        ("<<: {a: 1}", {"a": 1}),
    ],
)
def test_plain_values(text: str, value: object) -> None:
    assert yaml_value(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "aliases make more than 10000 values"),
        ("a: &a [*a]", "holds itself"),
        ("a: &a {b: *a}", "holds itself"),
        ("[" * 3000, "nested too deeply|expected the node content"),
        ("[" * 3000 + "]" * 3000, "nested too deeply"),
        ("epochs: 1\nepochs: 2", "'epochs' is given twice"),
        ("2001-99-99", "month must be in"),
        ("!!timestamp x", "not what its tag says"),
        ("!!int ''", "not what its tag says"),
        ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("a: 1\n---\na: 2", "expected a single document"),
        ("\0", "special characters are not allowed"),
        ("*a", "undefined alias"),
        ("'", "unexpected end of stream"),
        ("9" * 5000, "limit"),
    ],
)
def test_what_is_no_plain_value_is_said_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        yaml_value(text)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB.encode(), "is not YAML: its aliases"),
        (b"\xff\xfe\x00", "is not YAML: .*can't decode"),
        (b"x" * 100_001, "is larger than 100000 bytes"),
        (b"- 1", "must hold a mapping"),
        (b"seeds: [" + b"x" * 5000 + b"]", r"must be a valid integer, got 'x+\.\.\.x+'"),
    ],
)
def test_a_file_of_settings_that_is_none_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        preset("fig2", path)
    assert len(str(error.value)) < 600
    for other, reason in ((tmp_path, "Is a directory"), (tmp_path / "x\0", "null"), (Path("/dev/zero"), "larger")):
        with pytest.raises(InputError, match=reason):
            preset("fig2", other)


@pytest.mark.parametrize(
    "values", ["", "[1", "1,*a", "{a: 1}", "2001-99-99", "2001-01-01", "!!int x", "\0", "'", "null", "@x", "\t1"]
)
def test_an_axis_that_is_none_is_one_line(values: str) -> None:
    with pytest.raises(InputError, match="must be given once and as NAME=VALUE,VALUE"):
        axes_of(Settings(axes=[f"epochs={values}"]))


def test_long_values_and_unseen_marks_are_written_so_that_they_harm_nothing() -> None:
    assert printable("a\x1b[2J\u202eb\0\tc\n\x9b\ud800") == "a\\u001b[2J\\u202eb\\u0000\tc\n\\u009b\\ud800"
    assert printable("ünï ☃ 🙂") == "ünï ☃ 🙂"
    assert one_line(" a\r\n b\x1b ") == "a b\\u001b"
    assert shortened("x") == "'x'"
    assert len(shortened("x" * 10_000)) < 120
    deep: list[object] = [1]
    for _ in range(30):
        deep = [deep] * 30
    assert len(shortened(deep)) < 210
