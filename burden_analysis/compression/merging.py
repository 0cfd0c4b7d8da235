"""What merging does to tokens and to speed, ratio by ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from burden_analysis.compression.accuracies import last_values
from burden_analysis.compression.baseline import baseline
from recorders.contract import Status

if TYPE_CHECKING:
    import xarray as xr

SIZES = {"left alone": (1, 1), "of 2": (2, 2), "of 3–7": (3, 7), "of 8 or more": (8, 8)}
"""How many source tokens stand for one, from the fewest to the most."""

_NETWORK = ("embed_dim", "num_heads")  # speeds of different networks are not averaged
_KEPT, _SPEED = "tokens_kept", "images_per_second"


def merging_means(dataset: xr.Dataset) -> pd.DataFrame:
    """Average tokens kept, what they stand for, and images per second at every compression ratio."""
    done = dataset.isel(run=np.flatnonzero(dataset["status"].to_numpy().astype(str) == Status.COMPLETE.value))
    if not done.sizes["run"] or not {_KEPT, _SPEED} <= set(map(str, done.data_vars)):
        return pd.DataFrame()
    runs = pd.DataFrame({str(k): v.to_numpy() for k, v in done.coords.items() if v.dims == ("run",)})
    # A median: the first records of a run contain the warm-up of its process.
    speed = done[_SPEED].median("record", skipna=True).to_numpy()
    found = runs.assign(kept=last_values(done[_KEPT]), speed=speed, faster=np.log(speed / baseline(runs, speed)))
    for words, (low, high) in SIZES.items():
        sizes = [name for k in range(low, high + 1) if (name := f"merged_size_{k}") in done]
        found[words] = sum(last_values(done[name]) for name in sizes) if sizes else np.nan
    network = [name for name in _NETWORK if name in runs and len(runs[name].unique()) > 1]
    cells = found.groupby([*network, "compression"], sort=True)
    means = pd.DataFrame(
        {"runs": cells.size(), "fewest": cells["kept"].min(), "most": cells["kept"].max()}
        | {words: cells[words].mean() for words in SIZES}
        | {"speed": cells["speed"].mean(), "speed_sd": cells["speed"].std(ddof=1)}
        | {"faster": np.exp(cells["faster"].mean())}
    )
    return means.reset_index()
