"""Numbers and lists as they stand in sentences."""

from __future__ import annotations

import pytest

from burden_analysis.results.words import counted, listing, number, span


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0046296, "0.00463"),
        (1.7e-8, "1.7×10⁻⁸"),
        (1e-5, "10⁻⁵"),
        (-2.5, "−2.5"),
        (5, "5"),
        (23450.0, "23450"),
        (0.0, "0"),
        (float("nan"), "–"),
        (None, "–"),
        (float("-inf"), "−∞"),
    ],
)
def test_number(value, text):
    assert number(value) == text


def test_words():
    assert [span([5, 5]), span([4, 5, 4]), span([])] == ["5", "4–5", "0"]
    assert [listing([]), listing(["a"]), listing("abc")] == ["", "a", "a, b and c"]
    assert [counted(1, "seed"), counted(2, "strategy"), counted(1200, "run")] == [
        "1 seed",
        "2 strategies",
        "1,200 runs",
    ]
