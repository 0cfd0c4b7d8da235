"""Figure 2: gradient magnitude and weight norm while training, every seed, and the paired ratios below."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from recorders.contract import InputError, unknown_name
from reports.caption import Row, caption, description, not_drawn, words
from reports.curves import complete, ratio_curves, schedule_curves, seed_curves
from reports.files import write_whole
from reports.numbers import listing, number
from reports.panels import draw
from reports.style import style

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from matplotlib.figure import Figure

FORMATS = ("pdf", "svg", "png")
MOST_COLUMNS = 6
ORDER = ("iterative", "optimal", "random")


@dataclass(frozen=True)
class Figure2:
    """A drawn figure with the numbers in it and the words about it.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
        The figure, at its final size.
    data : pandas.DataFrame
        Every plotted number, one per row.
    caption : str
        What is shown, generated from the numbers.
    description : str
        The text alternative: where every curve ends.
    """

    figure: Figure
    data: pd.DataFrame
    caption: str
    description: str

    def save(self, path: str | Path) -> Path:
        """Write the figure; the suffix decides the format, and the same numbers give the same bytes.

        Parameters
        ----------
        path : str or Path
            Ends in ``.pdf``, ``.svg`` or ``.png``.

        Returns
        -------
        Path
            The file written.
        """
        path = Path(path)
        kind = path.suffix.removeprefix(".").lower()
        if kind not in FORMATS:
            raise unknown_name("figure format", kind or path.name, FORMATS)
        return write_whole(path, self.render(kind))

    stem: ClassVar[str] = "figure2"

    def save_all(self, folder: str | Path, stem: str | None = None) -> list[Path]:
        """Write PDF, SVG and PNG with the plotted numbers (CSV) and the caption (TXT) beside them.

        Parameters
        ----------
        folder : str or Path
            Created when missing.
        stem : str, optional
            File name without suffix; by default the class's `stem`.

        Returns
        -------
        list of Path
            The files written.
        """
        stem = stem or self.stem
        base = Path(folder) / stem
        saved = [self.save(base.with_name(f"{stem}.{kind}")) for kind in FORMATS]
        saved.append(write_whole(base.with_name(f"{stem}.csv"), self.data.to_csv(index=False, lineterminator="\n")))
        saved.append(write_whole(base.with_name(f"{stem}.txt"), self.caption + "\n"))
        return saved

    def render(self, kind: str) -> bytes:
        """Render the figure in one of `FORMATS`."""
        # No dates, and nothing in an SVG that points outside.
        metadata: dict[str, dict[str, str | None]] = {
            "pdf": {"CreationDate": None},
            "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
            "png": {},
        }
        buffer = BytesIO()
        with style():
            self.figure.savefig(buffer, format=kind, metadata=metadata[kind])
        return buffer.getvalue()


def figure2(
    dataset: xr.Dataset,
    *,
    gradient: str = "gradient_mean_abs_mean",
    weight: str = "weight_norm_mean",
    order: Sequence[str] | None = None,
) -> Figure2:
    """Draw gradient magnitude and weight norm over training, one column per sparsity.

    Parameters
    ----------
    dataset : xarray.Dataset
        What `burden_analysis.open_study` returned.
    gradient, weight : str
        Indicators of the two rows.
    order : sequence of str, optional
        Strategies; the ratios are to the first. By default `drawn_order`; the caption names those that are not drawn.

    Returns
    -------
    Figure2
        The figure, its numbers and its caption.

    Raises
    ------
    InputError
        None of the strategies is in the study, there are more sparsities than columns fit, an indicator is unknown, or
        two runs are of the same strategy, sparsity and seed.
    """
    order = drawn_order(dataset) if order is None else list(dict.fromkeys(order))
    known = np.unique(dataset["strategy"].to_numpy().astype(str))
    if not set(order) & set(known):
        raise InputError(f"no run of {listing(order)} in the study: it has {listing(known)}; give `order`")
    asked = dataset.isel(run=np.flatnonzero(np.isin(dataset["strategy"].to_numpy(), order)))
    sparsities = [float(s) for s in np.unique(asked["sparsity"].to_numpy())]
    check_columns(sparsities)
    check_one_run_each(asked)
    rows = (
        Row("gradient", "a", gradient, words(gradient), log=True),
        Row("weight", "b", weight, words(weight), log=False),
    )
    data = plotted(complete(asked, order), rows, order)
    return Figure2(
        figure=draw(data, rows, order, sparsities),
        data=data,
        caption=" ".join(filter(None, [caption(data, asked, rows, order), not_drawn(dataset, order)])),
        description=description(data, rows, order),
    )


def check_columns(sparsities: Sequence[float]) -> None:
    """Refuse more sparsities than columns fit a page."""
    if len(sparsities) > MOST_COLUMNS:
        raise InputError(
            f"{len(sparsities)} sparsities ({listing(number(s) for s in sparsities)}) do not fit the "
            f"{MOST_COLUMNS} columns of a page: select some, as dataset.isel(run=dataset.sparsity.isin([...]))"
        )


def drawn_order(dataset: xr.Dataset) -> list[str]:
    """Strategies that are drawn unless others are named.

    Parameters
    ----------
    dataset : xarray.Dataset
        What `burden_analysis.open_study` returned.

    Returns
    -------
    list of str
        Those of the study's claim in its order, then every other that prunes; ``dense`` where there is nothing else.
    """
    known = list(dict.fromkeys(dataset["strategy"].to_numpy().astype(str).tolist()))
    pruned = [name for name in known if name not in (*ORDER, "dense")]
    return [name for name in ORDER if name in known] + pruned or known


def plotted(runs: xr.Dataset, rows: Sequence[Row], order: Sequence[str]) -> pd.DataFrame:
    """Every number the figure shows, one per row.

    Parameters
    ----------
    runs : xarray.Dataset
        The runs to show.
    rows : sequence of Row
        The rows of panels.
    order : sequence of str
        Strategies; the ratios are to the first.

    Returns
    -------
    pandas.DataFrame
        Rows of `reports.curves.COLUMNS`; ``attrs`` as those of `reports.curves.ratio_curves`.
    """
    ratios = [ratio_curves(runs, row.indicator, row.panel, order) for row in rows]
    parts = [schedule_curves(runs, order[0])]
    for row, ratio in zip(rows, ratios, strict=True):
        parts += [seed_curves(runs, row.indicator, row.panel), ratio]
    filled = [part for part in parts if len(part)]
    data = pd.concat(filled, ignore_index=True) if filled else parts[0]
    data.attrs = {
        name: sorted({text for ratio in ratios for text in ratio.attrs[name]}) for name in ("methods", "undrawn")
    }
    return data


def check_one_run_each(dataset: xr.Dataset) -> None:
    """Refuse two runs of the same strategy, sparsity and seed."""
    runs = pd.DataFrame({name: dataset[name].to_numpy() for name in ("run_id", "strategy", "sparsity", "seed")})
    twins = runs[runs.duplicated(["strategy", "sparsity", "seed"], keep=False)]
    if len(twins):
        names = listing(twins.sort_values(["strategy", "sparsity", "seed"])["run_id"].iloc[:2])
        raise InputError(
            f"{names} have the same strategy, sparsity and seed: keep one of them, as dataset.isel(run=[...])"
        )
