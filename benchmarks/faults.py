"""What survives kills, signals, damage and readers? Counts what went wrong; seeded, and triggered by progress.

Run ``python benchmarks/faults.py --out FOLDER`` (``--kills``, ``--terms``, ``--worker-kills``, ``--damages``,
``--flips``, ``--swaps``, ``--reruns``, ``--reads``: how many of each; ``--seed``). A small digits study is recorded
undisturbed first. Killed ones are looked at, given again until they are complete, and compared with it. Every file of
the finished and of an unfinished store is damaged, one at a time. Exit code 1 where anything went wrong. About an hour
and a half on two cores; prints a Markdown table.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from burden_analysis import open_study
from burden_analysis.cli.main import main as burden
from recorders.contract import BurdenError

STUDY = "fig2 --seeds 0 --sparsities 0.8 --strategies iterative optimal random --hidden 20 --epochs 12"
FLAGS = f"record {STUDY} --evaluate-every 4 --probe-every 8 --interval 1 --workers 2 --device cpu".split()
BAD = ("unreadable", "lost", "wrong", "blocked", "traceback", "left running", "other end")
WALL = "images_per_second"  # differs by nature
WRITER = """
import sys, torch
from torch import nn
from recorders import Recorder
for turn in range(10 ** 6):
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    run = {"strategy": sys.argv[2], "sparsity": 0.0, "seed": 0}
    with Recorder(sys.argv[1], model, optimizer, run=run, interval=1, total_steps=30, exist="overwrite") as recorder:
        for i in range(30):
            model(torch.ones(2, 4)).square().mean().backward()
            recorder.log(number=float(i))
            optimizer.step()
            optimizer.zero_grad()
            if i % 10 == 0:
                recorder.flush()
"""


def start(store: Path) -> subprocess.Popen[str]:
    """Begin or go on with the study, in a session of its own."""
    command = [sys.executable, "-m", "burden_analysis.cli", *FLAGS, "--out", str(store)]
    pipes: dict[str, Any] = {"stderr": subprocess.STDOUT, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, start_new_session=True, **pipes)


def processes(session: int) -> list[int]:
    """Live processes of a session, the one that leads it first."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = place.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(place.parent.name))
    return sorted(found)


def progress(session: int) -> int:
    """Give how much a session has computed, in ticks of CPU time: on a slow machine it kills at the same places."""
    ticks = 0
    for pid in processes(session):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # its own and of the children that it has waited for
    return ticks


def opened(store: Path) -> tuple[xr.Dataset | None, list[str]]:
    """Open a study, and tell what was said; None where nothing can be opened."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            return open_study(store), [str(warning.message) for warning in said]
        except BurdenError as error:
            return None, [str(error)]


def command(*arguments: str) -> tuple[int | str, str]:
    """Run a command in this process: its exit code, and what it printed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            burden(list(arguments))
        except SystemExit as ended:
            return ended.code or 0, out.getvalue()
        except Exception as error:
            return "traceback", repr(error)
    return 0, out.getvalue()


def committed(study: xr.Dataset, whole: xr.Dataset) -> Counter[str]:
    """Compare what the runs of a study have committed with the undisturbed one."""
    found: Counter[str] = Counter()
    rows = {run: row for row, run in enumerate(whole["run_id"].values)}
    for row, run in enumerate(study["run_id"].values):
        mine, other = study.isel(run=row), whole.isel(run=rows[run])
        for dim, mark in (("record", "records_written"), ("update", "updates_written")):
            count = int(mine[mark])
            for name, variable in mine.data_vars.items():
                if dim in variable.dims and name not in (WALL, "overlap"):
                    same = np.array_equal(variable[:count], other[name][:count], equal_nan=True)
                    found["wrong"] += not same
                    found["lost"] += not same and bool(np.isnan(variable[:count].values).any())
    return found


