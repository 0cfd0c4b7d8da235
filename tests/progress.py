"""Waits for progress that can be seen from outside, on a machine of any speed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

PATIENCE = 1800.0  # seconds: a net for what hangs, no matter of speed


def until(fact: Callable[[], object], what: str, every: float = 0.005) -> None:
    """Wait until something holds; fail, and say what, where it never does."""
    end = time.monotonic() + PATIENCE
    while not fact():
        if time.monotonic() > end:
            pytest.fail(f"{what}: not within {PATIENCE:.0f} s")
        time.sleep(every)


def files(folder: Path) -> set[tuple[str, int, int]]:
    """Every file under a folder that others write, each version of it once; none where there is no folder."""
    found = set()
    for place, _, names in os.walk(folder):
        for path in (os.path.join(place, name) for name in names):  # noqa: PTH118 (twice as fast)
            with suppress(FileNotFoundError):
                about = os.stat(path)  # noqa: PTH116
                found.add((path, about.st_ino, about.st_mtime_ns))
    return found


@dataclass(frozen=True)
class Member:
    """A living process."""

    pid: int
    parent: int
    command: str

    def has_mapped(self, library: str) -> bool:
        """Whether it has loaded a library whose name contains this."""
        with suppress(OSError):
            return library in Path(f"/proc/{self.pid}/maps").read_text(encoding="utf-8", errors="replace")
        return False


def members(group: int) -> list[Member]:
    """List the living processes of a group; what has died but was not waited for is left out."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            about = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            state, parent, its_group = about.rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                command = (folder / "cmdline").read_text(encoding="utf-8", errors="replace").replace("\0", " ")
                found.append(Member(int(folder.name), int(parent), command))
    return found
