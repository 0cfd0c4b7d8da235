"""A fingerprint of weights, to show that paired runs started from the same ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch


def weights_digest(parameters: Iterable[torch.Tensor]) -> str:
    """SHA-256 of the bytes of all tensors in order."""
    digest = hashlib.sha256()
    for parameter in parameters:
        digest.update(parameter.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
