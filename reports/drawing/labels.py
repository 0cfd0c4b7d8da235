"""Direct labels at the ends of lines, moved apart where they would overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.transforms import offset_copy
from scipy.optimize import isotonic_regression

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

GAP = 1.25  # distance of neighbouring labels, in text heights
_BESIDE = 7.0  # distance of labels from the axes, in pt


@dataclass(frozen=True)
class End:
    """The last point of a line, and what to call it.

    Attributes
    ----------
    text : str
        The label.
    x, y : float
        The point, in data units.
    colour, ink : str
        Colour of the connector and of the text.
    """

    text: str
    x: float
    y: float
    colour: str
    ink: str


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move positions apart as little as possible (least squares) so that all fit between two ends."""
    if not len(wanted):
        return []
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(len(order))
    # Neighbours keep their gap exactly when the positions less k gaps do not decrease.
    level = isotonic_regression(np.asarray(wanted, float)[order] - steps).x
    top = high - steps[-1]
    level = np.clip(level, low, top) if top >= low else np.full(len(order), (low + top) / 2)
    placed = np.empty(len(order))
    placed[order] = level + steps
    return [float(p) for p in placed]


def label_ends(ax: Axes, ends: Sequence[End]) -> list[Annotation]:
    """Write labels right of the axes, each joined to its line by a hairline; `settle` moves them apart."""
    beside = offset_copy(ax.transAxes, ax.get_figure(root=True), x=_BESIDE, units="points")
    return [
        ax.annotate(
            end.text,
            (end.x, end.y),
            (1.0, 0.5),
            textcoords=beside,
            color=end.ink,
            va="center",
            ha="left",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "linewidth": 0.4,
                "color": end.colour,
                "relpos": (0.0, 0.5),
                "shrinkA": 0.5,
                "shrinkB": 0.5,
            },
        )
        for end in ends
    ]


def settle(ax: Axes, labels: Sequence[Annotation]) -> None:
    """Move labels to the heights of their lines, or as near as they fit; call when the layout is final."""
    if not labels:
        return
    figure = ax.get_figure(root=True)
    assert figure is not None
    height = float(labels[0].get_fontsize()) / 72 * figure.dpi / ax.bbox.height
    points = [ax.transData.transform(label.xy)[1] for label in labels]
    wanted = [ax.transAxes.inverted().transform((0.0, y))[1] for y in points]
    for label, y in zip(labels, spread(wanted, GAP * height, 0.5 * height, 1 - 0.5 * height), strict=True):
        label.set_position((1.0, y))
