"""Parts of a study that were planned, but that no recording in the store has begun."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from recorders.contract import InputError
from recorders.grid import axes_of, blocks
from recorders.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

_KNOWN = {field.name for field in fields(Settings)}


def unstarted(dataset: xr.Dataset) -> list[str]:
    """List the combinations of a study's axes that have no recording: they are recorded one after the other.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`.

    Returns
    -------
    list of str
        Such as ``"setup 384x3, learning_rate 0.01"``, in the order in which they would be recorded.
    """
    configs = [parts.get("config", {}) for parts in dataset.attrs["recordings"].values()]
    missing: dict[str, None] = {}
    for planned in (plan for config in configs for plan in _planned(config)):
        if not any(all(config.get(name) == value for name, value in planned.items()) for config in configs):
            missing[", ".join(f"{name} {value}" for name, value in planned.items())] = None
    return list(missing)


def _planned(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    try:
        settings = Settings.from_dict({name: value for name, value in config.items() if name in _KNOWN})
        return [{name: getattr(block, name) for name in axes_of(block)} for block in blocks(settings)]
    except InputError:  # the configuration of a loop of one's own, which says what it likes
        return []
