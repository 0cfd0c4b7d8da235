"""Curves as they are: seaborn gives them their looks, and never averages anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import seaborn as sns

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd
    from matplotlib.axes import Axes

    from reports.drawing.style import Look


def lines(
    ax: Axes,
    curves: pd.DataFrame,
    look: Mapping[Any, Look],
    *,
    by: str = "strategy",
    one: str = "seed",
    x: str = "step",
    dashed: bool = True,
    **line: Any,
) -> None:
    """Draw curves from their points; a gap (NaN) is not drawn across, and a point alone is a dot."""
    if curves.empty:
        return
    drawn = len(ax.lines)
    curve = curves.groupby([by, one], sort=False, dropna=False).ngroup()
    names, order = curves[by].to_numpy(), [name for name in look if (curves[by] == name).any()]
    dashes: dict[Hashable, Any] = {name: look[name].dash[1] or "" for name in order}
    sns.lineplot(
        x=curves[x].to_numpy(),
        y=curves["value"].to_numpy(float),
        units=(curve.diff().ne(0) | curves["value"].isna()).cumsum().to_numpy(),
        estimator=None,
        hue=names,
        hue_order=order,
        palette={name: look[name].colour for name in order},
        **({"style": names, "style_order": order, "dashes": dashes} if dashed else {}),
        legend=False,
        ax=ax,
        **line,
    )
    for alone in (made for made in ax.lines[drawn:] if np.size(made.get_xdata()) == 1):
        alone.set(marker="o", markersize=2.0, clip_on=False)
