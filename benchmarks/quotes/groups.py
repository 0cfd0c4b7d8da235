"""The groups of quotes: what computes each, or which script measures it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quotes.merging import token_map
from quotes.published import published, relabelled
from quotes.simulated import simulated
from quotes.studies import digits, mnist, tables_mini


@dataclass(frozen=True)
class Group:
    """Quotes that one command regenerates; `compute` gets the folder of stores, None where a script measures."""

    command: str
    compute: Callable[[Path], Mapping[str, Any]] | None = None


GROUPS: dict[str, Group] = {
    "published": Group("burden compare --by compression --published; burden power --seeds N", published),
    "relabelled": Group("python benchmarks/quoted.py check --only relabelled", relabelled),
    "token-map": Group("python benchmarks/quoted.py check --only token-map", token_map),
    "digits": Group("burden reproduce fig2", digits),
    "mnist": Group("burden reproduce fig2 --data mnist", mnist),
    "tables-mini": Group("burden reproduce tables --preset tables-mini (--seeds 3 4 5)", tables_mini),
    "simulated": Group("pytest tests/burden_analysis/statistics/test_error_rates.py --junitxml=rates.xml", simulated),
    "commands.py": Group("python benchmarks/commands.py"),
    "probe.py": Group("python benchmarks/probe.py DATA_ROOT"),
    "merging.py": Group("python benchmarks/merging.py"),
    "comparisons.py": Group("OMP_NUM_THREADS=1 python benchmarks/comparisons.py"),
    "kernels.py": Group("python benchmarks/kernels.py STORE OTHER"),
    "once": Group("measured once, elsewhere or by no script"),
}
