"""What a study may use: device and processes."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from recorders.contract import InputError
from recorders.store.writer import Durability


@dataclass(frozen=True)
class Resources:
    """What a study may use; changes none of its numbers but through floating-point order.

    Attributes
    ----------
    device : torch.device
        Where to train.
    workers : int
        Processes, when runs do not train as stacks.
    stacked : bool
        Whether runs train as stacks in this process.
    profiled : bool
        Whether every run says where its time went.
    durability : {"process", "power"}
        What a commit outlives (docs/reliability.md).
    """

    device: torch.device
    workers: int
    stacked: bool = False
    profiled: bool = False
    durability: Durability = "process"

    @property
    def threads(self) -> int:
        """Threads that one training computes with: one in a worker process, torch's own in this one."""
        return torch.get_num_threads() if self.stacked else 1


def resources(
    device: str | None = None, workers: int | None = None, stacked: bool | None = None, *, merged: bool = False
) -> Resources:
    """Choose what to use: a GPU when there is one, stacks on a GPU, else as many processes as there are cores.

    On a CPU one run per process with one thread is the fastest; on a GPU a single small network is launch-bound. One
    ViT fills a GPU, and token merging keeps what a stack cannot: there runs train one after the other.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers must be positive, got {workers}")
    try:
        chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise InputError(f"unknown device {device!r}: choose cpu or cuda") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {device!r} was asked for, but torch sees no GPU here: use --device cpu")
    if chosen.type not in ("cpu", "cuda"):
        raise InputError(f"device {device!r} is not supported: choose cpu or cuda")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    on_gpu = chosen.type == "cuda"
    return Resources(
        chosen, workers or (1 if on_gpu and merged else cores), on_gpu and not merged if stacked is None else stacked
    )
