"""`burden show`: the runs of a store, and what is missing."""

from __future__ import annotations

import sys

from burden_analysis.cli.arguments import Show
from recorders.contract import Status


def show(asked: Show, _: str) -> int:
    """Print a line per run, what is missing, and what was remarked while recording."""
    from burden_analysis import open_study
    from recorders.settings.unstarted import unstarted

    dataset = open_study(asked.store)
    several = len(dataset.attrs["recordings"]) > 1  # then a run's name is unique in its recording only
    named = ["recording", "run_id"] if several else ["run_id"]
    columns = [*named, "strategy", "sparsity", "seed", "status", "records_written", "status_reason"]
    table = dataset[columns].reset_coords()[columns].to_dataframe().rename_axis(None)
    missing = table[[not Status(status).finished for status in table["status"]]]
    sys.stdout.write(table.to_string(index=False) + "\n")
    sys.stdout.write(f"{len(table) - len(missing)} of {len(table)} runs finished\n")
    for run in missing.to_dict("records"):
        reason = f", {run['status_reason']}" if run["status_reason"] else ""
        sys.stdout.write(f"missing: {'/'.join(run[name] for name in named)} ({run['status']}{reason})\n")
    remarks = dataset["remarks"].to_numpy().tolist() if "remarks" in dataset else []
    for run, text in zip(table.to_dict("records"), remarks, strict=False):
        if text:
            sys.stdout.write(f"remark: {'/'.join(run[name] for name in named)}: {text}\n")
    for part in unstarted(dataset):
        sys.stdout.write(f"missing: every run of {part} (not begun)\n")
    return 0
