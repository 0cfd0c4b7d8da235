"""`burden verify`: everything in a store that is not as its writers left it, and what can be done about it."""

from __future__ import annotations

import sys

from burden_analysis.cli.arguments import Verify
from burden_analysis.results.words import counted
from recorders.contract import InputError


def verify(asked: Verify, _: str) -> int:
    """Print a line for every finding; with --repair what was done. 1 where something is left to do."""
    from recorders.upkeep.repair import repair_store
    from recorders.upkeep.verification import store_findings

    store = asked.store
    if not store.is_dir():
        what = "does not exist" if not store.exists() else "is no folder: unpack it"
        raise InputError(f"{store} {what}; verify takes the folder of a study store")
    if not any(store.glob("*/zarr.json")) and not (store / "zarr.json").exists():
        raise InputError(f"{store} is not a study store: give the path of one")
    if asked.repair:
        for line in repair_store(store):
            sys.stdout.write(f"{line}\n")
    findings = list(store_findings(store))
    for finding in findings:
        sys.stdout.write(f"{finding}\n")
    said = counted(len(findings), "finding") if findings else "everything is as it was written"
    sys.stdout.write(f"{said}\n")
    return 1 if findings else 0
