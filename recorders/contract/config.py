"""The settings of a study as a recording keeps them: nested in sections, or flat in stores of earlier versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SECTIONS = ("data", "network", "training", "pruning", "recording", "probe")
# Where a field's own name does not say what it is of.
_NAMES = {
    ("data", "name"): "data",
    ("pruning", "interval"): "pruning_interval",
    ("pruning", "end"): "pruning_end",
    ("probe", "every"): "probe_every",
    ("probe", "size"): "probe_size",
}


def short_name(section: str, field: str) -> str:
    """Name a setting as flags, axes, coordinates and tables do: ``pruning.interval`` is ``pruning_interval``."""
    return _NAMES.get((section, field), field)


def flat_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the configuration of a recording into one form, whichever version wrote it."""
    if "run" in config:
        return dict(config)
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if key in SECTIONS and isinstance(value, Mapping):
            flat |= {short_name(key, field): own for field, own in value.items()}
        else:
            flat[key] = value
    return flat
