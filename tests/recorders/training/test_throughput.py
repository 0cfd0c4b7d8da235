"""Images per second of training."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from recorders.training.throughput import Throughput


def test_throughput_leaves_out_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 2.0, 5.0, 6.0, 7.0])
    clock = SimpleNamespace(monotonic=lambda: next(now))  # other threads keep theirs
    monkeypatch.setattr("recorders.training.throughput.time", clock)
    throughput = Throughput(torch.device("cpu"))
    throughput.saw(30)
    with throughput.paused():  # 2 to 5
        pass
    assert throughput.rate() == 10.0  # 30 images in 6 - 3 seconds
    assert np.isnan(throughput.rate())
