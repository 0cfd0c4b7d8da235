"""`burden pack`: finished recordings of several stores, merged into a new one."""

from __future__ import annotations

import sys

from burden_analysis.cli.arguments import Pack
from burden_analysis.results.words import counted
from recorders.contract import printable


def pack(asked: Pack, command: str) -> int:
    """Pack, and say what became what."""
    from recorders.study.packing import pack_stores

    for packed in pack_stores(asked.stores, asked.out, command=command, lock=asked.lock):
        of = f"{counted(len(packed.parts), 'recording')}, {counted(packed.runs, 'run')}"
        sys.stdout.write(printable(f"packed {of} into {packed.name!r} of {asked.out}\n"))
    return 0
