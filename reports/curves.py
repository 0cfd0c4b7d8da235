"""The numbers behind a figure: one tidy row per plotted value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from burden_analysis import separation
from burden_analysis.indicators import record_series
from recorders.contract import InputError, Status

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence
    from typing import Any

    import xarray as xr

COLUMNS = ("panel", "indicator", "sparsity", "strategy", "against", "quantity", "seed", "step", "value")
LEVEL = 0.95
SUMMARY_SEEDS = 5  # with fewer, a mean line or a bar hides more than it shows
BAND_SEEDS = 3  # with fewer, no interval can be made


def complete(dataset: xr.Dataset, strategies: Sequence[str]) -> xr.Dataset:
    """Keep the runs of these strategies that finished; diverged, failed and unfinished ones go.

    Parameters
    ----------
    dataset : xarray.Dataset
        What `burden_analysis.open_study` returned.
    strategies : sequence of str
        Strategy names.

    Returns
    -------
    xarray.Dataset
        The same variables over fewer runs.
    """
    keep = np.isin(dataset["strategy"].to_numpy(), strategies) & (dataset["status"].to_numpy() == Status.COMPLETE)
    return dataset.isel(run=np.flatnonzero(keep))


def seed_curves(runs: xr.Dataset, indicator: str, panel: str) -> pd.DataFrame:
    """Every run's curve and, per strategy and sparsity, their geometric mean.

    Parameters
    ----------
    runs : xarray.Dataset
        The runs to show.
    indicator : str
        Name of an indicator.
    panel : str
        Where the numbers are plotted.

    Returns
    -------
    pandas.DataFrame
        Rows of `COLUMNS`, with the quantities ``seed`` and ``geometric mean``.
    """
    table = record_series(runs, indicator).transpose("run", "record").to_numpy().astype(float)
    step, own = runs["step"].to_numpy(), _own_records(runs)
    cells = _cells(runs)
    parts = []
    for (sparsity, strategy), cell in cells.groupby(["sparsity", "strategy"], sort=True):
        common: dict[str, Any] = {"panel": panel, "indicator": indicator, "sparsity": sparsity, "strategy": strategy}
        members = cell.sort_values("seed").index.to_numpy()
        for run in members:
            seed = int(cells.loc[run, "seed"])
            parts.append(_rows(step[own[run]], table[run][own[run]], quantity="seed", seed=seed, **common))
        # A record without a positive value of every seed has no geometric mean: a gap, not a mean of the others.
        shared = own[members].all(axis=0)
        positive = np.where(table[members] > 0, table[members], np.nan)[:, shared]
        parts.append(_rows(step[shared], np.exp(np.log(positive).mean(axis=0)), quantity="geometric mean", **common))
    return _joined(parts)


def ratio_curves(runs: xr.Dataset, indicator: str, panel: str, order: Sequence[str]) -> pd.DataFrame:
    """Ratio of every other strategy to the first, paired by seed, with its simultaneous band.

    Parameters
    ----------
    runs : xarray.Dataset
        The runs to show.
    indicator : str
        Name of an indicator.
    panel : str
        Where the numbers are plotted.
    order : sequence of str
        Strategies; the first is the one compared with.

    Returns
    -------
    pandas.DataFrame
        Rows of `COLUMNS`, with the quantities ``ratio``, ``low``, ``high`` and ``excludes one`` (0 or 1); its
        ``attrs["methods"]`` names how the bands were made, ``attrs["undrawn"]`` why a ratio is not there.
    """
    first, *others = order
    step, own = runs["step"].to_numpy(), _own_records(runs)
    parts, methods, undrawn = [], set(), []
    for sparsity in np.unique(runs["sparsity"].to_numpy()):
        for other in others:
            pairs = _paired(runs, sparsity, first, other)
            if not pairs.size:
                continue
            shared = own[pairs].all(axis=0)
            try:
                band = separation(runs, indicator, other, first, sparsity=float(sparsity), level=LEVEL)
            except InputError as error:  # values without a logarithm: the curves are still worth drawing
                undrawn.append(str(error))
                continue
            common = {"panel": panel, "indicator": indicator, "sparsity": sparsity, "strategy": other, "against": first}
            for name in ("ratio", "low", "high", "excludes_one"):
                values = band[name].to_numpy().astype(float)
                parts.append(_rows(step[shared], values[shared], quantity=name.replace("_", " "), **common))
            if pairs.size >= 2 * BAND_SEEDS:
                methods.add(str(band.attrs["method"]))
    joined = _joined(parts)
    joined.attrs.update(methods=sorted(methods), undrawn=undrawn)
    return joined


def schedule_curves(runs: xr.Dataset, strategy: str) -> pd.DataFrame:
    """Average over seeds the share of masked weights of one strategy, at every sparsity asked for.

    Parameters
    ----------
    runs : xarray.Dataset
        The runs to show.
    strategy : str
        Whose schedule.

    Returns
    -------
    pandas.DataFrame
        Rows of `COLUMNS`, with the quantity ``actual sparsity``.
    """
    step, own = runs["step"].to_numpy(), _own_records(runs)
    table = runs["actual_sparsity"].transpose("run", "record").to_numpy()
    parts = []
    for sparsity in np.unique(runs["sparsity"].to_numpy()):
        chosen = (runs["sparsity"].to_numpy() == sparsity) & (runs["strategy"].to_numpy() == strategy)
        if not chosen.any():
            continue
        shared = own[chosen].all(axis=0)
        parts.append(
            _rows(
                step[shared],
                table[chosen][:, shared].mean(axis=0),
                panel="schedule",
                indicator="actual_sparsity",
                sparsity=sparsity,
                strategy=strategy,
                quantity="actual sparsity",
            )
        )
    return _joined(parts)


def seed_counts(data: pd.DataFrame) -> pd.Series[int]:
    """Seeds shown, by sparsity and strategy."""
    counts = {key: len(seeds) for key, seeds in _seeds(data).items()}
    return pd.Series(counts, dtype=np.int64)


def pair_counts(data: pd.DataFrame, reference: str) -> pd.Series[int]:
    """Seeds behind every plotted ratio, by sparsity and strategy."""
    seeds = _seeds(data)
    ratios = data[data["quantity"] == "ratio"].groupby(["sparsity", "strategy"]).size()
    pairs = [len(seeds[sparsity, strategy] & seeds[sparsity, reference]) for sparsity, strategy in ratios.index]
    return pd.Series(pairs, index=ratios.index, dtype=int)


def _seeds(data: pd.DataFrame) -> dict[Hashable, set[int]]:
    drawn = data[data["quantity"] == "seed"]
    return {key: set(group["seed"]) for key, group in drawn.groupby(["sparsity", "strategy"])}


def _cells(runs: xr.Dataset) -> pd.DataFrame:
    return pd.DataFrame({name: runs[name].to_numpy() for name in ("sparsity", "strategy", "seed")})


def _paired(runs: xr.Dataset, sparsity: float, first: str, second: str) -> npt.NDArray[np.intp]:
    cells = _cells(runs)
    both = cells[(cells["sparsity"] == sparsity) & cells["strategy"].isin([first, second])]
    return np.asarray(both.index[both.groupby("seed")["strategy"].transform("nunique") == 2], dtype=np.intp)


def _own_records(runs: xr.Dataset) -> npt.NDArray[np.bool_]:
    # Recordings of other intervals put steps on the shared axis at which a run has no record.
    steps: npt.NDArray[np.float64] = runs["interval_steps"].transpose("run", "record").to_numpy()
    return np.isfinite(steps)


def _rows(
    step: npt.NDArray[Any], values: npt.NDArray[np.float64], *, seed: int | None = None, **constant: Any
) -> pd.DataFrame:
    finite = np.flatnonzero(np.isfinite(values))
    # Gaps inside a curve stay, so that no line is drawn across them.
    reached = slice(finite[0], finite[-1] + 1) if finite.size else slice(0)
    frame = pd.DataFrame({"step": step[reached], "value": values[reached]})
    # The same types in every part: joining them then never guesses.
    frame["seed"] = pd.array([seed] * len(frame), dtype="Int64")
    return frame.assign(**({"against": ""} | constant))[list(COLUMNS)]


def _joined(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(COLUMNS))