def killed(folder: Path, whole: xr.Dataset, how: str, times: int, draw: random.Random, most: int) -> Counter[str]:
    """Kill the study, look at it, go on, until it was killed so often; finished ones equal the undisturbed one."""
    store, found = folder / "killed.zarr", Counter[str]()
    shutil.rmtree(store, ignore_errors=True)
    while found["times"] < times:
        process = start(store)
        wait = draw.randrange(most)
        while process.poll() is None and progress(process.pid) < wait:
            time.sleep(0.002)
        if process.poll() is None:
            found["times"] += 1
            strike(how, process.pid, draw)
        text, _ = process.communicate()
        ended = time.monotonic()
        while processes(process.pid) and time.monotonic() < ended + 10:
            time.sleep(0.02)
        for orphan in processes(process.pid):
            found["left running"] += 1
            os.kill(orphan, signal.SIGKILL)
        expected = {"kill": (0, -9), "term": (0, 143), "worker": (0,)}[how]
        found["other end"] += process.returncode not in expected
        found["traceback"] += "Traceback" in text
        if store.exists() and any(store.glob("[!.]*/zarr.json")):
            study, said = opened(store)
            found["unreadable"] += bool(said)
            sys.stderr.writelines(f"after {how}: {line}\n" for line in said)
            if study is not None:
                found += committed(study, whole)
        if process.returncode == 0:
            found["finished"] += 1
            shutil.rmtree(store)
    return found


def strike(how: str, pid: int, draw: random.Random) -> None:
    """Kill everything, the command's end by SIGTERM, or one worker."""
    if how == "kill":
        os.killpg(pid, signal.SIGKILL)
    elif how == "term":
        os.kill(pid, signal.SIGTERM)
    else:
        busy = [p for p in processes(pid) if _is_worker(p)]
        if busy:
            with contextlib.suppress(ProcessLookupError):
                os.kill(draw.choice(busy), signal.SIGKILL)


def _is_worker(pid: int) -> bool:
    with contextlib.suppress(OSError):
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        return b"forkserver" in Path(f"/proc/{parent}/cmdline").read_bytes()
    return False


def flip(path: Path, _: Path, draw: random.Random) -> None:
    """Flip one bit."""
    content = bytearray(path.read_bytes())
    bit = draw.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def replace_by_folder(path: Path, _: Path, __: random.Random) -> None:
    """Put a folder in the place of a file."""
    path.unlink()
    path.mkdir()


def swap(path: Path, other: Path, _: random.Random) -> None:
    """Exchange two files."""
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


DAMAGES: dict[str, Callable[[Path, Path, random.Random], object]] = {
    "deleted": lambda path, *_: path.unlink(),
    "emptied": lambda path, *_: path.write_bytes(b""),
    "cut": lambda path, *_: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a folder": replace_by_folder,
    "another file": lambda path, other, _: path.write_bytes(other.read_bytes()),
}


def damaged(store: Path, folder: Path, kinds: list[str], times: int, draw: random.Random) -> Counter[str]:
    """Damage a store: what differs must have been said, nothing ends in a traceback, repair leaves it whole."""
    found: Counter[str] = Counter()
    whole, _ = opened(store)
    assert whole is not None
    files = by_kind(store)
    work = folder / "damaged.zarr"
    for _ in range(times):
        found["times"] += 1
        kind, group = draw.choice(kinds), draw.choice(sorted(files))
        path = draw.choice(files[group])
        others = [p for p in files[group] if p.read_bytes() != path.read_bytes()] or files["recording"]
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(work.with_name("damaged.zarr.damaged"), ignore_errors=True)
        shutil.copytree(store, work)
        act = {"flip": flip, "swap": swap}.get(kind) or DAMAGES[kind]
        act(work / path.relative_to(store), work / draw.choice(others).relative_to(store), draw)
        study, said = opened(work)
        found["named"] += bool(said)
        silent = not said and (study is None or not study.identical(whole))
        found["wrong"] += silent
        if silent:
            sys.stderr.write(f"nobody noticed: {path.relative_to(store)} {kind}\n")
        for asked in (("show", str(work)), ("verify", str(work), "--repair"), ("verify", str(work))):
            code, _ = command(*asked)
            found["traceback"] += code == "traceback"
            found["not repaired"] += asked[0] == "verify" and len(asked) == 2 and code != 0
    return found


def by_kind(store: Path) -> dict[str, list[Path]]:
    """Files by what they are: metadata or chunk, of what kind of array."""
    states = ("status", "status_reason", "records_written", "updates_written", "initial_weights", "commits", "remarks")
    found: dict[str, list[Path]] = {}
    for path in sorted(p for p in store.rglob("*") if p.is_file()):
        _, *inner = path.relative_to(store).parts
        first = "state" if inner and inner[0] in states else "masks" if inner and inner[0] == "masks" else "array"
        name = "root" if not inner else "recording" if len(inner) == 1 else f"{first} {path.name == 'zarr.json'}"
        found.setdefault(name, []).append(path)
    return found


