"""``burden record --dry-run``: what would be recorded, how long it takes and what it needs on disk."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from burden_analysis.cli.arguments import Record
    from recorders.settings.settings import Settings

_MINUTE, _HOUR = 60, 3600


def dry_run(asked: Record) -> int:
    """Print the runs of a study, an estimate of their time and an upper bound of the store's size.

    Parameters
    ----------
    asked : Record
        The command.

    Returns
    -------
    int
        Exit code.
    """
    from recorders.data import load
    from recorders.networks.factory import default_model
    from recorders.settings.axes import block_name, blocks
    from recorders.settings.runs import plan_runs
    from recorders.settings.settings import merges
    from recorders.study.estimate import seconds_per_step, store_bytes
    from recorders.study.planning import planned_layout
    from recorders.study.resources import resources

    machine, settings = asked.machine, asked.settings
    stacked = {"yes": True, "no": False}.get(machine.stacked)
    parts = blocks(settings)
    using = resources(machine.device, machine.workers, stacked, merged=any(map(merges, parts)))
    images = load(settings.data, machine.root, offline=machine.offline).padded(settings.image_size)
    seconds, size, count, at_once = 0.0, 0, 0, 1
    timed: dict[Settings, float] = {}
    for block in parts:
        name, runs = block_name(asked.study, block), plan_runs(block)
        layout = planned_layout(runs, block, images, default_model(images, block), using)
        steps, records = int(layout.steps[-1]), len(layout.steps)
        sys.stdout.write("".join(f"{run.run_id}{_after(run.needs)}\n" for run in runs))
        sys.stdout.write(f"{len(runs)} runs of {steps} steps, {records} records each, into {asked.out} as {name}\n")
        for compression in {run.compression for run in runs}:  # what a step costs depends on network and tokens alone
            own = [run for run in runs if run.compression == compression]
            key = replace(block, epochs=1, learning_rate=1.0, seeds=(0,), axes=(), compressions=(compression,))
            if key not in timed:
                timed[key] = seconds_per_step(own[0], block, images, using.device)
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
