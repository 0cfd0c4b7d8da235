"""What a cohort's forward pass uses, for tests that look inside."""

from __future__ import annotations

import torch

from recorders.training.cohort import Cohort


def effective_weights(cohort: Cohort, run: int) -> dict[str, torch.Tensor]:
    """The masked weights themselves (not dense x mask) and all other parameters of one run, copied."""
    masked = {n: w[run] if cohort.stacked else w for n, w in zip(cohort.names, cohort.effective, strict=True)}
    return {name: p.detach().clone() for name, p in (cohort.run_dense(run) | masked).items()}
