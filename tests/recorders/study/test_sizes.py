"""Studies that cannot be held or finished are refused before anything is allocated."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from recorders.contract import InputError
from recorders.data import load
from recorders.settings.settings import Settings
from recorders.study.planning import plan_study
from recorders.study.resources import Resources


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 10**8}, "100000000 epochs are 1200000000 optimiser steps, more than 100000000"),
        ({"epochs": 10**6, "interval": 1}, "12000000 records are more than 10000000: pass a longer --interval"),
        ({"hidden": [10**9]}, "the weights of the network take .* GB, this machine has .*: make it smaller"),
        ({"hidden": [2**31 - 1] * 2}, "the weights of the network take"),
        ({"setup": "1000000x1", "patch": 8}, "the weights of the network take"),
        ({"resize": 100_000}, "batches of 128 images take .* GB"),
        ({"crop_padding": 9}, "crop_padding 9 is wider than the 8x8 images of digits"),
        ({"image_size": 10**6}, "images of 1000000x1000000 take"),
    ],
)
def test_sizes_are_checked_first(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan_study(Settings().with_values(**values), data=load("digits"), using=Resources(torch.device("cpu"), 1))


@pytest.mark.parametrize(
    "values", [{"epochs": 2**31}, {"batch_size": 10**20}, {"depth": 1001}, {"mlp_ratio": 1e308}, {"probe_size": 10**30}]
)
def test_no_count_is_beyond_what_is_counted(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"must be less than or equal to \d+, got"):
        Settings().with_values(**values)
