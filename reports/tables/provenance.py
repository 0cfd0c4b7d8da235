"""Where recordings come from, as tables: configuration and provenance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from burden_analysis.results.words import MISSING
from reports.tables.table import Table, cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PARTS = (("provenance", "Provenance"), ("config", "Configuration"))


def provenance(recordings: Mapping[str, Mapping[str, Any]]) -> Iterator[Table]:
    """Tabulate provenance and configuration of every recording."""
    for name, parts in recordings.items():
        for part, title in _PARTS:
            rows = tuple(_flat(parts.get(part, {})))
            yield Table(f"{title} of the recording {name}", ("what", "value"), rows, (False, False))


def joint_provenance(recordings: Mapping[str, Mapping[str, Any]]) -> Iterator[Table]:
    """Tabulate what all recordings share once, and what tells them apart one recording a row."""
    if len(recordings) == 1:
        yield from provenance(recordings)
        return
    for part, title in _PARTS:
        flat = {name: dict(_flat(parts.get(part, {}))) for name, parts in recordings.items()}
        keys = list(dict.fromkeys(key for values in flat.values() for key in values))
        shared = [key for key in keys if len({values.get(key) for values in flat.values()}) == 1]
        first = next(iter(flat.values()))
        rows = tuple((key, first[key]) for key in shared)
        yield Table(f"{title}, the same in all {len(flat)} recordings", ("what", "value"), rows, (False, False))
        if other := [key for key in keys if key not in shared]:
            apart = tuple((name, *(values.get(key, MISSING) for key in other)) for name, values in flat.items())
            numeric = (False,) * (1 + len(other))
            yield Table(f"{title} that tells recordings apart", ("recording", *other), apart, numeric)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        value = dict(enumerate(value, start=1))  # such as every time a recording was resumed
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, cell(value) if not isinstance(value, float) else repr(value)
