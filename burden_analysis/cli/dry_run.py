"""``burden record --dry-run``: what would be recorded, how long it takes and what it needs on disk."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from recorders.settings.settings import Settings
    from recorders.study.planning import StudyPlan

_MINUTE, _HOUR = 60, 3600


def dry_run(plan: StudyPlan, out: Path) -> int:
    """Print the runs of a study, an estimate of their time and an upper bound of the store's size.

    Parameters
    ----------
    plan : StudyPlan
        The study.
    out : Path
        Where it would be recorded.

    Returns
    -------
    int
        Exit code.
    """
    from recorders.study.estimate import seconds_per_step, store_bytes

    using = plan.using
    seconds, size, count, at_once = 0.0, 0, 0, 1
    timed: dict[Settings, float] = {}
    for block in plan.blocks:
        runs, layout = block.runs, block.layout
        steps, records = int(layout.steps[-1]), len(layout.steps)
        sys.stdout.write("".join(f"{run.run_id}{_after(run.needs)}\n" for run in runs))
        sys.stdout.write(f"{len(runs)} runs of {steps} steps, {records} records each, into {out} as {block.name}\n")
        for compression in {run.compression for run in runs}:  # what a step costs depends on network and tokens alone
            own = [run for run in runs if run.compression == compression]
            same = {"epochs": 1, "learning_rate": 1.0, "seeds": [0], "axes": [], "compressions": [compression]}
            key = block.settings.with_values(**same)
            if key not in timed:
                timed[key] = seconds_per_step(own[0], block.settings, plan.images, using.device)
            seconds += timed[key] * steps * len(own)
        size += store_bytes(layout)
        count += len(runs)
        at_once = max(at_once, sum(run.needs is None for run in runs))
    workers = 1 if using.stacked else min(using.workers, at_once)
    saved = ", nor what a stack saves" if using.stacked else ""
    sys.stdout.write(
        f"{count} runs in all: about {_duration(seconds / workers)} of training with {workers} process(es) on "
        f"{using.device} (records, probes and evaluations not counted{saved}), "
        f"at most {size / 1e6:.0f} MB in the store\n"
    )
    return 0


def _after(needs: object) -> str:
    return f"  (after {getattr(needs, 'run_id', '')})" if needs is not None else ""


def _duration(seconds: float) -> str:
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds < 2 * _HOUR else f"{seconds / _HOUR:.1f} h"
