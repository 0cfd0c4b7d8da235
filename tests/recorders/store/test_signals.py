"""What signals do to whoever holds something that is not written yet: in this process, which sends them to itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from recorders.store.signals import SignalListener, Terminated, listening

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="a platform without SIGUSR1")
TERM, USR1 = signal.SIGTERM, signal.SIGUSR1


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {signum: signal.getsignal(signum) for signum in (TERM, USR1)}
    for signum in before:
        signal.signal(signum, signal.SIG_DFL)
    yield
    found = [signal.getsignal(signum) for signum in before]
    for signum, handler in before.items():
        signal.signal(signum, handler)
    assert found == [signal.SIG_DFL] * 2, "handlers were not put back"


class Held:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.listener = SignalListener(lambda: self.told.append("written"), self.told.append)

    def __enter__(self) -> Held:
        self.listener.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()


def send(signum: int) -> None:
    signal.raise_signal(signum)


def test_sigusr1_writes_and_goes_on() -> None:
    with Held() as one, Held() as two:
        send(USR1)
        send(USR1)
    assert one.told == two.told == ["written", "written"]


def test_sigterm_writes_and_raises_what_leaves_blocks_in_order() -> None:
    left = []

    def act() -> None:
        try:
            send(TERM)
        finally:
            left.append("finally")

    with Held() as held, pytest.raises(Terminated) as caught:
        act()
    assert (held.told, left, caught.value.code) == (["written", True], ["finally"], 143)


@pytest.mark.parametrize(
    ("signum", "handler", "told"),
    [
        (TERM, lambda *_: None, ["written", True, False]),  # it sets a flag, say: the loop goes on
        (USR1, lambda *_: None, ["written"]),
        (TERM, signal.SIG_IGN, ["written"]),
        (USR1, signal.SIG_IGN, ["written"]),
    ],
)
def test_a_handler_that_was_there_is_called_after_writing_and_put_back(
    signum: int, handler: Any, told: list[object]
) -> None:
    called: list[object] = []

    def mine(*arguments: object) -> None:
        called.extend([*held.told, arguments[0]])

    found = mine if callable(handler) else handler
    signal.signal(signum, found)
    with Held() as held:
        send(signum)
    assert held.told == told
    assert called == ([*told[:2], signum] if callable(handler) else [])
    assert signal.getsignal(signum) == found
    signal.signal(signum, signal.SIG_DFL)


def test_a_handler_that_raises_ends_the_run() -> None:
    def mine(*_: object) -> None:
        raise ValueError("preempted")

    signal.signal(TERM, mine)
    with Held() as held, pytest.raises(ValueError, match="preempted"):
        send(TERM)
    assert held.told == ["written", True]
    signal.signal(TERM, signal.SIG_DFL)


def test_a_handler_put_above_ours_may_call_it_again_and_again() -> None:
    """A loop over seeds that installs its own handler each time, and passes on to what it found."""
    called: list[int] = []
    for number in range(3):
        with Held() as held:
            below = signal.getsignal(TERM)

            def mine(signum: int, frame: Any, number: int = number, below: Any = below) -> None:
                called.append(number)
                below(signum, frame)

            signal.signal(TERM, mine)
            with pytest.raises(Terminated):
                send(TERM)
        assert held.told[:2] == ["written", True]
    assert called == [0, 1, 0, 2, 1, 0]
    signal.signal(TERM, signal.SIG_DFL)


def inside(held: Held, act: Callable[[], object]) -> None:
    with held.listener:
        act()


def test_what_comes_inside_happens_at_its_end_or_at_a_point() -> None:
    with Held() as held:
        with held.listener:
            with held.listener:
                send(USR1)
            assert held.told == []
            held.listener.point()
            assert held.told == ["written"]
            send(USR1)
        assert held.told == ["written"] * 2
        with pytest.raises(Terminated):
            inside(held, lambda: (send(TERM), send(TERM), held.told.append("whole")))  # twice in a row
    assert held.told[2:] == ["whole", "written", True]


def test_what_is_closed_inside_is_not_written_but_the_process_ends() -> None:
    with listening(), Held() as held, pytest.raises(Terminated):
        inside(held, lambda: (send(TERM), held.listener.close()))
    assert held.told == []


def test_a_signal_while_another_is_handled_comes_after_it() -> None:
    def write() -> None:
        told.append("begun")
        if len(told) == 1:
            send(TERM)
            send(USR1)
        told.append("written")

    told: list[str] = []
    listener = SignalListener(write).open()
    with pytest.raises(Terminated):
        send(USR1)
    listener.close()
    assert told == ["begun", "written"] * 2


def test_an_error_is_told_and_the_signal_still_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise OSError("no\nspace")

    listener = SignalListener(fail).open()
    with Held() as held, pytest.raises(Terminated):
        send(TERM)
    listener.close()
    assert held.told == ["written", True]
    assert capfd.readouterr().err == "recorders: at SIGTERM: no space\n"


def test_another_thread_finishes_what_it_writes_first() -> None:
    inside, told = threading.Event(), []

    def work() -> None:
        with listener:
            inside.set()
            sent.wait()
            told.append("whole")

    sent = threading.Event()
    listener = SignalListener(lambda: told.append("written")).open()
    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    threading.Timer(0.01, sent.set).start()
    send(USR1)
    thread.join()
    listener.close()
    assert told == ["whole", "written"]


def test_in_another_thread_nothing_is_installed() -> None:
    def work() -> None:
        with listening():
            found.append(signal.getsignal(TERM))

    found: list[Any] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.SIG_DFL]


def in_child(act: Callable[[], None]) -> int:
    """Fork, act, and return the child's exit code."""
    pid = os.fork()
    if not pid:
        try:
            act()
        finally:
            os._exit(3)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_writes_nothing_of_its_parents() -> None:
    def act() -> None:
        held.listener._flush = lambda: os._exit(9)
        send(signum)

    for signum in (TERM, USR1):
        with Held() as held:
            assert in_child(act) == -signum
    signal.signal(TERM, lambda *_: os._exit(5))  # the user's own, for every process
    signum = TERM
    with Held() as held:
        assert in_child(act) == 5
    signal.signal(TERM, signal.SIG_DFL)


LIBRARY = """
import faulthandler, os, signal, sys
from recorders.store.signals import SignalListener
faulthandler.register(signal.SIGUSR1, file=sys.stdout)
listener = SignalListener(lambda: print("written")).open()
listener.close()
os.kill(os.getpid(), signal.SIGUSR1)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells of them")
def test_a_librarys_handler_that_python_does_not_know_is_left_alone() -> None:
    done = subprocess.run([sys.executable, "-c", LIBRARY], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "most recent call first" in done.stdout
