from __future__ import annotations

import math
from typing import Any

import pytest

from burden_analysis.results.question import Question
from recorders.contract import InputError

ASKED = {"indicator": "gradient_norm", "order": ("a", "b", "c"), "window": 0.2, "scale": "log", "alpha": 0.05}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"alpha": 0.5}, "is no level of a test"),
        ({"alpha": math.nan}, "is no level of a test"),
        ({"window": 0.0}, "is not a share of the records"),
        ({"window": 1.1}, "is not a share of the records"),
        ({"scale": "lgo"}, "unknown scale 'lgo'"),
    ],
)
def test_what_cannot_be_asked_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Question(**ASKED | change)


@pytest.mark.parametrize(
    ("scale", "neutral", "contrasts"), [("log", 1.0, ["b / a", "c / b"]), ("raw", 0.0, ["b − a", "c − b"])]
)
def test_the_scale_says_what_no_difference_is_and_how_contrasts_are_called(
    scale: str, neutral: float, contrasts: list[str]
) -> None:
    asked = Question(**ASKED | {"scale": scale})
    assert (asked.neutral, asked.contrasts, asked.level) == (neutral, contrasts, 0.95)
