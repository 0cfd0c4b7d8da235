"""Keeps what a version computes, writes and says, so that a later one can be held against it.

Run ``python benchmarks/frozen.py keep FOLDER STORES`` before and after a change, on the same machine, then
``python benchmarks/frozen.py compare BEFORE AFTER``: it lists the files that differ and exits with 1 if any does.
Studies are recorded into the folder STORES unless they are there: with the stores of another version only the analysis
is held against it, in less time.
Kept are the values of seeded digits studies, ``tables-mini`` with one seed, an unpaired study and the published tables:
a digest of every array, what every command prints, report.json, every CSV and caption. Times, versions and paths are
left out; figures count by their numbers and captions.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

BURDEN = [sys.executable, "-m", "burden_analysis.cli"]
TEXT = (".csv", ".json", ".md", ".tex", ".txt")
# What differs between two runs of one version: when, where and with what.
VARYING = ("provenance", "recordings", "command", "created", "history", "page", "machine")
TIMED = ("images_per_second", "seconds", "throughput")
STUDIES: dict[str, list[list[str]]] = {
    "fig2": [["record", "fig2", "--seeds", "0", "1", "2", "--epochs", "12"]],
    "methods": [
        [
            *("record", "fig2", "--strategies", "dense", "gmp", "set", "rigl", "gumbel", "--seeds", "0", "1"),
            *("--sparsities", "0.5", "0.8", "--epochs", "8", "--pruning-interval", "10", "--probe-every", "3"),
        ]
    ],
    "allocations": [
        ["record", "fig2", "--strategies", "random", "--allocation", allocation, "--seeds", "0", "--epochs", "2"]
        for allocation in ("uniform", "erk", "matched")
    ],
    "unpaired": [
        ["record", "fig2", "--strategies", strategy, "--seeds", *seeds, "--epochs", "6", "--sparsities", "0.5", "0.8"]
        for strategy, seeds in (("iterative", "0123"), ("random", "4567"))
    ],
    "tables": [["record", "tables", "--preset", "tables-mini", "--seeds", "0"]],
}
QUESTIONS: dict[str, list[str]] = {
    "show": ["show"],
    "compare": ["compare"],
    "compare-rms": ["compare", "--indicator", "gradient_rms_active"],
    "compare-norm-window": ["compare", "--indicator", "gradient_norm", "--window", "0.5"],
    "compare-json": ["compare", "--json"],
    "sparsity": ["compare", "--by", "sparsity"],
    "sparsity-json": ["compare", "--by", "sparsity", "--json", "--indicator", "weight_norm"],
    "compression": ["compare", "--by", "compression"],
    "compression-json": ["compare", "--by", "compression", "--json"],
    "claims": ["claims"],
    "claims-json": ["claims", "--json"],
    "power": ["power", "--effect", "1.2", "--seeds", "5"],
    "power-json": ["power", "--effect", "1.2", "--seeds", "5", "--json"],
}
UNPAIRED = ["compare", "--order", "iterative", "random", "--json"]
PUBLISHED = {
    "compression": ["compare", "--by", "compression", "--published"],
    "compression-json": ["compare", "--by", "compression", "--published", "--json"],
    "claims": ["claims", "--published"],
    "claims-json": ["claims", "--published", "--json"],
    "power": ["power", "--seeds", "5"],
}


def keep(folder: Path, stores: Path) -> None:
    """Ask everything of every study and keep what counts in `folder`."""
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as work:
        for name, commands in STUDIES.items():
            store, out = stores / name / "study.zarr", Path(work) / name
            if not store.exists():
                for command in commands:
                    said([*command, "--out", str(store)], work)
            keep_store(store, folder / name / "store.txt")
            said(["report", str(store), "--out", str(out)], work)
            for file in sorted(p for p in out.rglob("*") if p.suffix in TEXT):
                write(folder / name / file.relative_to(out), plain(file.read_text(encoding="utf-8"), work))
            for question, words in QUESTIONS.items():
                write(folder / name / f"{question}.out", said([words[0], str(store), *words[1:]], work))
            write(folder / name / "figure.out", said(["figure", str(store), "--out", f"{work}/{name}.svg"], work))
        store = stores / "unpaired" / "study.zarr"
        write(folder / "unpaired" / "order.out", said(["compare", str(store), *UNPAIRED[1:]], work))
        for question, words in PUBLISHED.items():
            write(folder / "published" / f"{question}.out", said(words, work))


def said(words: list[str], work: str) -> str:
    """Everything a command prints, with its exit code."""
    environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "TQDM_DISABLE": "1"}
    done = subprocess.run([*BURDEN, *words], capture_output=True, text=True, check=False, env=environment)
    errors = [line for line in done.stderr.splitlines() if line.startswith("burden:")]
    return plain("\n".join([f"exit {done.returncode}", done.stdout, *errors, ""]), work)


def plain(text: str, work: str) -> str:
    """Leave out what differs between two runs of one version."""
    text = text.replace(work, "WORK")
    if text.startswith("{"):
        return json.dumps(_without(json.loads(text)), indent=1, ensure_ascii=False)
    return text


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(v) for key, v in value.items() if key not in VARYING and not key.startswith(TIMED)}
    return [_without(v) for v in value] if isinstance(value, list) else value


def keep_store(store: Path, file: Path) -> None:
    """Name, type, shape, digest and mean of every array of a store."""
    lines = []
    for name, group in sorted(zarr.open_group(store, mode="r", use_consolidated=False).groups()):
        for part in ("", "/masks"):
            dataset = xr.open_zarr(store, group=f"{name}{part}", consolidated=False).load()
            for variable in sorted(set(map(str, dataset.variables))):
                if not variable.startswith(TIMED):
                    lines.append(f"{name}{part}/{variable} {described(dataset[variable].to_numpy())}")
        lines.append(f"{name} config {json.dumps(group.attrs.get('config'), sort_keys=True)}")
    write(file, "\n".join(lines) + "\n")


def described(values: np.ndarray) -> str:
    """Type, shape, digest and, of numbers, the mean."""
    strings = values.dtype.kind in "OUTS"
    content = "\n".join(map(str, values.ravel())).encode() if strings else np.ascontiguousarray(values).tobytes()
    finite = np.empty(0) if strings else values[np.isfinite(values)]
    mean = f" {finite.mean(dtype=float):.9g}" if finite.size else ""
    return f"{'text' if strings else values.dtype} {values.shape} {hashlib.sha256(content).hexdigest()[:16]}{mean}"


def write(file: Path, text: str) -> None:
    """Write a file whose folder may be missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def compare(before: Path, after: Path) -> int:
    """Print the first differing lines of every file; 1 if there are any."""
    names = sorted({p.relative_to(f) for f in (before, after) for p in f.rglob("*") if p.is_file()})
    differing = 0
    for name in names:
        old, new = ((f / name).read_text().splitlines() if (f / name).exists() else [] for f in (before, after))
        if old != new:
            differing += 1
            lines = list(difflib.unified_diff(old, new, str(before / name), str(after / name), lineterm="", n=0))
            print("\n".join(line[:300] for line in lines[:12]))
    print(f"{len(names)} files compared, {differing} differ")
    return int(differing > 0)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["keep", folder, stores]:
            keep(Path(folder), Path(stores).resolve())
        case ["compare", before, after]:
            sys.exit(compare(Path(before), Path(after)))
        case _:
            sys.exit(__doc__)
