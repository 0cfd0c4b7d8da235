"""Labels beside the ends of lines are moved apart, and no further than needed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.drawing.labels import spread


@given(st.lists(st.floats(-1, 2), min_size=1, max_size=6), st.floats(0.01, 0.1))
def test_spread_keeps_gaps_and_ends(wanted, gap):
    placed = np.sort(spread(wanted, gap, 0.0, 1.0))
    assert (np.diff(placed) >= gap - 1e-9).all()
    assert placed[0] >= -1e-9
    assert placed[-1] <= 1 + 1e-9


@pytest.mark.parametrize(
    ("wanted", "placed"),
    [
        ([], []),
        ([0.5], [0.5]),
        ([0.2, 0.8], [0.2, 0.8]),
        ([0.5, 0.5], [0.45, 0.55]),
        ([0.9, 0.1], [0.9, 0.1]),
        ([1.0, 1.0, 1.0], [0.8, 0.9, 1.0]),
        ([-1.0, 0.5], [0.0, 0.5]),
    ],
)
def test_spread_moves_no_more_than_needed(wanted, placed):
    assert spread(wanted, 0.1, 0.0, 1.0) == pytest.approx(placed)


def test_spread_centres_what_cannot_fit():
    assert spread([0.5] * 3, 0.6, 0.0, 1.0) == pytest.approx([-0.1, 0.5, 1.1])
