"""When records reach the store while a run goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import recorders.measure.monitor
from burden_analysis import open_study
from recorders import Recorder
from recorders.store.layout import RECORDS_PER_CHUNK
from tests.progress import until

RUN = {"strategy": "mine", "sparsity": 0.0, "seed": 0}


def steps(model: torch.nn.Module, optimizer: torch.optim.Optimizer, count: int) -> None:
    for _ in range(count):
        optimizer.zero_grad()
        model(torch.ones(1, 3)).sum().backward()
        optimizer.step()


def written(store: Path, at_least: int) -> int:
    """Wait for the writing thread, and say how many records a reader sees."""

    def seen() -> int:
        return int(open_study(store).records_written[0])

    until(lambda: seen() >= at_least, f"{at_least} records are written", every=0.02)
    return seen()


def test_whole_chunks_are_written_while_the_loop_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorders.measure.monitor, "_FLUSH_SECONDS", float("inf"))
    store, model = tmp_path / "s.zarr", torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    with Recorder(store, model, optimizer, run=RUN, interval=1) as recorder:
        steps(model, optimizer, RECORDS_PER_CHUNK)
        assert recorder.step == RECORDS_PER_CHUNK
        steps(model, optimizer, 1)  # a full chunk is written when the next record comes
        assert written(store, RECORDS_PER_CHUNK) == RECORDS_PER_CHUNK
        steps(model, optimizer, RECORDS_PER_CHUNK)
        assert written(store, 2 * RECORDS_PER_CHUNK) == 2 * RECORDS_PER_CHUNK
    study = open_study(store)
    assert study.sizes["record"] == 2 * RECORDS_PER_CHUNK + 1
    assert np.isfinite(study.gradient_norm).all()
    np.testing.assert_array_equal(study.step, np.arange(1, 2 * RECORDS_PER_CHUNK + 2))


def test_a_slow_loop_is_written_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorders.measure.monitor, "_FLUSH_SECONDS", -1.0)  # always over
    store, model = tmp_path / "s.zarr", torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    with Recorder(store, model, optimizer, run=RUN, interval=2):
        steps(model, optimizer, 9)
        assert written(store, 3) == 3
    assert np.isfinite(open_study(store).gradient_norm).all()
