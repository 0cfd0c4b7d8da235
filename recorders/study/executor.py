"""Executes tasks with dependencies in worker processes. Knows neither training nor stores."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.context import BaseContext
from typing import Any, Generic, TypeVar

from recorders.contract import RunError
from recorders.store.signals import FLUSH, SignalListener
from recorders.study.worker_process import READY, Death, Raised, WorkerProcess

P = TypeVar("P")
R = TypeVar("R")
_TRIES = 3


@dataclass(frozen=True)
class Task(Generic[P]):
    """Something to do.

    Attributes
    ----------
    key : hashable
        Names the task.
    payload : object
        What the work function gets; must be picklable.
    needs : hashable or None
        Key of the task that must have ended before.
    """

    key: Hashable
    payload: P
    needs: Hashable | None = None


@dataclass(frozen=True)
class Lost:
    """A task whose process died.

    Attributes
    ----------
    deaths : sequence of Death
        How, once for every try.
    """

    deaths: Sequence[Death]

    @property
    def final(self) -> bool:
        """Whether it was given up: otherwise it is tried again."""
        return len(self.deaths) >= _TRIES

    def __str__(self) -> str:
        """Say how often and how."""
        times = "once" if len(self.deaths) == 1 else f"{len(self.deaths)} times"
        return f"its process died {times}: {', then '.join(dict.fromkeys(map(str, self.deaths)))}"


@dataclass(frozen=True)
class Unmet:
    """A task that was not begun, for the one that it needs was given up.

    Attributes
    ----------
    needs : hashable
        Key of that one.
    """

    needs: Hashable

    def __str__(self) -> str:
        """Say what became of that one."""
        return "did not come to its end: not begun"


def execute(
    tasks: Sequence[Task[P]],
    work: Callable[[P], R],
    *,
    workers: int,
    preload: Iterable[str] = (),
    initializer: Callable[..., None],
    initargs: tuple[Any, ...] = (),
) -> Iterator[tuple[Task[P], R | Lost | Unmet]]:
    """Run tasks in parallel processes that are reused, each after the one it needs.

    A process that dies takes nothing but its own task with it, which is tried again, a few times; others go on. What
    needs a task that was given up is not begun.
    """
    context = _forking_context(preload) if hasattr(os, "fork") else multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())  # the caller's own
    team: list[WorkerProcess] = []
    listener = SignalListener(partial(_flush, team)).open()
    waiting, open_keys = list(tasks), {task.key for task in tasks}
    deaths: dict[Hashable, tuple[Death, ...]] = {}
    given_up: set[Hashable] = set()
    started_in_vain = 0
    try:
        while waiting or any(worker.task for worker in team):
            if unmet := [task for task in waiting if task.needs in given_up]:
                waiting = [task for task in waiting if task not in unmet]
                open_keys -= {task.key for task in unmet}
                given_up |= {task.key for task in unmet}
                yield from ((task, Unmet(task.needs)) for task in unmet)
                continue
            ready = [task for task in waiting if task.needs not in open_keys]
            wanted = min(workers, len(ready) + sum(worker.task is not None for worker in team))
            while len(team) < wanted:
                start_executor(preload)  # it may have died
                team.append(WorkerProcess(context, work, initializer, initargs))
            idle = (worker for worker in team if worker.ready and worker.task is None)
            for worker, task in zip(idle, ready, strict=False):
                waiting.remove(task)
                worker.begin(task, task.payload)
            for worker in _telling(team):
                task, said = worker.task, worker.told()
                worker.task = None
                if isinstance(said, Death):
                    team.remove(worker)
                    if task is None:
                        started_in_vain += not worker.ready
                        _check_startable(said, started_in_vain)
                        continue
                    deaths[task.key] = (*deaths.get(task.key, ()), said)
                    lost = Lost(deaths[task.key])
                    if lost.final:
                        open_keys.discard(task.key)
                        given_up.add(task.key)
                    else:
                        waiting.insert(0, task)
                    yield task, lost
                elif isinstance(said, Raised):
                    raise said.error
                elif task is None:
                    assert said is READY
                    started_in_vain = 0
                else:
                    open_keys.discard(task.key)
                    yield task, said  # type: ignore[misc]
    finally:
        with listener:  # a further signal waits
            _dismiss(team)
            for process in set(multiprocessing.active_children()) - others:  # about to join the team
                process.kill()
                process.join()
            listener.close()


def _dismiss(team: Sequence[WorkerProcess]) -> None:
    """End them all: none may write any more when the caller gives its lock back."""
    for worker in team:
        worker.terminate()
    for worker in team:
        worker.end()


def _flush(team: Sequence[WorkerProcess]) -> None:
    for worker in team:
        worker.flush()


def _telling(team: Sequence[WorkerProcess]) -> list[WorkerProcess]:
    """Wait until some of them have something to tell."""
    by_channel = {worker.channel: worker for worker in team}
    return [by_channel[channel] for channel in connection.wait(list(by_channel))]  # type: ignore[index]


def _check_startable(death: Death, times: int) -> None:
    """Refuse to start processes for ever that die before they begin with anything."""
    if times and (not death.killed or times >= _TRIES):
        raise RunError(
            f"a worker process died before it began ({death}; out of memory, or of a script without `if __name__ == "
            '"__main__":`?): rerun the same command to go on, with fewer --workers if memory is short'
        )


def start_executor(preload: Iterable[str]) -> None:
    """Start the process that workers are forked from: it imports what they need while the caller does something else.

    Importing torch takes seconds, forking milliseconds. Ctrl-C and SIGUSR1 to the whole group are for the parent
    and its workers: the server is deaf to them from its first import on.

    Parameters
    ----------
    preload : iterable of str
        Modules to import; the same as for `execute`.
    """
    if not hasattr(os, "fork"):
        return
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(preload))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {FLUSH} if FLUSH is not None else ())
    try:
        resource_tracker.ensure_running()  # it would lift the block of the other
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _forking_context(preload: Iterable[str]) -> BaseContext:
    """Wait until the process that workers are forked from is ready: before that none may be asked for."""
    start_executor(preload)
    context = multiprocessing.get_context("forkserver")
    nothing = context.Process(target=int)
    nothing.start()
    nothing.join()
    return context
