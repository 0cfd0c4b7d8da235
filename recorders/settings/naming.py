"""Names of runs and recordings: readable, safe as file names, and different for different runs."""

from __future__ import annotations

import hashlib
import re
from typing import Any

_LONGEST = 160  # file systems take 255 bytes, and temporary names, continuations and locks add to it


def number(value: float) -> str:
    """Write a number as short as it can be without losing a digit: 0.9 → ``0.9``, 0.0 → ``0``."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def run_name(strategy: str, sparsity: float, seed: int, **settings: Any) -> str:
    """Name a run: ``iterative-s0.9-seed0``, with further settings in alphabetical order."""
    extra = [f"{key}={settings[key]}" for key in sorted(settings)]
    name = "-".join([strategy, f"s{number(sparsity)}", f"seed{seed}", *extra])
    safe = re.sub(r"[^\w.=-]+", "_", name).lstrip(".")[:_LONGEST]
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def continuation_name(name: str, step: int) -> str:
    """Name the recording in which a run goes on when its first one is full."""
    return f"{name}-from-step-{step}"


def continuations(name: str, names: list[str]) -> list[str]:
    """Find the recordings in which a run goes on, in order."""
    pattern = re.compile(re.escape(name) + r"-from-step-(\d+)")
    found = [(int(match[1]), other) for other in names if (match := pattern.fullmatch(other))]
    return [other for _, other in sorted(found)]
