"""Private random generators: every draw is a function of (seed, purpose, epoch), never of the global state.

So the same seed gives the same initial weights and batches in every strategy, and a rerun draws the same again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import TypeVar

import numpy as np
import torch

T = TypeVar("T")


class Purpose(IntEnum):
    """What a generator is for; two purposes never share a stream."""

    WEIGHTS = 0
    ORDER = 1
    MASK = 2
    TRAINING = 3
    AUGMENTATION = 4
    MATCHING = 5
    REWIRING = 6
    SAMPLE = 7
    SAMPLING = 8


def derive(seed: int, purpose: Purpose, epoch: int = 0) -> int:
    """Derive a 63-bit seed for one purpose and epoch."""
    state = np.random.SeedSequence([seed, int(purpose), epoch]).generate_state(1, np.uint64)[0]
    return int(state >> np.uint64(1))


def generator(seed: int, purpose: Purpose, epoch: int = 0) -> torch.Generator:
    """Make a CPU generator for one purpose and epoch."""
    return torch.Generator().manual_seed(derive(seed, purpose, epoch))


def batch_order(seed: int, epoch: int, samples: int) -> torch.Tensor:
    """Order in which an epoch visits the training samples, int64, shape (samples,)."""
    return torch.randperm(samples, generator=generator(seed, Purpose.ORDER, epoch))


def with_seeded_weights(seed: int, make: Callable[[], T]) -> T:
    """Call `make` (which draws initial weights from torch's global CPU generator) and restore that generator."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, Purpose.WEIGHTS))
        return make()


def weights_digest(parameters: Iterable[torch.Tensor]) -> str:
    """SHA-256 of the bytes of all tensors in order."""
    digest = hashlib.sha256()
    for parameter in parameters:
        digest.update(parameter.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
