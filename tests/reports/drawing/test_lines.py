from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from reports.drawing.lines import lines
from reports.drawing.style import LOOKS, style


def curves(values: dict[tuple[str, int], list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [(name, seed, step, v) for (name, seed), own in values.items() for step, v in enumerate(own)],
        columns=["strategy", "seed", "step", "value"],
    )


@pytest.mark.parametrize("dashed", [True, False])
def test_curves_are_drawn_as_they_are_with_their_looks(dashed):
    data = curves({("random", 0): [3, 1, 2], ("iterative", 0): [1, np.nan, 4, 5], ("iterative", 1): [2, 2]})
    with style():
        ax = Figure().subplots()
        ax.set_ylabel("norm")
        lines(ax, data, LOOKS, dashed=dashed, linewidth=0.5)
    drawn = {(tuple(line.get_xdata()), tuple(line.get_ydata())): line for line in ax.lines}
    assert set(drawn) == {((0,), (1,)), ((2, 3), (4, 5)), ((0, 1), (2, 2)), ((0, 1, 2), (3, 1, 2))}
    assert [line.get_marker() for line in drawn.values()].count("o") == 1  # a point alone would not be seen
    last = drawn[(0, 1, 2), (3, 1, 2)]
    assert last.get_color() == LOOKS["random"].colour
    assert last.is_dashed() == dashed
    assert not drawn[(0, 1), (2, 2)].is_dashed()
    assert {line.get_linewidth() for line in ax.lines} == {0.5}
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_legend()) == ("", "norm", None)


def test_nothing_to_draw():
    ax = Figure().subplots()
    lines(ax, curves({}), LOOKS)
    assert not ax.lines
