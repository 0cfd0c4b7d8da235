"""Has what is damaged recorded again, when a study goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from recorders.contract import COMMITS, InputError
from recorders.store.disk import disk_errors
from recorders.store.lock import exclusive
from recorders.store.root import recording_names
from recorders.upkeep.compaction import is_compact
from recorders.upkeep.repair import repair_recording, write_root
from recorders.upkeep.verification import Finding, Harm, group_problem, recording_findings


def mend(store: Path) -> Iterator[str]:
    """Mend what would be in the way of a rerun: recordings that are not finished, and what is no recording any more.

    Parameters
    ----------
    store : Path
        Folder of the study; the caller holds its lock.

    Yields
    ------
    str
        What was done, one line each.

    Raises
    ------
    InputError
        A recording that may be finished cannot be opened.
    """
    names = recording_names(store)
    if names and group_problem(store):
        with disk_errors(store):
            yield write_root(store)
    stumps = [place.parent.parent.name for place in store.glob("[!.]*/*/zarr.json")]
    for name in dict.fromkeys([*names, *stumps]):
        findings = [finding for finding in _findings(store, name) if finding.harm is not Harm.MANIFEST]
        if findings:
            with ExitStack() as held:
                try:
                    held.enter_context(exclusive(store, name))
                except InputError:  # another process writes it, and will see to it
                    continue
                yield from repair_recording(store, name, findings)


def _findings(store: Path, name: str) -> list[Finding]:
    """Verify a recording, but for one that is finished: it is in nobody's way, and `burden verify` looks at it."""
    problem, folder = group_problem(store / name), store / name
    if problem and not (folder / COMMITS).is_dir():  # hours of work that are finished: nothing is moved unasked
        raise InputError(
            f"{folder / 'zarr.json'} {problem}: restore it from a copy, or burden verify {store} --repair moves what "
            f"there is of recording {name!r} aside"
        )
    if problem:
        return [Finding(folder / "zarr.json", problem, Harm.RECORDING, name)]
    return [] if is_compact(store, name) else list(recording_findings(store, name))
