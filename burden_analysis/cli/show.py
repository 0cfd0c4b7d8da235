"""`burden show`: the runs of a store, and what is missing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from burden_analysis.cli.arguments import Show
from burden_analysis.results.words import counted
from recorders.contract import Status, one_line, printable

if TYPE_CHECKING:
    import xarray as xr


def show(asked: Show, _: str) -> int:
    """Print a line per run, what is missing, and what was remarked while recording."""
    from burden_analysis import open_study
    from recorders.settings.unstarted import unstarted

    dataset = open_study(asked.store, variables=())  # states alone
    several = len(dataset.attrs["recordings"]) > 1  # then a run's name is unique in its recording only
    named = ["recording", "run_id"] if several else ["run_id"]
    columns = [*named, "strategy", "sparsity", "seed", "status", "records_written", "status_reason"]
    table = dataset[columns].reset_coords()[columns].to_dataframe().rename_axis(None)
    missing = table[[not Status(status).finished for status in table["status"]]]
    sys.stdout.write(printable(table.to_string(index=False) + "\n"))
    sys.stdout.write(f"{len(table) - len(missing)} of {len(table)} runs finished\n")
    for run in missing.to_dict("records"):
        reason = f", {run['status_reason']}" if run["status_reason"] else ""
        told = f"{'/'.join(run[name] for name in named)} ({run['status']}{reason})"
        sys.stdout.write(f"missing: {one_line(told)}\n")
    for line in _remarks(dataset):
        sys.stdout.write(f"remark: {one_line(line)}\n")
    for part in unstarted(dataset):
        sys.stdout.write(f"missing: every run of {one_line(part)} (not begun)\n")
    return 0


def _remarks(dataset: xr.Dataset) -> list[str]:
    """List what was remarked while recording; of several runs alike once."""
    if "remarks" not in dataset:  # a store of version 0.1.0
        return []
    runs: dict[str, list[str]] = {}
    for run, text in zip(dataset["run_id"].to_numpy().tolist(), dataset["remarks"].to_numpy().tolist(), strict=True):
        runs.setdefault(text, []).append(run)
    runs.pop("", None)
    return [
        names[0] + (f" and {counted(len(names) - 1, 'further run')}" if names[1:] else "") + f": {text}"
        for text, names in runs.items()
    ]
