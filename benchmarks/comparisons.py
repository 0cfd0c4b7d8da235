"""Measures all comparisons of 3 strategies × 3 sparsities × 5 seeds, 2 000 records and 12 series, bands included.

Each of the 12 series is compared over strategies and over sparsities, and each pair of strategies gets its band, onset
and max-|t| test at each sparsity; the claims are judged under all definitions. The study is synthetic and in memory.
CPU seconds of one core: OMP_NUM_THREADS=1 python benchmarks/comparisons.py
"""

from __future__ import annotations

import argparse
import time
from itertools import combinations, product

import numpy as np
import xarray as xr

from burden_analysis import check_claims, compare_sparsities, compare_strategies, separation

STRATEGIES, SPARSITIES = ("iterative", "optimal", "random"), (0.7, 0.8, 0.9)
NORMS = ("gradient_norm", "dense_gradient_norm", "gradient_mean_abs", "weight_norm", "weight_mean_abs")
SERIES = (
    *(f"{name}_mean" for name in (*NORMS, "gradient_rms", "weight_rms")),
    *(f"scalar_{k}" for k in range(5)),
)


def study(seeds: int, records: int) -> xr.Dataset:
    """Autocorrelated positive series whose level differs between strategies and rises with sparsity."""
    rng = np.random.default_rng(0)
    runs = list(product(STRATEGIES, SPARSITIES, range(seeds)))
    level = np.array([0.1 * STRATEGIES.index(s) + p for s, p, _ in runs])[:, None]
    level = level + rng.normal(0, 0.05, (seeds,))[[i for *_, i in runs]][:, None]

    def walk() -> np.ndarray:
        noise = rng.normal(0, 0.02, (len(runs), records))
        for k in range(1, records):
            noise[:, k] += 0.95 * noise[:, k - 1]
        return np.exp(level + noise)

    tensors = {f"{name}_mean": (("run", "record", "parameter"), walk()[..., None]) for name in NORMS}
    scalars = {f"scalar_{k}": (("run", "record"), walk()) for k in range(5)}
    size = (len(runs), records)
    return xr.Dataset(
        {
            **tensors,
            **scalars,
            "active_weights": (("run", "record", "parameter"), np.full((*size, 1), 1000.0)),
            "interval_steps": (("run", "record"), np.full(size, 10.0)),
            "status": ("run", ["complete"] * len(runs)),
            "status_reason": ("run", [""] * len(runs)),
        },
        {
            "run_id": ("run", [f"{s}-{p}-{i}" for s, p, i in runs]),
            "strategy": ("run", [s for s, _, _ in runs]),
            "sparsity": ("run", [p for _, p, _ in runs]),
            "seed": ("run", [i for *_, i in runs]),
            "step": ("record", 10 * (1 + np.arange(records))),
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--records", type=int, default=2000)
    asked = parser.parse_args()
    dataset = study(asked.seeds, asked.records)
    check_claims(study(2, 10), published=False)  # imports statsmodels and patsy
    jobs = {
        "strategies": lambda: [compare_strategies(dataset, name).verdict for name in SERIES],
        "sparsities": lambda: [compare_sparsities(dataset, name).verdict for name in SERIES],
        "separation": lambda: [
            separation(dataset, name, first, second, sparsity=sparsity)
            for name in SERIES
            for first, second in combinations(STRATEGIES, 2)
            for sparsity in SPARSITIES
        ],
    }
    total = 0.0
    for name, job in jobs.items():
        start = time.process_time()
        made = job()
        taken = time.process_time() - start
        total += taken
        print(f"{name:12} {len(made):4} in {taken:6.2f} s")
    print(f"{'all':12}      in {total:6.2f} s")
    start = time.process_time()
    check_claims(dataset, published=False)
    print(f"claims C1, C2 under all definitions: {time.process_time() - start:.2f} s")


if __name__ == "__main__":
    main()
