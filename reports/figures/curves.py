"""What the numbers behind all curves share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from recorders.contract import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
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
    step, own = runs["step"].to_numpy(), own_records(runs)
    table = runs["actual_sparsity"].transpose("run", "record").to_numpy()
    parts = []
    for sparsity in np.unique(runs["sparsity"].to_numpy()):
        chosen = (runs["sparsity"].to_numpy() == sparsity) & (runs["strategy"].to_numpy() == strategy)
        if not chosen.any():
            continue
        shared = own[chosen].all(axis=0)
        parts.append(
            as_rows(
                step[shared],
                table[chosen][:, shared].mean(axis=0),
                panel="schedule",
                indicator="actual_sparsity",
                sparsity=sparsity,
                strategy=strategy,
                quantity="actual sparsity",
            )
        )
    return joined(parts)


def run_coordinates(runs: xr.Dataset) -> pd.DataFrame:
    """Tabulate sparsity, strategy and seed of every run."""
    return pd.DataFrame({name: runs[name].to_numpy() for name in ("sparsity", "strategy", "seed")})


def own_records(runs: xr.Dataset) -> npt.NDArray[np.bool_]:
    """Mark the records that a run has, (run, record): recordings of other intervals put further steps on the axis."""
    steps: npt.NDArray[np.float64] = runs["interval_steps"].transpose("run", "record").to_numpy()
    return np.isfinite(steps)


def as_rows(
    step: npt.NDArray[Any], values: npt.NDArray[np.float64], *, seed: int | None = None, **constant: Any
) -> pd.DataFrame:
    """Make rows of `COLUMNS` from a curve: from its first to its last finite value, with the gaps between."""
    finite = np.flatnonzero(np.isfinite(values))
    # Gaps inside a curve stay, so that no line is drawn across them.
    reached = slice(finite[0], finite[-1] + 1) if finite.size else slice(0)
    frame = pd.DataFrame({"step": step[reached], "value": values[reached]})
    # The same types in every part: joining them then never guesses.
    frame["seed"] = pd.array([seed] * len(frame), dtype="Int64")
    return frame.assign(**({"against": ""} | constant))[list(COLUMNS)]


def joined(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Put the rows of several curves one after the other."""
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(COLUMNS))
