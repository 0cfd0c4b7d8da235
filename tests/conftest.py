"""Shared by all tests: one thread, a seed, and where real data lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)
# No example fails because the machine is slow.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")


def pytest_runtest_setup() -> None:
    """Start every test from the same state of the generator that networks and batches are drawn from."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def recorded_store() -> Path:
    """Return a store that an older version recorded (tests/stores/README.md)."""
    return Path(__file__).parent / "stores" / "digits-0.1.0.zip"


@pytest.fixture(scope="session")
def mnist_root() -> Path:
    root = os.environ.get("BURDEN_DATA")
    if not root or not (Path(root) / "MNIST" / "raw").is_dir():
        pytest.skip("needs the MNIST files: set BURDEN_DATA to the folder that holds MNIST/raw")
    return Path(root)
