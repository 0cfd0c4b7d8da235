"""Types of settings, and pydantic's complaints about them as one line each. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from functools import wraps
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from recorders.contract import InputError, short_name, unknown_name

T = TypeVar("T")
CHECKED = ConfigDict(extra="forbid", use_attribute_docstrings=True)


def _number(value: Any) -> Any:
    """Read a number that YAML 1.1 takes for text: 1e-3, without a dot."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


# Strict: True is no number, "5" and 5.0 are no int; an int is a float.
Flag = Annotated[bool, Field(strict=True)]
Amount = Annotated[int, Field(strict=True, ge=0)]
Count = Annotated[int, Field(strict=True, gt=0)]
Number = Annotated[float, BeforeValidator(_number), Field(strict=True, allow_inf_nan=False)]


def one_line_errors(section: type[T]) -> type[T]:
    """Let a pydantic dataclass raise `InputError`, in one line, where it refuses a value."""
    made = section.__init__

    @wraps(made)
    def init(self: T, *values: Any, **named: Any) -> None:
        try:
            made(self, *values, **named)
        except ValidationError as error:
            raise _one_line(section, error.errors(include_url=False)[0]) from None

    section.__init__ = init  # type: ignore[assignment]
    return section


def fields(section: type) -> dict[str, Any]:
    """Return pydantic's fields of a dataclass, by name: annotation, default and description."""
    found: dict[str, Any] = section.__pydantic_fields__  # type: ignore[attr-defined]
    return found


def places(section: type) -> dict[str, tuple[str, ...]]:
    """Return the path of every setting by its short name: ``{"epochs": ("training", "epochs"), ...}``."""
    found: dict[str, tuple[str, ...]] = {}
    for name, field in fields(section).items():
        inside = getattr(field.annotation, "__pydantic_fields__", None)
        if inside is not None:
            found |= {short_name(name, own): (name, own) for own in inside}
        else:
            found[name] = (name,)
    return found


def _one_line(section: type, error: Mapping[str, Any]) -> InputError:
    """Say what was asked, what is possible and, by the field's description, what it is."""
    path = tuple(str(part) for part in error["loc"] if not isinstance(part, int))
    if error["type"] in ("unexpected_keyword_argument", "invalid_key"):
        return _unknown(section, tuple(map(str, error["loc"])), error["input"])
    if error["type"] == "value_error":
        cause = error["ctx"]["error"]
        return cause if isinstance(cause, InputError) else InputError(f"{'.'.join(path)} {cause}")
    field = fields(section)[path[0]]
    for name in path[1:]:
        field = fields(field.annotation)[name]
    if error["type"] == "literal_error":
        return unknown_name(path[-1], str(error["input"]), get_args(field.annotation))
    must = error["msg"].replace("Input should be", "must be").replace("a valid tuple", "a list")
    about = f" ({field.description.rstrip('.')})" if field.description else ""
    return InputError(f"{'.'.join(path)} {must}, got {error['input']!r}{about}")


def _unknown(section: type, path: tuple[str, ...], value: Any) -> InputError:
    *at, key = path
    known = {p[-1] if at else name: p for name, p in places(section).items() if list(p[: len(at)]) == at}
    if key in known:  # where it was before settings had sections
        inside, name = known[key]
        kind = fields(section)[inside].annotation.__name__
        return InputError(
            f"{key} is now {inside}.{name}: write {inside}: {{{name}: {json.dumps(value, default=str)}}} in YAML, "
            f"{inside}={kind}({name}={value!r}) in Python"
        )
    close = get_close_matches(key, known, n=1)
    hint = f"; did you mean {'.'.join(known[close[0]])!r}?" if close else ""
    return InputError(
        f"unknown setting {'.'.join(path)!r}: choose from {', '.join(map('.'.join, known.values()))}{hint}"
    )
