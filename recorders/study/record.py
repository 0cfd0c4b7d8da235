"""Records a whole study: plans its runs, finds what is there, trains what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from os import PathLike
from pathlib import Path
from typing import Any

import zarr

from recorders.contract import BurdenError, RunError, Status
from recorders.data import DataSet
from recorders.measure.fused_sums import summed_by
from recorders.networks.factory import ModelFactory
from recorders.settings.axes import told_apart
from recorders.settings.runs import Run
from recorders.settings.settings import Settings
from recorders.store.lock import exclusive, real_place
from recorders.store.provenance import provenance
from recorders.store.recording import create_recording, note_resumption
from recorders.store.recovery import recover_all
from recorders.store.root import open_root, recording_names
from recorders.store.signals import listening
from recorders.store.writer import RecordingWriter
from recorders.study.assignment import Assignment, Outcome, Place
from recorders.study.executor import Lost, Task, Unmet, execute, start_executor
from recorders.study.kept import axes_there, kept_runs
from recorders.study.mending import mend
from recorders.study.planning import Block, StudyPlan, plan_study, planned_layout
from recorders.study.progress import Progress
from recorders.study.resources import Resources
from recorders.study.worker import NEEDS_MASK, Worker, start, work
from recorders.upkeep.compaction import compact, consolidate

_PRELOAD = ("recorders.study.preloading",)


def record_study(
    settings: Settings,
    store: str | PathLike[str],
    *,
    name: str = "study",
    data: DataSet | None = None,
    data_root: str | PathLike[str] | None = None,
    offline: bool = False,
    using: Resources | None = None,
    model: ModelFactory | None = None,
    command: str = "",
    progress: Progress | None = None,
    lock: bool = True,
) -> list[Outcome]:
    """Train and record every run of a study that is not finished in the store.

    Parameters
    ----------
    settings : Settings
        The study.
    store : Path
        Folder of the store; created when missing. Finished runs are not repeated, unfinished ones start over.
    name : str
        Name of the recording; a further one of the same settings gets a number.
    data : DataSet, optional
        Decoded images; loaded by ``settings.data.name`` when not given.
    data_root, offline
        See `recorders.data.load`.
    using : Resources, optional
        Device and processes; chosen when not given.
    model : callable, optional
        A function without arguments that makes a freshly initialised `torch.nn.Module`; the study's MLP by default.
        Where runs train in processes of their own (on a CPU) it must be picklable: defined with `def` at the top level
        of a module, in a script above ``if __name__ == "__main__":``.
    command : str
        The command that regenerates the study, for the provenance.
    progress : Progress, optional
        Told how many runs there are and how each one ended.
    lock : bool
        False where the file system has no locks; then it is yours to see that nobody else writes into the store.

    Returns
    -------
    list of Outcome
        Of the runs trained now.

    Raises
    ------
    InputError
        Settings, data, model or store cannot be used as asked.
    RunError
        The disk is full, or worker processes cannot be started.
    Terminated
        SIGTERM came: what was measured is written, unfinished runs are ``interrupted``.
    """
    with listening():
        if using is not None and not using.stacked:
            start_executor(_PRELOAD)  # it imports while the images are loaded
        plan = plan_study(
            settings, name=name, data=data, data_root=data_root, offline=offline, using=using, model=model
        )
        outcomes, place = [], real_place(store)
        for block in plan.blocks:
            with progress or Progress(silent=True) as shown:
                if block.settings.axes:
                    shown.note(f"recording {block.name}")
                outcomes += _record_block(block, plan, place, command, shown, lock=lock)
        return outcomes


def _record_block(
    block: Block, plan: StudyPlan, store: Path, command: str, shown: Progress, *, lock: bool
) -> list[Outcome]:
    config = block.settings.as_dict()
    if plan.model:
        config["model"] = f"{plan.model.__module__}.{plan.model.__qualname__}"
    with exclusive(store, lock=lock):
        for line in mend(store):
            shown.note(line)
        open_root(store, create=True)
        recover_all(store)
        kept = kept_runs(store, config, plan.checksum)
        new = [run for run in block.runs if run not in kept]
        about = provenance(
            sums=summed_by(),
            threads=plan.using.threads,
            data=_about(block, plan),
            command=command,
            device=str(plan.using.device),
        )
        for recording in {
            place.recording for run, (place, state) in kept.items() if run in block.runs and not state.finished
        }:
            note_resumption(store, recording, about)
        if new:
            title, axes = _free_name(store, block.name), axes_there(store)
            layout = planned_layout(new, block.settings, plan.images, plan.model, plan.using, axes)
            create_recording(store, title, layout, config=told_apart(config, axes), provenance=about)
            kept |= {run: (Place(title, row), Status.PLANNED) for row, run in enumerate(new)}
        missing = [run for run in block.runs if not kept[run][1].finished]
        outcomes = []
        shown.start(len(block.runs), len(missing))
        recordings = {place.recording for place, _ in kept.values()}
        with _missed(store, recordings):
            for outcome in _train(missing, kept, block, plan, store, shown):
                outcomes.append(outcome)
                shown.ended(outcome.run.run_id, outcome.status, outcome.reason)
            for recording in recordings:
                with exclusive(store, recording):
                    compact(store, recording)
            consolidate(store)
    return outcomes


@contextmanager
def _missed(store: Path, recordings: Iterable[str]) -> Iterator[None]:
    """Say in one line that a recording was deleted meanwhile, whatever stumbled over it."""
    try:
        yield
    except BurdenError:
        raise
    except Exception as error:
        gone = [store / name for name in recordings if not (store / name / "zarr.json").exists()]
        if not gone:
            raise
        raise RunError(f"{gone[0]} is gone: it was moved or deleted while it was recorded") from error


def _about(block: Block, plan: StudyPlan) -> dict[str, Any]:
    probe, held_out = block.settings.probe, len(plan.images.test_labels)
    probed = min(probe.size, held_out) if probe.every else 0
    return {"name": plan.images.name, "sha256": plan.checksum, "held_out_images": held_out, "probed_images": probed}


def _free_name(store: Path, name: str) -> str:
    taken = set(recording_names(store))
    return next(n for i in range(1, len(taken) + 2) if (n := name if i == 1 else f"{name}-{i}") not in taken)


def _train(
    missing: Sequence[Run],
    kept: dict[Run, tuple[Place, Status]],
    block: Block,
    plan: StudyPlan,
    store: Path,
    shown: Progress,
) -> Iterator[Outcome]:
    """Train what is missing, each run after the one whose mask it starts from."""

    def assignment(runs: Sequence[Run]) -> Assignment:
        needs = [kept[run.needs][0] if run.needs else None for run in runs]
        return Assignment([kept[run][0] for run in runs], list(runs), needs)

    if not missing:
        return
    images, using = plan.images_of(block), plan.using
    if using.stacked:
        worker = Worker(store, block.settings, images, using, plan.model)
        for cohort in _cohorts(missing, kept):
            yield from worker.run(assignment(cohort))
        return
    # Runs that share a chunk (a store made for stacks) must not be written by two processes.
    workers = using.workers if _runs_are_apart(store, {kept[run][0].recording for run in missing}) else 1
    tasks = [Task(run, assignment([run]), run.needs) for run in missing]
    arguments = (store, block.settings, images.shared(), using, plan.model)
    for task, ended in execute(tasks, work, workers=workers, preload=_PRELOAD, initializer=start, initargs=arguments):
        if isinstance(ended, Unmet):
            yield _given_up(task.payload, Status.FAILED, f"{NEEDS_MASK}, which {ended}", store)
        elif not isinstance(ended, Lost):
            yield from ended
        elif ended.final:
            terminated = all(death.terminated for death in ended.deaths)
            yield _given_up(task.payload, Status.INTERRUPTED if terminated else Status.FAILED, str(ended), store)
        else:
            shown.note(f"{task.payload.runs[0].run_id}: {ended}; it starts over")


def _given_up(assignment: Assignment, status: Status, reason: str, store: Path) -> Outcome:
    """Note why a run did not come to its end, where its process can no longer do it."""
    [place], [run] = assignment.places, assignment.runs
    RecordingWriter(store, place.recording, [place.row]).set_status(place.row, status, reason)
    return Outcome(run, status, reason)


def _cohorts(missing: Sequence[Run], kept: dict[Run, tuple[Place, Status]]) -> Iterator[list[Run]]:
    """Group runs that can train as one stack: contiguous rows of one recording, all with or all without a need."""

    def stage(item: tuple[int, Run]) -> tuple[bool, str, int]:
        position, run = item
        place = kept[run][0]
        return run.needs is not None, place.recording, place.row - position

    ordered = sorted(missing, key=lambda run: (run.needs is not None, kept[run][0].recording, kept[run][0].row))
    for _, group in groupby(enumerate(ordered), key=stage):
        yield [run for _, run in group]


def _runs_are_apart(store: Path, recordings: set[str]) -> bool:
    groups = (zarr.open_group(store / name, mode="r", use_consolidated=False) for name in recordings)
    return all(group["loss"].chunks[0] == 1 for group in groups)  # type: ignore[union-attr]
