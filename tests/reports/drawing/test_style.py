"""Colours and dashes of strategies: readable, and told apart."""

from __future__ import annotations

import pytest

from reports.drawing.style import LOOKS, contrast, looks, readable


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert all(contrast(readable(look.colour), "#ffffff") >= 4.5 for look in LOOKS.values())


def test_strategies_differ_in_colour_and_dash():
    shown = looks(["iterative", "optimal", "random", "mine", "yours"])
    assert shown["random"] == LOOKS["random"]
    assert len({look.colour for look in shown.values()}) == len({look.dash for look in shown.values()}) == 5
    assert looks(["set"])["set"] == looks(["gmp", "rigl", "set"])["set"] == LOOKS["set"]
    beside = looks(["mine", "gmp", "set", "yours"])
    assert len({look.colour for look in beside.values()}) == 4
