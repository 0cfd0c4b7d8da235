"""`burden record` and `burden reproduce`: train the runs of a study, and write all there is to say about it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from burden_analysis.cli.arguments import STORE, Machine, Record, Reproduce
from burden_analysis.cli.dry_run import dry_run
from burden_analysis.cli.report import write_all
from recorders.contract import InputError
from recorders.settings.axes import blocks
from recorders.settings.settings import Settings, merges

if TYPE_CHECKING:
    from recorders.study.assignment import Outcome


def record(asked: Record, command: str) -> int:
    """Train what the store lacks; 1 where a run failed or diverged."""
    if asked.dry_run:
        return dry_run(asked)
    outcomes = _train(asked.study, asked.settings, asked.machine, asked.out, command)
    sys.stdout.write(f"recorded into {asked.out}\n")
    return _exit_code(outcomes)


def reproduce(asked: Reproduce, command: str) -> int:
    """Record a study, then write figures, tests and report beside the store."""
    store = asked.out / STORE
    if asked.out.exists() and not store.exists() and (not asked.out.is_dir() or any(asked.out.iterdir())):
        raise InputError(f"{asked.out} exists and is no unfinished study of ours: choose another --out")
    outcomes = _train(asked.study, asked.settings, asked.machine, store, command)
    page = write_all(store, asked.out, command)
    sys.stdout.write(f"wrote {page}\n")
    return _exit_code(outcomes)


def _train(study: str, settings: Settings, machine: Machine, store: Path, command: str) -> list[Outcome]:
    from recorders.study.progress import Progress
    from recorders.study.record import record_study
    from recorders.study.resources import resources

    stacked = {"yes": True, "no": False}.get(machine.stacked)
    return record_study(
        settings,
        store,
        name=study,
        data_root=machine.root,
        offline=machine.offline,
        using=resources(machine.device, machine.workers, stacked, merged=any(map(merges, blocks(settings)))),
        command=command,
        progress=Progress(),
    )


def _exit_code(outcomes: Sequence[Outcome]) -> int:
    bad = [o for o in outcomes if o.reason]
    for outcome in bad:
        sys.stderr.write(f"burden: run {outcome.run.run_id} {outcome.status}: {outcome.reason}\n")
    return 1 if bad else 0
