"""What every figure is: drawn, its numbers, its caption, and files written whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from burden_analysis.definitions import ORDER
from burden_analysis.indicators.curves import COLUMNS
from burden_analysis.results.printed import to_csv
from burden_analysis.results.words import level, listing
from recorders.contract import InputError, printable, unknown_name
from reports.drawing.style import style
from reports.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Self

    import numpy as np
    import numpy.typing as npt
    import xarray as xr
    from matplotlib.figure import Figure as MatplotlibFigure

FORMATS = ("pdf", "svg", "png")
MOST_COLUMNS = 6
SUMMARY_SEEDS = 5  # with fewer, a mean line or a bar hides more than it shows


@dataclass(frozen=True)
class Figure:
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
    files : mapping of str to bytes
        By format, what `rendered` has drawn; empty otherwise.
    stem : str
        Of a class of figures: its files' name without suffix.
    """

    stem: ClassVar[str]

    figure: MatplotlibFigure
    data: pd.DataFrame
    caption: str
    description: str
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    def rendered(self) -> Self:
        """Draw every format once, for whoever saves the figure and shows it too; changes made later do not count.

        Returns
        -------
        Figure
            The same, with its `files`.
        """
        return replace(self, files={kind: self.render(kind) for kind in FORMATS})

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
        saved.append(write_whole(base.with_name(f"{stem}.csv"), to_csv(self.data)))
        saved.append(write_whole(base.with_name(f"{stem}.txt"), printable(self.caption) + "\n"))
        return saved

    def render(self, kind: str) -> bytes:
        """Render the figure in one of `FORMATS`."""
        if kind in self.files:
            return self.files[kind]
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


def save_pages(figures: Iterable[Figure], folder: str | Path) -> None:
    """Write figures that continue one another: ``figure2``, ``figure2-2`` and so on, as `Figure.save_all`."""
    for page, figure in enumerate(figures, start=1):
        figure.save_all(folder, figure.stem if page == 1 else f"{figure.stem}-{page}")


def pages(sparsities: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64]]:
    """Split the sparsities of a study into as many as fit the columns of a page, for each page."""
    return [sparsities[k : k + MOST_COLUMNS] for k in range(0, sparsities.size, MOST_COLUMNS)]


def in_panels(parts: Iterable[tuple[str, pd.DataFrame]]) -> pd.DataFrame:
    """Put the rows of curves one after the other, the panel that shows them in a first column."""
    filled = [rows.assign(panel=panel)[["panel", *COLUMNS]] for panel, rows in parts if len(rows)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=["panel", *COLUMNS])


def check_columns(sparsities: Sequence[float]) -> None:
    """Refuse more sparsities than columns fit a page."""
    if len(sparsities) > MOST_COLUMNS:
        raise InputError(
            f"{len(sparsities)} sparsities ({listing(level(s) for s in sparsities)}) do not fit the "
            f"{MOST_COLUMNS} columns of a page: select some, as dataset.isel(run=dataset.sparsity.isin([...]))"
        )


def drawn_order(dataset: xr.Dataset) -> list[str]:
    """Strategies that are drawn unless others are named."""
    known = list(dict.fromkeys(dataset["strategy"].to_numpy().astype(str).tolist()))
    pruned = [name for name in known if name not in (*ORDER, "dense")]
    return [name for name in ORDER if name in known] + pruned or known


def check_one_run_each(dataset: xr.Dataset) -> None:
    """Refuse two runs of the same strategy, sparsity and seed."""
    runs = pd.DataFrame({name: dataset[name].to_numpy() for name in ("run_id", "strategy", "sparsity", "seed")})
    twins = runs[runs.duplicated(["strategy", "sparsity", "seed"], keep=False)]
    if len(twins):
        names = listing(twins.sort_values(["strategy", "sparsity", "seed"])["run_id"].iloc[:2])
        raise InputError(
            f"{names} have the same strategy, sparsity and seed: keep one of them, as dataset.isel(run=[...])"
        )
