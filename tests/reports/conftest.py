from __future__ import annotations

import pytest
import xarray as xr
from synthetic_study import build


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