def rerun(unfinished: Path, folder: Path, whole: xr.Dataset, times: int, draw: random.Random) -> Counter[str]:
    """Damage an unfinished store and give the command again: it must get over it and end as if nothing had been."""
    found, work, files = Counter[str](), folder / "rerun.zarr", by_kind(unfinished)
    for _ in range(times):
        found["times"] += 1
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(unfinished, work)
        group = draw.choice(sorted(files))
        path, other = (draw.choice(files[group]) for _ in range(2))
        DAMAGES[draw.choice(sorted(DAMAGES))](work / path.relative_to(unfinished), other, draw)
        process = start(work)
        text, _ = process.communicate()
        study, said = opened(work)
        found["blocked"] += process.returncode != 0 or study is None
        found["traceback"] += "Traceback" in text
        found["unreadable"] += bool(said)
        if study is not None:
            found += committed(study, whole)
            found["lost"] += int((study["status"] != "complete").sum())
    return found


def read_beside(folder: Path, times: int) -> Counter[str]:
    """Open a store that four processes record into, finish and overwrite all the time."""
    store, found = folder / "read.zarr", Counter[str]()
    shutil.rmtree(store, ignore_errors=True)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(store), f"loop{k}"]) for k in range(4)]
    try:
        while not store.exists() or len(list(store.glob("[!.]*/zarr.json"))) < 4:
            time.sleep(0.05)
        while found["times"] < times:
            study, said = opened(store)
            found["times"] += 1
            found["unreadable"] += (bool(said) and study is not None) or (
                study is None and "no recordings" not in said[0]
            )
            for row in range(study.sizes["run"] if study is not None else 0):
                numbers = study["number"].values[row] if "number" in study else np.empty(0)
                numbers = numbers[np.isfinite(numbers)]
                found["lost"] += not np.array_equal(numbers, np.arange(int(study["records_written"][row])))
            found["left running"] += sum(writer.poll() is not None for writer in writers)
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    return found


def unfinished_store(folder: Path) -> Path:
    """Kill a study when one run is complete and another has committed records."""
    store = folder / "unfinished.zarr"
    shutil.rmtree(store, ignore_errors=True)
    process = start(store)
    while process.poll() is None:
        study, _ = opened(store) if store.exists() else (None, [])
        states = study["status"].values.tolist() if study is not None else []
        if "complete" in states and "running" in states and (study["records_written"].values > 0).sum() > 1:
            os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return store


def trials(asked: argparse.Namespace) -> Iterator[tuple[str, Counter[str]]]:
    """Try everything, one kind after the other."""
    folder: Path = asked.out
    folder.mkdir(parents=True, exist_ok=True)
    finished, draw = folder / "whole.zarr", random.Random(asked.seed)
    shutil.rmtree(finished, ignore_errors=True)
    process, most = start(finished), 0
    while process.poll() is None:
        most = max(most, progress(process.pid))
        time.sleep(0.05)
    whole, said = opened(finished)
    assert whole is not None, said
    yield "SIGKILL of everything", killed(folder, whole, "kill", asked.kills, draw, most)
    yield "SIGTERM of the command", killed(folder, whole, "term", asked.terms, draw, most)
    yield "SIGKILL of a worker", killed(folder, whole, "worker", asked.worker_kills, draw, most)
    part = unfinished_store(folder)
    for name, store in (("finished", finished), ("unfinished", part)):
        yield f"damage, {name}", damaged(store, folder, sorted(DAMAGES), asked.damages // 2, draw)
        yield f"flipped bits, {name}", damaged(store, folder, ["flip"], asked.flips // 2, draw)
        yield f"swapped files, {name}", damaged(store, folder, ["swap"], asked.swaps // 2, draw)
    yield "rerun after damage", rerun(part, folder, whole, asked.reruns, draw)
    yield "opened beside 4 writers", read_beside(folder, asked.reads)


def main() -> None:
    """Print a row for every kind of trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    for name, count in (("kills", 200), ("terms", 50), ("worker-kills", 50), ("damages", 200), ("flips", 500)):
        parser.add_argument(f"--{name}", type=int, default=count)
    for name, count in (("swaps", 50), ("reruns", 20), ("reads", 100)):
        parser.add_argument(f"--{name}", type=int, default=count)
    columns = ("times", "finished", "named", *BAD, "not repaired")
    sys.stdout.write(f"| trial | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}\n")
    wrong = 0
    for name, found in trials(parser.parse_args()):
        wrong += sum(found[column] for column in (*BAD, "not repaired"))
        sys.stdout.write(f"| {name} | {' | '.join(str(found[column]) for column in columns)} |\n")
        sys.stdout.flush()
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
