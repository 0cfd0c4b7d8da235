"""Tells a person how a study gets on: a bar on a terminal or in a notebook, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Any

from recorders.contract import Status, one_line


class Progress:
    """Progress over the runs of a study, on standard error.

    Parameters
    ----------
    silent : bool
        Show nothing.
    """

    def __init__(self, *, silent: bool = False) -> None:
        self._silent = silent
        self._bar: Any = None
        self._done = self._total = 0
        self._began = time.monotonic()

    def start(self, planned: int, missing: int) -> None:
        """Say how many runs are planned and how many of them are not finished yet."""
        self._done, self._total = planned - missing, planned
        if self._silent:
            return
        if self._done:
            self._line(f"{self._done} of {planned} runs are finished already")
        if missing and _interactive():
            from tqdm.auto import tqdm

            self._bar = tqdm(total=planned, initial=self._done, unit="run")

    def note(self, text: str) -> None:
        """Say what comes next."""
        if not self._silent:
            self._line(text)

    def ended(self, run_id: str, status: Status, reason: str) -> None:
        """Say how a run ended."""
        self._done += 1
        if self._silent:
            return
        if self._bar is not None:
            self._bar.update()
            if reason:
                self._bar.write(one_line(f"{run_id} {status}: {reason}"), file=sys.stderr)
            return
        seconds = time.monotonic() - self._began
        self._line(f"[{self._done}/{self._total}] {run_id} {status}{f': {reason}' if reason else ''} ({seconds:.0f} s)")

    def __enter__(self) -> Progress:
        self._began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    @staticmethod
    def _line(text: str) -> None:
        with suppress(OSError):  # nobody is left to be told, and the study goes on
            sys.stderr.write(f"{one_line(text)}\n")
            sys.stderr.flush()


def _interactive() -> bool:
    shell = sys.modules.get("IPython")
    in_notebook = shell is not None and shell.get_ipython() is not None
    return in_notebook or sys.stderr.isatty()
