"""Synthetic tables of accuracies: blocks × sparsities × ratios, with or without an effect."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

RATIOS = (0.0, 0.4, 0.8)  # few: Friedman's exact test is fast
SPARSITIES = (0.75, 0.85, 0.95)


def accuracies(
    blocks: int = 10,
    ratios: tuple[float, ...] = RATIOS,
    sparsities: tuple[float, ...] = SPARSITIES,
    gains: dict[float, float] | None = None,
    noise: float = 0.3,
    shared: float = 0.0,
    seeds: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """Accuracies with a gain per ratio, noise per cell, and noise that the cells of a block share at a ratio."""
    rng = np.random.default_rng(seed)
    block_level = 75 + rng.normal(size=blocks)
    block_noise = shared * rng.normal(size=(blocks, len(ratios)))
    rows = [
        {
            "learning_rate": 0.001 * (b + 1),
            "sparsity": s,
            "compression": r,
            **({"seed": i} if seeds else {}),
            "accuracy": round(
                block_level[b] - 4 * s + (gains or {}).get(r, 0.0) + block_noise[b, k] + noise * float(rng.normal()),
                2,
            ),
        }
        for b, s, (k, r), i in product(range(blocks), sparsities, enumerate(ratios), range(seeds or 1))
    ]
    return pd.DataFrame(rows)
