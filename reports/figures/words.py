"""What captions say alike: indicators in words, runs left out, strategies not drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from burden_analysis import INDICATORS, PROBE_INDICATORS
from burden_analysis.results.words import counted, listing
from recorders.contract import Status, base_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

_NAMED = 6  # runs named in a caption before it only counts


def words(indicator: str) -> str:
    """Say what an indicator is, without the way it was averaged."""
    if indicator in PROBE_INDICATORS:
        return PROBE_INDICATORS[indicator]
    known = INDICATORS.get(base_name(indicator))
    return known.long_name if known is not None else indicator.replace("_", " ")


def left_out(dataset: xr.Dataset, order: Sequence[str]) -> str:
    """Name the runs of these strategies that did not complete."""
    status = dataset["status"].to_numpy()
    out = np.flatnonzero(np.isin(dataset["strategy"].to_numpy(), order) & (status != Status.COMPLETE))
    if not out.size:
        return ""
    names = [f"{dataset['run_id'].to_numpy()[k]} ({status[k]})" for k in out]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"Left out: {counted(len(names), 'run')} that did not complete: {', '.join(names[:_NAMED])}{more}."


def not_drawn(dataset: xr.Dataset, order: Sequence[str]) -> str:
    """Name the strategies of a study that a figure leaves out."""
    others = sorted(set(dataset["strategy"].to_numpy().astype(str).tolist()) - set(order))
    return f"Not drawn: {listing(others)}." if others else ""
