"""How long do whole commands take from a cold start, and how much memory does a worker need?

Run ``python benchmarks/commands.py [DATA_ROOT]``; with a data root the MNIST study is timed too. Limits are those the
project set itself: `burden --help` under 1 s, fig2 on digits under 90 s, on MNIST under 6 minutes, 1.5 GB per worker.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

BURDEN = [sys.executable, "-m", "burden_analysis.cli"]


def seconds(*arguments: str) -> float:
    """Wall-clock seconds of one command."""
    began = time.perf_counter()
    subprocess.run([*BURDEN, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began


def cpu_seconds(*arguments: str) -> tuple[float, float]:
    """CPU seconds (user and system) and wall-clock seconds of one command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = seconds(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, taken


def timed_with_memory(*arguments: str) -> tuple[float, float]:
    """Wall-clock seconds of one command and the highest resident memory of a worker, in GB."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [*BURDEN, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, *(_peak(pid) for pid in _session(process.pid) if pid != process.pid), 0, 0)
        time.sleep(0.25)
    if process.returncode:
        raise SystemExit(f"burden {' '.join(arguments)} ended with {process.returncode}")
    return time.perf_counter() - began, peak / 1e6


def _session(leader: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(entry.name)) == leader:
                found.append(int(entry.name))
        except ProcessLookupError:
            continue
    return found


def _peak(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def main() -> None:
    """Print a Markdown table."""
    print(f"{os.cpu_count()} cores\n\n| command | seconds | peak GB of a worker | limit |\n|---|---|---|---|")
    help_times = [seconds("--help") for _ in range(11)]
    spread = f"{median(help_times):.2f} ({min(help_times):.2f}-{max(help_times):.2f}, 11 runs)"
    print(f"| burden --help | {spread} | | 1 s |", flush=True)
    studies = [("burden reproduce fig2", [], "90 s")]
    if len(sys.argv) > 1:
        studies.append(
            ("burden reproduce fig2 --data mnist", ["--data", "mnist", "--data-root", sys.argv[1]], "360 s, 1.5 GB")
        )
    for name, more, limit in studies:
        with tempfile.TemporaryDirectory() as folder:
            taken, memory = timed_with_memory("reproduce", "fig2", "--out", f"{folder}/results", *more)
            print(f"| {name} | {taken:.0f} | {memory:.2f} | {limit} |", flush=True)
            again = (cpu_seconds("report", f"{folder}/results/study.zarr", "--out", f"{folder}/{k}") for k in range(5))
            cpu, wall = (median(each) for each in zip(*again, strict=True))
        print(f"| burden report of it (5 runs) | {wall:.1f} ({cpu:.1f} of CPU) | | |", flush=True)


if __name__ == "__main__":
    main()
