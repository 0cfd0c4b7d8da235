"""How far apart do two recordings of the same study drift that differ in the last bits of their arithmetic?

Record one study twice, the second time with other kernels or on another machine, then compare the stores:
``ATEN_CPU_CAPABILITY=default burden record tables --preset tables-mini --out other.zarr``
``python benchmarks/kernels.py study.zarr other.zarr``
Printed are medians and maxima over runs: how far the loss and the weight norm are apart, relative to their value, by
the step of the record, and how far the last held-out accuracy is, in percentage points.
"""

from __future__ import annotations

import sys

import numpy as np

from burden_analysis import open_study, series

SHOWN = 8  # records, spread over training as powers


def main(one: str, other: str) -> None:
    """Print two Markdown tables."""
    first, second = open_study(one), open_study(other)
    first, second = (a.isel(run=a["run_id"].isin(b["run_id"])) for a, b in ((first, second), (second, first)))
    if first["run_id"].to_numpy().tolist() != second["run_id"].to_numpy().tolist():
        raise SystemExit(f"{one} and {other} do not hold their common runs in the same order")
    apart = {}
    for name in ("loss", "weight_norm"):
        a, b = (series(study, name).to_numpy() for study in (first, second))
        apart[name] = np.abs(a - b) / np.abs(a)
    steps = first["step"].to_numpy()
    print("| step | loss, median | loss, largest | weight norm, median | weight norm, largest |\n|---|---|---|---|---|")
    for k in np.unique(np.geomspace(1, len(steps), SHOWN).round().astype(int)) - 1:
        cells = [f(apart[name][:, k]) for name in apart for f in (np.nanmedian, np.nanmax)]
        print(f"| {steps[k]} | " + " | ".join(f"{cell:.1e}" for cell in cells) + " |")
    last = [study["accuracy"].isel(record=-1).to_numpy() for study in (first, second)]
    points = 100 * np.abs(last[0] - last[1])
    print(
        f"\nheld-out accuracy at the end, {len(points)} runs: {np.sum(points == 0)} equal, median "
        f"{np.median(points):.2f}, largest {points.max():.2f} points apart; means {100 * last[0].mean():.2f} and "
        f"{100 * last[1].mean():.2f}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
