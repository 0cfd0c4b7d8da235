"""Where the time of a training goes."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from recorders.training.profile import SECTIONS, UNPROFILED, Profile


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=100.0)
    clock.perf_counter = lambda: clock.now
    monkeypatch.setattr("recorders.training.profile.time", clock)
    return clock


def test_every_moment_is_of_the_innermost_section(clock: SimpleNamespace) -> None:
    profile = Profile(torch.device("cpu"))
    clock.now += 1
    with profile("masks"):
        clock.now += 2
        with profile("probe"):
            clock.now += 4
        clock.now += 8
    clock.now += 16
    with profile("masks"):
        clock.now += 32
    expected = {"masks": 42.0, "probe": 4.0, "other": 17.0}
    assert profile.seconds() == {name: expected.get(name, 0.0) for name in SECTIONS}
    assert sum(profile.seconds().values()) == clock.now - 100


def test_drawing_is_timed_and_what_is_done_with_the_drawn_is_not(clock: SimpleNamespace) -> None:
    def numbers() -> Iterator[int]:
        for n in range(3):
            clock.now += 1
            yield n
        clock.now += 1

    profile = Profile(torch.device("cpu"))
    for n in profile.drawn("data", numbers()):
        clock.now += 10 * n
    assert {name: s for name, s in profile.seconds().items() if s} == {"data": 4.0, "other": 30.0}


def test_a_section_ends_with_an_exception(clock: SimpleNamespace) -> None:
    profile = Profile(torch.device("cpu"))

    def fail() -> None:
        with profile("forward"):
            clock.now += 3
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail()
    clock.now += 5
    assert {name: s for name, s in profile.seconds().items() if s} == {"forward": 3.0, "other": 5.0}


def test_a_section_that_is_none_of_ours_is_refused() -> None:
    with pytest.raises(KeyError), Profile(torch.device("cpu"))("sleeping"):
        pass


def test_a_gpu_is_waited_for_at_borders_and_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    profile = Profile(torch.device("cuda"))
    with profile("forward"):
        pass
    profile.seconds()
    assert waited == [torch.device("cuda")] * 3
    with Profile(torch.device("cpu"))("forward"), UNPROFILED("forward"):
        pass
    assert len(waited) == 3


def test_unprofiled_nothing_is_kept(clock: SimpleNamespace) -> None:
    items = [1, 2]
    with UNPROFILED("forward"), UNPROFILED("backward"):
        clock.now += 1
    assert UNPROFILED.drawn("data", items) is items
    assert UNPROFILED.seconds() == {}
