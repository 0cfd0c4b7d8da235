"""A process that works on one task after the other, as its parent sees it and from inside."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import BaseContext
from threading import Thread
from typing import Any

from recorders.contract import RunError
from recorders.store.signals import FLUSH, SignalListener

Work = Callable[[Any], Any]
_LOST = 255  # exit code of processes whose fork server is gone: multiprocessing cannot know theirs
_PATIENCE = 30.0  # seconds to write what was measured, as batch systems grant
_HINTS = {"SIGKILL": "; out of memory?", "SIGBUS": "; no room left in /dev/shm?"}


@dataclass(frozen=True)
class Death:
    """How a process ended that should have gone on.

    Attributes
    ----------
    code : int
        Exit code; negative where a signal killed it.
    """

    code: int

    @property
    def terminated(self) -> bool:
        """Whether it was asked to end (SIGTERM): then it has written what it had."""
        return self.code in (-signal.SIGTERM, 128 + signal.SIGTERM)

    @property
    def killed(self) -> bool:
        """Whether a signal ended it."""
        return self.code < 0 or self.terminated

    def __str__(self) -> str:
        """Say how it ended."""
        if self.terminated:
            return "ended by SIGTERM"
        if self.code == _LOST:
            return "ended, nobody saw how"
        if self.code >= 0:
            return f"ended with exit code {self.code}"
        name = signal.Signals(-self.code).name
        return f"killed by signal {-self.code} ({name}{_HINTS.get(name, '')})"


@dataclass(frozen=True)
class Raised:
    """What a task raised."""

    error: Exception


READY = None  # what a process says first


class WorkerProcess:
    """A process to give tasks to, one at a time.

    Parameters
    ----------
    context : BaseContext
        Makes it.
    work : callable
        Called in it with every payload.
    initializer, initargs
        Called in it once, at the start.

    Attributes
    ----------
    channel : Connection
        Becomes readable when the process has something to tell, or is dead.
    task : object
        What it works on; None: nothing.
    ready : bool
        Whether it can be given something.
    """

    def __init__(
        self,
        context: BaseContext,
        work: Callable[[Any], Any],
        initializer: Callable[..., None],
        initargs: Sequence[Any],
    ) -> None:
        self.channel, theirs = multiprocessing.Pipe()
        self._process = context.Process(  # type: ignore[attr-defined]
            target=_serve, args=(theirs, work, initializer, tuple(initargs))
        )
        self._process.start()
        theirs.close()
        self.task: Any = None
        self.ready = False

    def begin(self, task: Any, payload: object) -> None:
        """Give it a task."""
        self.task = task
        with suppress(OSError):  # it is dead: `told` says so
            self.channel.send(payload)

    def told(self) -> object:
        """Take what it has to tell: `READY`, a result, `Raised`, or its `Death`."""
        try:
            said = self.channel.recv()
        except (EOFError, OSError, pickle.UnpicklingError):  # also: it died while it told
            return self._death()
        self.ready = True
        return said

    def flush(self) -> None:
        """Have it write what it has measured."""
        if self.ready and FLUSH is not None:  # it hears signals
            self._signal(FLUSH)

    def terminate(self) -> None:
        """Have it write what it has measured, and end."""
        self._signal(signal.SIGTERM)

    def end(self) -> None:
        """Wait until it has ended; it may not write for ever."""
        with suppress(EOFError, OSError):
            while self.channel.poll(_PATIENCE):
                self.channel.recv_bytes()
        self._death()

    def _death(self) -> Death:
        """Make sure that it is dead, for its run may be given to another, and see how it died."""
        self.channel.close()
        self._process.join(_PATIENCE)
        if self._process.exitcode is None:
            self._signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
            self._process.join(_PATIENCE)
        code = self._process.exitcode
        return Death(_LOST if code is None else code)

    def _signal(self, signum: int) -> None:
        with suppress(OSError):
            if self._process.pid is not None:
                os.kill(self._process.pid, signum)  # also when multiprocessing believes it dead: its server may be


def _serve(
    channel: connection.Connection,
    work: Callable[[Any], Any],
    initializer: Callable[..., None],
    initargs: Sequence[Any],
) -> None:
    """Work on whatever comes, in the process, until the parent closes its end."""
    _follow_parent()
    listener = _hear()
    initializer(*initargs)
    with listener:  # what is told is told whole
        channel.send(READY)
    while True:
        try:
            payload = channel.recv()
        except (EOFError, OSError):
            return
        try:
            result = work(payload)
        except Exception as error:
            result = Raised(_portable(error))
        with listener:
            channel.send(result)


def _hear() -> SignalListener:
    """Leave Ctrl-C to the parent; let SIGTERM end this process, whatever it inherited."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    listener = SignalListener().open()
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {FLUSH} if FLUSH is not None else ())
    return listener


def _portable(error: Exception) -> Exception:
    """Prepare an exception for the parent, with the traceback as a note."""
    error.add_note(traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # of classes that cannot be pickled, or not unpickled
        return RunError(f"{type(error).__name__}: {error}")
    return error


def _follow_parent() -> None:
    """End this worker when the parent is killed: it must not go on writing beside a rerun.

    The pipe that the parent holds closes with its death. Where the kernel can kill at that moment (Linux), it does;
    elsewhere a thread sees it, as soon as it gets its turn.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    Thread(target=_die_with, args=(parent.sentinel,), daemon=True).start()
    with suppress(ImportError, OSError, AttributeError):
        import fcntl

        fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(parent.sentinel, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(parent.sentinel, fcntl.F_GETFL)
        fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)
    if not parent.is_alive():
        os._exit(1)


def _die_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
