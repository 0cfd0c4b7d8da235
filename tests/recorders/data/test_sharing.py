"""Images that worker processes share, in memory or in a file."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from pathlib import Path

import pytest
import torch

from recorders.contract import RunError
from recorders.data import DataSet, load, sharing


def read(data: DataSet, results: multiprocessing.SimpleQueue[object]) -> None:
    results.put((data.checksum(), int(data.test_labels[0])))
    data.train_images[0] = 200


def read_elsewhere(data: DataSet) -> object:
    context = multiprocessing.get_context("forkserver")
    results = context.SimpleQueue()
    worker = context.Process(target=read, args=(data, results))
    worker.start()
    worker.join()
    assert worker.exitcode == 0
    return results.get()


@pytest.mark.parametrize("free", [0, 1 << 40])
def test_a_worker_reads_the_same_memory(free: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sharing, "_has_room", lambda size: size <= free)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data = load("digits")
    before = data.checksum()
    if free:
        shared = data.shared()
    else:
        with pytest.warns(UserWarning, match=r"no room for digits \(0.1 MB\): worker processes read it from a file"):
            shared = data.shared()
        assert list(tmp_path.iterdir()) == []  # it has no name
    assert shared.checksum() == before
    assert read_elsewhere(shared) == (before, int(data.test_labels[0]))
    assert shared.train_images[0].eq(200).all()
    if not free:
        descriptor = shared.file.descriptor  # type: ignore[attr-defined]
        del shared
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


def test_no_room_anywhere_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def failing(self: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("unable to allocate shared memory")

    monkeypatch.setattr(torch.Tensor, "share_memory_", failing)
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(RunError, match=r"nor has the folder of temporary files \(No space left.*TMPDIR.*--stacked yes"):
        load("digits").shared()
