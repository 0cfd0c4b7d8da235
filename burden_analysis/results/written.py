"""Results as strict JSON: the fields of a result are its keys."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd

from recorders.contract import printable

UNWRITTEN = {"unwritten": True}
"""Metadata of a field that is not written."""


def plain(value: Any) -> Any:
    """Reduce a value to what strict JSON can hold."""
    match value:
        case Enum():
            return value.value
        case None | bool() | int() | str():
            return value
        case np.generic():
            return plain(value.item())
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case pd.DataFrame():
            return plain(value.to_dict("records"))
    return _fields(value) if is_dataclass(value) else str(value)


def to_json(value: Any, indent: int = 1) -> str:
    """Write a value as strict JSON, as `plain` reduces it."""
    # A control character's number means the same inside a JSON string.
    return printable(json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False))


def _fields(value: Any) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for own in fields(value):
        part = getattr(value, own.name)
        if own.metadata != UNWRITTEN:
            content |= plain(part) if is_dataclass(part) else {own.name: plain(part)}
    return content
