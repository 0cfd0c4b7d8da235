"""Tasks in processes of which some die."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from recorders.contract import InputError, RunError
from recorders.study.executor import Lost, Task, Unmet, execute
from recorders.study.worker_process import Death
from tests.progress import PATIENCE

_value = 0


def _start(value: int) -> None:
    global _value
    if value < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    if value > 100:
        raise InputError("cannot start")
    _value = value


def _add(payload: int) -> int:
    return payload + _value


def _end(how: str) -> str:
    """End this process, raise, or leave a mark for every try and end only at the first ones."""
    kind, _, rest = how.partition(" ")
    if kind == "exit":
        os._exit(int(rest))
    if kind == "kill":
        os.kill(os.getpid(), int(rest))
    if kind == "raise":
        raise InputError(rest)
    if kind == "odd":
        raise _OddError(1, 2)
    if kind == "second":
        with Path(rest).open("a") as file:
            file.write("x")
        if Path(rest).stat().st_size < 2:
            os.kill(os.getpid(), signal.SIGKILL)
    return how


class _OddError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


run: Any = partial(execute, workers=2, initializer=_start, initargs=(10,))


def ends(*hows: str, workers: int = 2) -> dict[str, list[object]]:
    found = defaultdict(list)
    for task, end in run([Task(how, how) for how in hows], _end, workers=workers):
        found[task.key].append(end)
    return found


def test_tasks_run_after_what_they_need() -> None:
    tasks = [Task("c", 3, needs="b"), Task("b", 2, needs="a"), Task("a", 1), Task("d", 4, needs="elsewhere")]
    ended = [(task.key, result) for task, result in run(tasks, _add)]
    assert dict(ended) == {"a": 11, "b": 12, "c": 13, "d": 14}
    keys = [key for key, _ in ended]
    assert keys.index("a") < keys.index("b") < keys.index("c")


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("exit 3", 3, "its process died 3 times: ended with exit code 3"),
        ("kill 9", -9, "its process died 3 times: killed by signal 9 (SIGKILL; out of memory?)"),
        ("kill 11", -11, "its process died 3 times: killed by signal 11 (SIGSEGV)"),
        ("kill 15", 143, "its process died 3 times: ended by SIGTERM"),
    ],
)
def test_a_task_whose_process_always_dies_is_given_up_and_the_rest_goes_on(how: str, code: int, words: str) -> None:
    found = ends("one", how, "two", "three")
    assert [found[name] for name in ("one", "two", "three")] == [["one"], ["two"], ["three"]]
    lost = found[how]
    assert lost == [Lost((Death(code),) * tries) for tries in (1, 2, 3)]
    assert [(end.final, end.deaths[-1].terminated) for end in lost if isinstance(end, Lost)] == [
        (False, code == 143),
        (False, code == 143),
        (True, code == 143),
    ]
    assert str(lost[-1]) == words


def test_a_task_that_dies_once_is_done_the_second_time(tmp_path: Path) -> None:
    how = f"second {tmp_path / 'tries'}"
    assert ends(how, "one", workers=1) == {how: [Lost((Death(-9),)), how], "one": ["one"]}


def test_what_needs_a_lost_task_is_not_begun() -> None:
    tasks = [Task("last", "exit 2", needs="after"), Task("after", "exit 2", needs="lost"), Task("lost", "exit 1")]
    ended = [(task.key, end) for task, end in run(tasks, _end)]
    assert ended[3:] == [("after", Unmet("lost")), ("last", Unmet("after"))]
    assert ended[2][0] == "lost"
    assert str(ended[2][1]) == "its process died 3 times: ended with exit code 1"


def test_an_error_is_raised_here_with_the_traceback_from_there() -> None:
    with pytest.raises(InputError, match=r"(?s)^no good\nTraceback .* in _end"):
        ends("raise no good")
    with pytest.raises(RunError, match=r"^_OddError: 1 and 2$"):  # it cannot be unpickled
        ends("odd")


@pytest.mark.parametrize(("value", "how"), [(-1, r"killed by signal 9"), (101, "ended with exit code 1")])
def test_processes_that_cannot_start_are_not_started_for_ever(value: int, how: str) -> None:
    with pytest.raises(RunError, match=rf'a worker process died before it began \({how}.*`if __name__ == "__main__":`'):
        list(run([Task("x", 1)], _add, initargs=(value,)))


def test_the_callers_own_processes_are_left_alone() -> None:
    mine = multiprocessing.get_context("forkserver").Process(target=time.sleep, args=(PATIENCE,))
    mine.start()
    try:
        assert list(run([Task("a", 1)], _add))
        assert mine.is_alive()
    finally:
        mine.terminate()
        mine.join()
