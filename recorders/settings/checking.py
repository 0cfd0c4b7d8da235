"""Types of settings, and pydantic's complaints about them as one line each. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import wraps
from typing import Annotated, Any, TypeVar, dataclass_transform, get_args

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from recorders.contract import InputError, short_name, shortened, unknown_name

T = TypeVar("T")
_MOST = 2**31 - 1  # of anything that is counted
_LONGEST = 100  # of a name that is compared with others


def _number(value: Any) -> Any:
    """Read a number that YAML 1.1 takes for text: 1e-3, without a dot."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


# Strict: True is no number, "5" and 5.0 are no int; an int is a float.
Flag = Annotated[bool, Field(strict=True)]
Seed = Annotated[int, Field(strict=True, ge=0)]
Amount = Annotated[int, Field(strict=True, ge=0, le=_MOST)]
Count = Annotated[int, Field(strict=True, gt=0, le=_MOST)]
Number = Annotated[float, BeforeValidator(_number), Field(strict=True, allow_inf_nan=False)]


@dataclass_transform(frozen_default=True, kw_only_default=True)
def section(described: type[T]) -> type[T]:
    """Make a frozen pydantic dataclass that raises `InputError`, in one line, where it refuses a value."""
    how = ConfigDict(extra="forbid", use_attribute_docstrings=True)
    made: type[T] = dataclass(frozen=True, kw_only=True, config=how)(described)  # type: ignore[assignment]
    check: Callable[..., None] = made.__init__

    @wraps(check)
    def init(self: T, **values: Any) -> None:
        try:
            check(self, **values)
        except ValidationError as error:
            raise _one_line(made, error.errors(include_url=False)[0]) from None

    made.__init__ = init  # type: ignore[assignment]
    return made


def fields(made: type) -> dict[str, Any]:
    """Return pydantic's fields of a dataclass, by name: annotation, default and description."""
    found: dict[str, Any] = made.__pydantic_fields__  # type: ignore[attr-defined]
    return found


def description(field: Any) -> str:
    """Return the docstring of a field in one line."""
    return " ".join((field.description or "").split())


def places(made: type) -> dict[str, tuple[str, ...]]:
    """Return the path of every setting by its short name: ``{"epochs": ("training", "epochs"), ...}``."""
    found: dict[str, tuple[str, ...]] = {}
    for name, field in fields(made).items():
        inside = getattr(field.annotation, "__pydantic_fields__", None)
        found |= {short_name(name, own): (name, own) for own in inside} if inside else {name: (name,)}
    return found


def _one_line(made: type, error: Mapping[str, Any]) -> InputError:
    """Say what was asked, what is possible and, by the field's description, what it is."""
    path = tuple(str(part) for part in error["loc"] if not isinstance(part, int))
    if error["type"] in ("unexpected_keyword_argument", "invalid_key"):
        return _unknown(made, tuple(map(str, error["loc"])), error["input"])
    if error["type"] == "value_error":
        cause = error["ctx"]["error"]
        return cause if isinstance(cause, InputError) else InputError(f"{'.'.join(path)} {cause}")
    field = fields(made)[path[0]]
    for name in path[1:]:
        field = fields(field.annotation)[name]
    if error["type"] == "literal_error":
        return unknown_name(path[-1], str(error["input"]), get_args(field.annotation))
    must = error["msg"].replace("Input should be", "must be").replace("a valid tuple", "a list")
    about = f" ({meaning.rstrip('.')})" if (meaning := description(field)) else ""
    return InputError(f"{'.'.join(path)} {must}, got {shortened(error['input'])}{about}")


def _unknown(made: type, path: tuple[str, ...], value: Any) -> InputError:
    *at, key = path
    known = {p[-1] if at else name: p for name, p in places(made).items() if list(p[: len(at)]) == at}
    if key in known:  # where it was before settings had sections
        inside, name = known[key]
        kind = fields(made)[inside].annotation.__name__
        written = json.dumps(value, default=str)[:_LONGEST]
        return InputError(
            f"{key} is now {inside}.{name}: write {inside}: {{{name}: {written}}} in YAML, "
            f"{inside}={kind}({name}={shortened(value)}) in Python"
        )
    close = get_close_matches(key[:_LONGEST], known, n=1)
    hint = f"; did you mean {'.'.join(known[close[0]])!r}?" if close else ""
    return InputError(f"unknown setting {shortened('.'.join(path))}: choose from {_listed(known.values())}{hint}")


def _listed(known: Iterable[tuple[str, ...]]) -> str:
    """List settings, those of a section together: ``seeds, training.(epochs, batch_size)``."""
    parts: dict[str, list[str]] = {}
    for *inside, name in known:
        parts.setdefault(".".join(inside), []).append(name)
    own = parts.pop("", [])
    return ", ".join([*own, *(f"{section}.({', '.join(names)})" for section, names in parts.items())])
