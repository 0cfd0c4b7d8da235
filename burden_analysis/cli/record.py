"""`burden record` and `burden reproduce`: train the runs of a study, and write all there is to say about it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burden_analysis.cli.arguments import STORE, Record, Reproduce, Trained
from burden_analysis.cli.dry_run import dry_run
from burden_analysis.cli.profile import profile_table
from burden_analysis.cli.report import check_outside, write_all
from recorders.contract import InputError, one_line, printable
from recorders.settings.axes import blocks
from recorders.settings.presets import preset
from recorders.settings.settings import merges

if TYPE_CHECKING:
    from recorders.study.assignment import Outcome


def record(asked: Record, command: str) -> int:
    """Train what the store lacks; 1 where a run failed or diverged."""
    if asked.dry_run:
        if asked.machine.profile:
            raise InputError("--profile times runs, and --dry-run trains none: pass one of them")
        from recorders.study.planning import plan_study

        return dry_run(plan_study(**_study(asked)), asked.out)
    check_outside(asked.out, store=True)
    outcomes, profile = _train(asked, asked.out, command)
    sys.stdout.write(printable(f"{profile}recorded into {asked.out}\n"))
    return _exit_code(outcomes)


def reproduce(asked: Reproduce, command: str) -> int:
    """Record a study, then write figures, tests and report beside the store."""
    store = asked.out / STORE
    check_outside(asked.out)
    if asked.out.exists() and not store.exists() and (not asked.out.is_dir() or any(asked.out.iterdir())):
        raise InputError(f"{asked.out} exists and is no unfinished study of ours: choose another --out")
    outcomes, profile = _train(asked, store, command)
    page = write_all(store, asked.out, command)
    sys.stdout.write(printable(f"{profile}wrote {page}\n"))
    return _exit_code(outcomes)


def _train(asked: Trained, store: Path, command: str) -> tuple[list[Outcome], str]:
    """Train what the store lacks; returns how it went, and the printed profile where one was asked for."""
    from recorders.study.progress import Progress
    from recorders.study.record import record_study

    if not store.absolute().name:
        raise InputError(f"{store} is no name for a store: give --out a name below it")
    began = time.perf_counter()
    shown, lock = Progress(), asked.machine.lock
    outcomes = record_study(store=store, command=command, progress=shown, lock=lock, **_study(asked))
    whole = time.perf_counter() - began
    return outcomes, profile_table(outcomes, whole) if asked.machine.profile else ""


def _study(asked: Trained) -> dict[str, Any]:
    """Resolve what plans and records the study that was asked for."""
    from recorders.study.resources import resources

    settings = preset(asked.study, asked.config, asked.preset, **asked.settings)
    merged, machine = any(map(merges, blocks(settings))), asked.machine
    stacked = {"yes": True, "no": False}.get(machine.stacked)
    using = resources(machine.device, machine.workers, stacked, merged=merged)
    using = replace(using, profiled=machine.profile, durability=machine.durability)
    where = {"data_root": machine.root, "offline": machine.offline}
    return {"settings": settings, "name": asked.study, "using": using, **where}


def _exit_code(outcomes: Sequence[Outcome]) -> int:
    bad = [o for o in outcomes if o.reason]
    for outcome in bad:
        sys.stderr.write(f"burden: run {outcome.run.run_id} {outcome.status}: {one_line(outcome.reason)}\n")
    return 1 if bad else 0
