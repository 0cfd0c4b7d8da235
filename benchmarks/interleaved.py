"""Times several pieces of code in turn, so that a drifting machine slows all of them alike."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from statistics import median, quantiles

import torch


def ratios(pieces: Mapping[str, Callable[[], None]], peer: str, *, rounds: int = 31, repeats: int = 20) -> str:
    """Time every piece `repeats` times in each round, and compare each round's times with the peer's.

    Parameters
    ----------
    pieces : mapping of str to callable
        What to time, by name.
    peer : str
        The name all others are compared with.
    rounds, repeats : int
        Rounds, and calls of each piece in a round; one more round warms up.

    Returns
    -------
    str
        A Markdown table: median milliseconds a call, median ratio and its quartiles.
    """
    times = timings(pieces, rounds=rounds, repeats=repeats)
    lines = [f"| what | ms | ratio to {peer} | quartiles |", "|---|---|---|---|"]
    for name, taken in times.items():
        ratio = [mine / theirs for mine, theirs in zip(taken, times[peer], strict=True)]
        low, _, high = quantiles(ratio, n=4)
        lines.append(f"| {name} | {median(taken):.3f} | {median(ratio):.2f} | {low:.2f}-{high:.2f} |")
    return "\n".join(lines)


def timings(pieces: Mapping[str, Callable[[], None]], *, rounds: int, repeats: int) -> dict[str, list[float]]:
    """Time pieces in turn; milliseconds a call for every piece and round, without the round that warms up."""
    times: dict[str, list[float]] = {name: [] for name in pieces}
    for _ in range(rounds + 1):
        for name, piece in pieces.items():
            began = time.perf_counter()
            for _ in range(repeats):
                piece()
            times[name].append((time.perf_counter() - began) / repeats * 1e3)
    return {name: taken[1:] for name, taken in times.items()}


def machine() -> str:
    """One line about where the figures come from."""
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, {torch.get_num_threads()} thread(s)"
    )
