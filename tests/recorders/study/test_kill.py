"""Real processes, really killed, each at a stage of progress that can be seen from outside, never after a time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from burden_analysis import open_study
from tests.progress import Member, files, members, until

COMMAND = [
    *(sys.executable, "-m", "burden_analysis.cli", "record", "fig2", "--hidden", "60", "30", "--epochs", "45"),
    *("--interval", "1", "--seeds", "0", "1", "2"),  # 540 records: the first 500 are written while a run goes on
]
FIRST, MORE = ("--sparsities", "0.7"), ("--sparsities", "0.7", "0.9")  # the second adds a recording
RECORDINGS = ("fig2", "fig2-2")

Seen = Callable[[], set[object]]


def server(group: int) -> list[Member]:
    return [member for member in members(group) if "multiprocessing.forkserver" in member.command]


def workers(group: int) -> list[Member]:
    parents = {member.pid for member in server(group)}
    return [member for member in members(group) if member.parent in parents]


def ended(group: int) -> bool:
    return not members(group)


def finished(store: Path, recording: str) -> set[object]:
    try:
        status = zarr.open_array(store / recording / "status", mode="r")[:]
    except FileNotFoundError:
        return set()
    return set(np.flatnonzero(np.asarray(status) == "complete").tolist())


def stages(store: Path, recording: str, group: int) -> dict[str, Seen]:
    """What there is to see at each stage of a study; a process has come to a stage when there is more to see."""

    def written(*path: str) -> Seen:
        return partial(files, store.joinpath(*path))

    return {
        "the store is made": lambda: set(store.parent.glob(f"*{store.name}*/zarr.json")),
        "the recording is made": lambda: files(store / f".{recording}.tmp") or files(store / recording / "zarr.json"),
        "workers import": lambda: set(server(group)),
        "a run begins": written(recording, "status"),
        "records are written": written(recording, "gradient_norm", "c"),
        "records are committed": written(recording, "records_written", "c"),
        "masks are written": written(recording, "masks"),
        "a run is finished": partial(finished, store, recording),
        "the recording is compacted": written(f".{recording}.compact"),
        "the recordings are swapped": written(f".{recording}.old"),
    }


def start(*arguments: str, store: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *arguments, "--out", str(store)], stderr=subprocess.DEVNULL, start_new_session=True
    )


def kill_at(stage: str, store: Path, recording: str, *arguments: str, everything: bool) -> subprocess.Popen[bytes]:
    """Kill a study when it comes to a stage: the parent alone, or all its processes."""
    before = stages(store, recording, group=0)[stage]()
    process = start(*arguments, store=store)
    try:
        seen = stages(store, recording, process.pid)[stage]
        until(lambda: seen() - before or process.poll() is not None, stage)
    finally:
        if everything:
            with suppress(ProcessLookupError):  # it had ended
                os.killpg(process.pid, signal.SIGKILL)  # at once, as a node that goes down
        else:
            process.kill()  # its workers must follow
        process.wait()
    return process


def contents(store: Path) -> list[xr.Dataset]:
    return [xr.open_zarr(store, group=f"{name}{part}").load() for name in RECORDINGS for part in ("", "/masks")]


@pytest.mark.slow
def test_a_study_killed_twenty_times_opens_each_time_and_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    draw = random.Random(0)
    while_training = list(stages(tmp_path, "", 0))[2:8]
    plan = [("the store is made", "fig2", FIRST)]
    for recording, arguments, drawn in zip(RECORDINGS, (FIRST, MORE), (6, 7), strict=True):
        training = draw.sample(2 * while_training, drawn)  # finishes fewer runs than the recording has
        whole = ("the recording is made", *training, "the recording is compacted", "the recordings are swapped")
        plan += [(stage, recording, arguments) for stage in whole]
    assert len(plan) == 20
    store = tmp_path / "killed.zarr"
    there, killed = [set[str]()], []
    for attempt, (stage, recording, arguments) in enumerate(plan):
        process = kill_at(stage, store, recording, *arguments, everything=attempt % 2 == 1)
        if process.returncode == -signal.SIGKILL:
            killed.append(stage)
        if any(store.glob("[!.]*/zarr.json")) or any(store.glob(".*.old/zarr.json")):
            dataset = open_study(store)
            written = dataset.gradient_norm.notnull().all("parameter").sum("record")
            assert (written == dataset.records_written).all()
            there.append(set(dataset.run_id.values[dataset.status == "complete"].tolist()))
        until(partial(ended, process.pid), "the workers of a killed study follow it")
    assert len(killed) > len(plan) / 2, f"most studies ended before they were killed; killed: {killed}"
    assert all(before <= after for before, after in pairwise(there))  # nothing is started over
    undisturbed = tmp_path / "undisturbed.zarr"
    for path, arguments in ((store, MORE), (undisturbed, FIRST), (undisturbed, MORE)):
        assert start(*arguments, store=path).wait() == 0
    for mine, theirs in zip(contents(store), contents(undisturbed), strict=True):
        xr.testing.assert_equal(mine, theirs)
    left = {p.name for p in tmp_path.iterdir()} - {"killed.zarr", "undisturbed.zarr"}
    assert all(name.startswith(".killed.zarr.") for name in left)


@pytest.mark.parametrize("stage", ["recording", "server", "torch", "worker", "run"])
def test_ctrl_c_is_one_line(tmp_path: Path, stage: str) -> None:
    store = tmp_path / "s.zarr"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background may ignore Ctrl-C
    command = [*COMMAND, *FIRST, "--out", str(store)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    signal.signal(signal.SIGINT, before)
    reached: dict[str, Callable[[], object]] = {
        "recording": (store / "fig2").exists,
        "server": lambda: server(process.pid),
        "torch": lambda: any(member.has_mapped("libtorch") for member in server(process.pid)),
        "worker": lambda: workers(process.pid),
        "run": lambda: files(store / "fig2" / "initial_weights" / "c"),
    }
    try:
        until(lambda: reached[stage]() or process.poll() is not None, stage)
    finally:
        with suppress(ProcessLookupError):  # it had ended
            os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (130, "burden: interrupted; rerun the same command to go on\n")
