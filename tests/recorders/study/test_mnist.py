"""The study on its real images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from recorders.settings.presets import preset
from recorders.study.record import Resources, record_study


@pytest.mark.slow
@pytest.mark.mnist
def test_iterative_pruning_of_the_mlp_reaches_96_percent_on_mnist(tmp_path: Path, mnist_root: Path) -> None:
    settings = preset("fig2", data="mnist", strategies=("iterative", "dense"), sparsities=(0.7,), seeds=(0,))
    record_study(
        settings, tmp_path / "s.zarr", data_root=mnist_root, offline=True, using=Resources(torch.device("cpu"), 2)
    )
    dataset = xr.open_zarr(tmp_path / "s.zarr", group="study").load()
    assert dataset.accuracy.isel(record=-1).values.min() >= 0.96
    iterative = dataset.isel(run=0)
    assert iterative.fit.notnull().all()  # every mask update was probed
    total = iterative.fit + iterative.compensation + iterative.covariance
    np.testing.assert_allclose(total, iterative.new_fit, rtol=1e-9)
    layers = iterative.layer_fit + iterative.layer_compensation + iterative.layer_covariance
    np.testing.assert_allclose(layers, iterative.layer_new_fit, rtol=1e-9, atol=1e-15)
    masks = xr.open_zarr(tmp_path / "s.zarr", group="study/masks").load()
    total = 1024 * 300 + 300 * 100 + 100 * 10
    assert sum(int(mask[0].sum()) for mask in masks.values()) == round(0.3 * total)
    assert sum(int(mask[1].sum()) for mask in masks.values()) == total
