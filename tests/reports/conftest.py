from __future__ import annotations

import pytest
import xarray as xr

from tests.reports.synthetic_study import build
from tests.reports.synthetic_tables import LOST
from tests.reports.synthetic_tables import build as build_tables


@pytest.fixture(scope="session")
def study() -> xr.Dataset:
    return build()


@pytest.fixture(scope="session")
def broken_study() -> xr.Dataset:
    """One diverged, one failed run, and no random run at all at 0.9."""
    return build(
        statuses={"optimal-0.7-1": "diverged", "iterative-0.8-2": "failed"},
        absent=[f"random-0.9-{seed}" for seed in range(5)],
    )


@pytest.fixture(scope="session")
def half() -> xr.Dataset:
    """One run has not begun, and neither has the second learning rate of three."""
    return build_tables(rates=(0.001, 0.003), axes=("learning_rate=0.001,0.002,0.003",), planned=[LOST])
