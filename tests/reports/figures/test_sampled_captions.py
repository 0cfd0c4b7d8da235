"""The caption of Fig. 2 says which steps stand behind a mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from burden_analysis import open_study
from recorders import Recorder
from reports import figure2
from reports.figures.fig2.words import sampled_share
from tests.recorders.own_loop import network, train


@pytest.mark.parametrize(
    ("sampled", "interval", "share"),
    [
        ([[5.0, 5.0]], [[50.0, 50.0]], 0.1),
        ([[5.0, np.nan]], [[50.0, np.nan]], 0.1),
        ([[np.nan, np.nan], [3.0, 3.0]], [[7.0, 7.0], [3.0, 3.0]], 1.0),  # joined with a run recorded before
        ([[np.nan]], [[np.nan]], 1.0),
    ],
)
def test_the_share_of_measured_steps(sampled: list[list[float]], interval: list[list[float]], share: float) -> None:
    dims = ("run", "record")
    dataset = xr.Dataset({"sampled_steps": (dims, sampled), "interval_steps": (dims, interval)})
    assert sampled_share(dataset) == pytest.approx(share)
    assert sampled_share(dataset.drop_vars("sampled_steps")) == 1.0


@pytest.mark.parametrize(
    ("every", "words"),
    [
        (1, "Points are means over all steps since the previous record (recorded every 10 steps); no other smoothing."),
        (
            5,
            "Points are estimated means over the steps since the previous record (recorded every 10 steps): 20% of the "
            "steps were measured, one drawn at random from every block; no other smoothing.",
        ),
    ],
)
def test_the_caption_says_whether_means_are_exact(tmp_path: Path, every: int, words: str) -> None:
    for strategy in ("iterative", "random"):
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run = {"strategy": strategy, "sparsity": 0.0, "seed": 0}
        options = {"interval": 10, "sample_every": every, "total_steps": 30}
        with Recorder(tmp_path / "s.zarr", model, optimizer, run=run, **options) as recorder:  # type: ignore[arg-type]
            train(model, optimizer, 30, recorder)
    figure = figure2(open_study(tmp_path / "s.zarr"))
    assert words in figure.caption
