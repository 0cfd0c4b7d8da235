"""Where the time of a training goes, by section."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

import torch

SECTIONS = (
    "data",
    "forward",
    "backward",
    "optimiser",
    "masks",
    "indicators",
    "probe",
    "evaluation",
    "writing",
    "other",
)
_NOTHING = nullcontext()
T = TypeVar("T")


class Profile:
    """Times the sections of a training, from the moment it is made.

    Every moment belongs to one section: to the innermost that is open, outside of all to ``other``. So the sections add
    up to the time since the beginning.

    Parameters
    ----------
    device : torch.device or None
        Where the training is; a GPU is waited for whenever a section begins or ends, which makes it slower. None:
        nothing is timed, and a section costs next to nothing.
    """

    def __init__(self, device: torch.device | None) -> None:
        self._device = device
        self._seconds = dict.fromkeys(SECTIONS, 0.0)
        self._open = ["other"]
        self._since = time.perf_counter()

    def __call__(self, section: str) -> AbstractContextManager[None]:
        """Time what happens inside as a section of the training; one of `SECTIONS`."""
        return _NOTHING if self._device is None else self._section(section)

    def drawn(self, section: str, items: Iterable[T]) -> Iterable[T]:
        """Time what it takes to draw each of some items as a section."""
        return items if self._device is None else self._drawn(section, items)

    def seconds(self) -> dict[str, float]:
        """Return the seconds of every section so far; none where nothing is timed."""
        if self._device is None:
            return {}
        self._charge()
        return dict(self._seconds)

    @contextmanager
    def _section(self, name: str) -> Iterator[None]:
        self._charge()
        self._open.append(name)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def _drawn(self, section: str, items: Iterable[T]) -> Iterator[T]:
        source = iter(items)
        while True:
            try:
                with self._section(section):
                    item = next(source)
            except StopIteration:
                return
            yield item

    def _charge(self) -> None:
        """Give the time since the last border to the innermost open section."""
        if self._device is not None and self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self._seconds[self._open[-1]] += now - self._since
        self._since = now


UNPROFILED = Profile(None)
