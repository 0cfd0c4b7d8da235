from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from burden_analysis.results.outcome import Outcome
from burden_analysis.results.written import UNWRITTEN, plain, to_json


@dataclass
class Part:
    first: float
    hidden: list[int] = field(metadata=UNWRITTEN)
    second: Outcome = Outcome.UNDECIDED


@dataclass
class Whole:
    name: str
    part: Part
    parts: tuple[Part, ...]
    table: pd.DataFrame


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, None),
        (-math.inf, None),
        (np.float64("nan"), None),
        (np.int64(3), 3),
        (np.str_("a"), "a"),
        (True, True),
        (Outcome.NOT_SUPPORTED, "unsupported"),
        ({1: (math.nan, Path("a"))}, {"1": [None, "a"]}),
        (pd.DataFrame({"x": [1.5, math.nan], "n": [1, 2]}), [{"x": 1.5, "n": 1}, {"x": None, "n": 2}]),
    ],
)
def test_every_kind_of_value(value: Any, expected: Any) -> None:
    assert plain(value) == expected
    assert json.loads(to_json(value), parse_constant=lambda text: pytest.fail(text)) == expected


def test_a_dataclass_is_its_fields_in_order_and_one_in_a_field_adds_its_own() -> None:
    whole = Whole("a", Part(math.inf, [1]), (Part(2.0, [2]),), pd.DataFrame({"test": ["page"]}))
    assert list(plain(whole).items()) == [
        ("name", "a"),
        ("first", None),
        ("second", "undecided"),
        ("parts", [{"first": 2.0, "second": "undecided"}]),
        ("table", [{"test": "page"}]),
    ]
