"""One thread that does the writing, so that the training loop never waits for the disk."""

from __future__ import annotations

from collections.abc import Callable
from queue import Queue
from threading import Thread

Job = Callable[[], None]
_AHEAD = 4  # flushes that may wait before the loop does


class BackgroundWriter:
    """Runs jobs in order on a thread of its own; the first error stops it and is raised in the caller."""

    def __init__(self) -> None:
        self._jobs: Queue[Job | None] = Queue(_AHEAD)
        self._error: Exception | None = None
        self._thread = Thread(target=self._work, name="burden-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job."""
        self._check()
        self._jobs.put(job)

    def wait(self) -> None:
        """Wait until every job that was queued is done."""
        self._jobs.join()
        self._check()

    def close(self) -> None:
        """Wait until every job is done, and end the thread."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()
        self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self._error is None:  # after an error the rest is dropped: a gap must never be committed
                try:
                    job()
                except Exception as error:  # handed to the training thread
                    self._error = error
            self._jobs.task_done()
