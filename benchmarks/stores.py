"""How long does a study take to open, beside a CSV of the same series, and how does it grow with the recordings?

Run ``python benchmarks/stores.py``; it makes its stores in a temporary folder (about 1 GB for a while). One recording
of 45 runs x 2 000 records of a network of one tensor or three, with all variables, with twelve, and lazily, beside
`pandas.read_csv` of the same numbers; then 250, 500 and 1 000 recordings of one run each, and those packed into one.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from interleaved import machine, ratios, timings

from burden_analysis import open_study
from recorders.contract import Status
from recorders.store.documents import attributes_of
from recorders.store.layout import Layout, record_steps
from recorders.store.recording import create_recording
from recorders.store.writer import RecordingWriter
from recorders.study.packing import pack_stores
from recorders.upkeep.compaction import compact, consolidate, seal_recording

TWELVE = [
    *(f"{name}{mean}" for name in ("gradient_norm", "dense_gradient_norm", "weight_norm") for mean in ("", "_mean")),
    *("loss", "accuracy", "learning_rate", "target_sparsity", "actual_sparsity", "interval_steps"),
]
NAME = "mine-s0-seed0"


def record(store: Path, name: str, runs: int, records: int, tensors: int = 3) -> None:
    """Write a finished recording of random numbers."""
    draw = np.random.default_rng(0)
    run = [{"run_id": f"mine-s0-seed{i}", "strategy": "mine", "sparsity": 0.0, "seed": i} for i in range(runs)]
    shapes = {f"hidden{i}.weight": (30, 20) for i in range(tensors)}
    layout = Layout(run, shapes, ["hidden0", "hidden1"], record_steps(10, 10 * records), 20, updates=40)
    about = {"run": {"strategy": "mine", "sparsity": 0.0, "seed": 0}, "interval": 10}
    create_recording(store, name, layout, config=about, provenance={})
    sizes = layout.sizes | {"run": 1}
    for row in range(runs):
        writer = RecordingWriter(store, name, [row])
        writer.begin([""])
        for dim, write in (("record", writer.write_records), ("update", writer.write_updates)):
            series = [v for v in layout.variables if dim in v.dims]
            write(0, {v.name: draw.lognormal(size=[sizes[d] for d in v.dims]).astype(v.dtype) for v in series})
        writer.set_status(row, Status.COMPLETE)
    compact(store, name)
    consolidate(store)


def repeat(store: Path, recordings: int) -> None:
    """Copy the first recording until there are so many, each with a run of its own."""
    for seed in range(len([p for p in store.iterdir() if p.is_dir()]), recordings):
        name = f"mine-s0-seed{seed}"
        shutil.copytree(store / NAME, store / name)
        group = zarr.open_group(store / name, mode="r+", use_consolidated=False)
        group["run_id"][:], group["seed"][:] = np.array([name], object), seed
        seal_recording(store / name, attributes_of(store / name))


def one(folder: Path) -> None:
    """Compare one recording with CSV files of twelve series: one number a record, or of every tensor."""
    for tensors in (1, 3):
        store, csv = folder / f"{tensors}.zarr", folder / f"{tensors}.csv"
        record(store, "fig2", 45, 2000, tensors)
        study = open_study(store, variables=TWELVE)
        columns = [study[name].to_numpy().reshape(90_000, -1) for name in TWELVE]
        table = pd.DataFrame(np.concatenate(columns, axis=1, dtype=np.float32))
        table.to_csv(csv, index=False)
        pieces = {
            f"`pandas.read_csv`, {table.shape[1]} columns": partial(pd.read_csv, csv),
            "`open_study(variables=[12])`": partial(open_study, store, variables=TWELVE),
            f"`open_study`, {len(open_study(store).data_vars)} variables": partial(open_study, store),
            "`open_study(chunks={})`": partial(open_study, store, chunks={}),
        }
        shown = ratios(pieces, next(iter(pieces)), rounds=15, repeats=1)
        print(f"\n45 runs x 2 000 records, {tensors} tensor(s)\n\n{shown}")


def many(folder: Path) -> None:
    """Time a growing number of recordings of one run."""
    store, taken = folder / "many.zarr", {}
    record(store, NAME, 1, 20)
    for count in (250, 500, 1000):
        repeat(store, count)
        (taken[count],) = timings({"": partial(open_study, store)}, rounds=3, repeats=1).values()
    print("\n| recordings of one run | ms | ms a recording | ratio to half as many |\n|---|---|---|---|")
    middle = {count: float(np.median(ms)) for count, ms in taken.items()}
    ratio = {250: "", **{b: f"{middle[b] / middle[a]:.2f}" for a, b in pairwise(middle)}}
    for count, ms in middle.items():
        print(f"| {count} | {ms:.0f} | {ms / count:.2f} | {ratio[count]} |")
    pack_stores([store], folder / "packed.zarr")
    (packed,) = timings({"": partial(open_study, folder / "packed.zarr")}, rounds=3, repeats=1).values()
    print(f"| 1000, packed into one | {np.median(packed):.0f} | | |")


if __name__ == "__main__":
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        one(Path(folder))
        many(Path(folder))
