"""Executes tasks with dependencies in worker processes. Knows neither training nor stores."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.context import BaseContext
from threading import Thread
from typing import Any, Generic, TypeVar

from recorders.contract import RunError

P = TypeVar("P")
R = TypeVar("R")


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


def execute(
    tasks: Sequence[Task[P]],
    work: Callable[[P], R],
    *,
    workers: int,
    preload: Iterable[str] = (),
    initializer: Callable[..., None],
    initargs: tuple[Any, ...] = (),
) -> Iterator[tuple[Task[P], R]]:
    """Run tasks in parallel processes that are reused, each after the one it needs."""
    context = _forking_context(preload) if hasattr(os, "fork") else multiprocessing.get_context("spawn")
    waiting = list(tasks)
    open_keys = {task.key for task in tasks}
    others = set(multiprocessing.active_children())  # the caller's own
    pool = ProcessPoolExecutor(min(workers, len(tasks)), context, _start_worker, (initializer, initargs))
    running: dict[Future[R], Task[P]] = {}
    try:
        while waiting or running:
            ready = [task for task in waiting if task.needs not in open_keys]
            waiting = [task for task in waiting if task.needs in open_keys]
            running |= {pool.submit(work, task.payload): task for task in ready}
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                result = future.result()
                open_keys.discard(task.key)
                yield task, result
    except BrokenProcessPool as error:
        raise RunError(
            'a worker process died (out of memory, killed, or of a script without `if __name__ == "__main__":`): '
            "rerun the same command to go on, with fewer --workers if memory is short"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        mine = set(multiprocessing.active_children()) - others
        for process in mine:
            process.terminate()
        for process in mine:  # none may write any more when the caller gives its lock back
            process.join()


def start_executor(preload: Iterable[str]) -> None:
    """Start the process that workers are forked from: it imports what they need while the caller does something else.

    Importing torch takes seconds, forking milliseconds. Ctrl-C may come meanwhile and is for the parent alone: the
    server is deaf to it from its first import on.

    Parameters
    ----------
    preload : iterable of str
        Modules to import; the same as for `execute`.
    """
    if not hasattr(os, "fork"):
        return
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(preload))
    resource_tracker.ensure_running()  # it would lift the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
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


def _start_worker(initializer: Callable[..., None], initargs: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    Thread(target=_die_with_parent, daemon=True).start()
    initializer(*initargs)


def _die_with_parent() -> None:
    """End this worker when the parent is killed: it must not go on writing beside a rerun."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
