"""What a figure is drawn on: a page of exact width, whose layout is final before anything is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox

from reports.drawing.labels import settle
from reports.drawing.style import DOUBLE, SINGLE, inches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.text import Annotation


def canvas(height: float, *, narrow: bool, wspace: float = 0.0) -> Figure:
    """Begin a figure; call inside `style`."""
    layout = ConstrainedLayoutEngine(w_pad=inches(0.9), h_pad=inches(0.7), wspace=wspace, hspace=0.0)
    return Figure(figsize=(inches(SINGLE if narrow else DOUBLE), inches(height)), layout=layout)


def finish(figure: Figure, labels: Iterable[tuple[Axes, Sequence[Annotation]]]) -> None:
    """Lay a figure out for good, so that every format and every save has the same layout, and settle its labels."""
    FigureCanvasAgg(figure)
    free = [ax for ax in figure.axes if ax.get_box_aspect() is None]  # a colour bar finds its place when drawn
    engine = figure.get_layout_engine()
    if engine is None or len(free) < len(figure.axes):
        figure.draw_without_rendering()
    else:
        engine.execute(figure)
    figure.set_layout_engine(None)  # with any other, "none" too, each save draws twice
    for ax in free:  # the solver's last digits vary, and an SVG names its clips by them
        ax.set_position(Bbox(ax.get_position().get_points().round(6)))
    for labelled, ends in labels:
        settle(labelled, ends)


def letter(figure: Figure, text: str, ax: Axes) -> None:
    """Name a row of panels at the left edge of the page, as high as its first panel."""
    figure.text(0.004, ax.get_position().y1, text, fontsize=7.0, fontweight="bold", va="top", ha="left")
