"""Signals that ask a process to end (SIGTERM) or to write what it holds (SIGUSR1): first everything is written.

A handler that was there before is called afterwards, as it would have been; where there was none, SIGTERM raises
`Terminated` in the main thread, so that `finally` and `with` blocks are left in order, and the exit code is 143. The
default action would end the process in the middle of them.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from inspect import currentframe
from pathlib import Path
from types import FrameType
from typing import Any

STOP = signal.SIGTERM
FLUSH = getattr(signal, "SIGUSR1", None)  # Windows has none
STOPPED = "stopped by SIGTERM"
_PATIENCE = 10.0  # seconds that a signal waits for another thread to have finished what it writes
Work = Callable[[], object]


class Terminated(SystemExit):
    """SIGTERM came, and nobody else handles it."""

    def __init__(self) -> None:
        super().__init__(128 + STOP)


def _nothing(*_: object) -> None:
    pass


class SignalListener:
    """Writes what it holds when a signal comes, but never in the middle of what is done inside it, as a context.

    Parameters
    ----------
    flush : callable
        Writes all that was measured.
    stopping : callable
        Called after that, on SIGTERM: with True before the process ends or somebody else's handler is called, with
        False when that handler lets it go on.
    quiet : bool
        Tell no errors: another process tells what there is to tell.
    """

    def __init__(
        self, flush: Work = _nothing, stopping: Callable[[bool], object] = _nothing, *, quiet: bool = False
    ) -> None:
        self._flush, self._stopping, self._quiet = flush, stopping, quiet
        self._inside = threading.RLock()
        self._depth, self._owner = 0, 0
        self._came: list[int] = []
        self._closed = False

    def open(self) -> SignalListener:
        """Hear signals from now on."""
        _install()
        _LISTENERS.append(self)
        return self

    def close(self) -> None:
        """Hear none any more; inside, what came is still passed on when that ends."""
        self._closed = True
        if self._owner != threading.get_ident():
            _remove(self)

    def __enter__(self) -> SignalListener:
        self._inside.acquire()
        self._depth += 1
        self._owner = threading.get_ident()
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        outermost = not self._depth
        if outermost:
            self._owner = 0
        self._inside.release()
        if outermost:
            try:
                self._deliver()
            finally:
                if self._closed:
                    _remove(self)

    @contextmanager
    def heard(self) -> Iterator[SignalListener]:
        """Hear signals in a block that is all inside: they come at its `point`s."""
        with self.open():
            try:
                yield self
            finally:
                self.close()

    def point(self) -> None:
        """Let what came inside happen here, where nothing is half done."""
        if self._came:
            owner, self._owner = self._owner, 0
            try:
                self._deliver()
            finally:
                self._owner = owner

    def postpones(self, signum: int) -> bool:
        """Whether a signal came in the middle of something; it is then delivered at the end of it."""
        if self._owner != threading.get_ident():
            return False
        self._came.append(signum)
        return True

    def write(self, signum: int, *, ends: bool) -> None:
        """Write what is held; an error is told, for the signal must still be passed on.

        Where the process goes on, it will meet the error again.
        """
        if self._closed:
            return
        if not self._inside.acquire(timeout=_PATIENCE):
            _tell(signum, "another thread is still writing")
            return
        try:
            self._flush()
            if ends:
                self._stopping(True)
        except Exception as error:  # of any kind: whoever comes next must not miss the signal
            if ends and not self._quiet:
                _tell(signum, str(error))
        finally:
            self._inside.release()

    def go_on(self) -> None:
        """Take back that the process ends."""
        if not self._closed:
            with suppress(Exception):  # was told when it was set
                self._stopping(False)

    def _deliver(self) -> None:
        while self._came:
            _receive(self._came.pop(0), currentframe())


@contextmanager
def listening() -> Iterator[None]:
    """Have SIGTERM raise `Terminated` in a block, and SIGUSR1 end nothing, unless somebody else handles them."""
    listener = SignalListener().open()
    try:
        yield
    finally:
        listener.close()


_LISTENERS: list[SignalListener] = []
_EARLIER: dict[int, list[Any]] = {}  # handlers below ours: one, and more where somebody put theirs above
_QUEUE: list[int] = []  # what came while everything is written
_process, _nested, _writing = os.getpid(), 0, False


def _receive(signum: int, frame: FrameType | None) -> None:
    """Handle a signal: in the main thread, between two of its instructions."""
    if not _LISTENERS or _nested or os.getpid() != _process:
        _pass_on(signum, frame)
    elif _writing:
        _QUEUE.append(signum)
    elif not any(listener.postpones(signum) for listener in _LISTENERS):
        ends = signum == STOP and _earlier(signum) is not signal.SIG_IGN
        _write(signum, ends=ends)
        if ends and not callable(_earlier(signum)):
            _QUEUE.clear()
            raise Terminated
        if callable(_earlier(signum)):
            _pass_on(signum, frame)
        if ends:
            for listener in tuple(_LISTENERS):
                listener.go_on()
        while _QUEUE:
            _receive(_QUEUE.pop(0), frame)


def _write(signum: int, *, ends: bool) -> None:
    global _writing
    _writing = True
    try:
        for listener in tuple(_LISTENERS):
            listener.write(signum, ends=ends)
    finally:
        _writing = False


def _tell(signum: int, text: str) -> None:
    with suppress(OSError):
        sys.stderr.write(f"recorders: at {signal.Signals(signum).name}: {' '.join(text.split())}\n")


def _earlier(signum: int) -> Any:
    below = _EARLIER.get(signum, [])
    return below[-1 - _nested] if _nested < len(below) else signal.SIG_DFL


def _pass_on(signum: int, frame: FrameType | None) -> None:
    """Do what would have been done without us. A handler that was put above ours may call ours in turn."""
    global _nested
    earlier = _earlier(signum)
    if callable(earlier):
        _nested += 1
        try:
            earlier(signum, frame)
        finally:
            _nested -= 1
    elif earlier is signal.SIG_DFL and not _nested:
        signal.signal(signum, signal.SIG_DFL)
        signal.raise_signal(signum)
    elif earlier is signal.SIG_DFL and signum == STOP:
        raise Terminated


def _install() -> None:
    if _LISTENERS or threading.current_thread() is not threading.main_thread():
        return
    for signum in _signals():
        found = signal.getsignal(signum)
        if found is not _receive and found is not None and not _is_of_a_library(signum, found):
            _EARLIER.setdefault(signum, []).append(found)
            signal.signal(signum, _receive)


def _remove(listener: SignalListener) -> None:
    if listener in _LISTENERS:
        _LISTENERS.remove(listener)
    if not _LISTENERS and threading.current_thread() is threading.main_thread():
        _restore()


def _restore() -> None:
    for signum in _signals():
        if signal.getsignal(signum) is _receive:  # else somebody's is above, and may call ours: it passes on
            below = _EARLIER.get(signum)  # none where somebody put ours back later
            signal.signal(signum, below.pop() if below else signal.SIG_DFL)


def _signals() -> list[signal.Signals]:
    return [signum for signum in (STOP, FLUSH) if signum is not None]


def _is_of_a_library(signum: int, found: Any) -> bool:
    """Whether a handler that Python does not know of is in place (`faulthandler.register`)."""
    if callable(found):
        return False
    with suppress(OSError):
        caught = re.search(r"^SigCgt:\s*(\w+)", Path("/proc/self/status").read_text(encoding="utf-8"), re.MULTILINE)
        return caught is not None and bool(int(caught[1], 16) >> (signum - 1) & 1)
    return False


def _forget() -> None:
    """Leave a forked child (a data loader's worker) the handlers that it would have had: nothing of ours is its own."""
    global _process
    if _LISTENERS and os.getpid() != _process:
        _LISTENERS.clear()
        _restore()
    _process = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
