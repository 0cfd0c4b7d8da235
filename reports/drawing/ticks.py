"""Tick values for logarithmic axes of any range; numbers on ticks of any axis, printed without small exponents."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, Formatter, MaxNLocator, NullLocator

from burden_analysis.results.words import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

_STEPS = ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))  # densest first
MOST = 6
_SLACK = 1e-9  # powers of ten are not exact
_FEWEST, _MOST_DIGITS = 3, 17
_FAITHFUL = 1e-3  # of the distance between ticks: a label is not further than this from its tick


class TickNumbers(Formatter):
    """Prints ticks as `number` does, with as many digits as the ticks of the axis need to be told apart."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Print one tick."""
        ticks = self.axis.get_majorticklocs().tolist() if isinstance(self.axis, Axis) else []
        digits, decimals = tick_digits(ticks or [x])
        return number(round(float(x), decimals) + 0.0, digits)


def tick_digits(ticks: Sequence[float]) -> tuple[int, int]:
    """Find how many digits print ticks faithfully, and how many decimals are more than noise of their arithmetic."""
    step = float(min(np.diff(np.unique(ticks)), default=abs(ticks[0]) or 1.0))
    decimals = 6 - math.floor(math.log10(step))
    exact = [round(tick, decimals) for tick in ticks]

    def faithful(digits: int) -> bool:
        return all(abs(float(f"{tick:.{digits}g}") - tick) <= _FAITHFUL * step for tick in exact)

    return next(filter(faithful, range(_FEWEST, _MOST_DIGITS)), _MOST_DIGITS), decimals


def log_ticks(low: float, high: float, most: int = MOST) -> list[float]:
    """Choose round tick values inside [low, high] for a logarithmic axis."""
    decades = np.arange(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    choices = [np.outer(10.0**decades, steps).ravel() for steps in _STEPS]
    # Strides are counted from 10⁰, so that an axis of ratios keeps its 1.
    choices += [10.0 ** decades[decades % stride == 0] for stride in range(2, len(decades))]
    fewest = 2 if high / low >= 10 else 3
    inside = [_within(ticks, low, high) for ticks in choices]
    for ticks in inside:
        if fewest <= len(ticks) <= most:
            return ticks
    # Below about a decade equal steps read better than powers.
    return _within(np.asarray(MaxNLocator(most - 1, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)), low, high)


def set_log_axis(ax: Axes, low: float, high: float, most: int = MOST) -> None:
    """Make the vertical axis logarithmic with these ends and our ticks."""
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    ax.yaxis.set_major_locator(FixedLocator(log_ticks(low, high, most)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(TickNumbers())


def _within(ticks: npt.NDArray[np.float64], low: float, high: float) -> list[float]:
    return [float(tick) for tick in ticks if low * (1 - _SLACK) <= tick <= high * (1 + _SLACK)]
