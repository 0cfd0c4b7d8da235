"""Parts of a study that were planned, but that no recording in the store has begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recorders.contract import InputError, flat_config
from recorders.settings.axes import axes_of, blocks
from recorders.settings.settings import FREE, Settings, settings_from_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr


def unstarted(dataset: xr.Dataset) -> list[str]:
    """List the combinations of a study's axes that have no recording: they are recorded one after the other."""
    configs = [parts.get("config", {}) for parts in dataset.attrs["recordings"].values()]
    studies = [settings for config in configs if (settings := _settings(config)) is not None]
    begun = [_fixed(settings) for settings in studies]
    planned = [block for settings in studies for block in blocks(settings)]
    missing = [block for block in planned if _fixed(block) not in begun]
    return list(
        dict.fromkeys(
            ", ".join(f"{name} {flat_config(block.as_dict())[name]}" for name in axes_of(block)) for block in missing
        )
    )


def _settings(config: Mapping[str, Any]) -> Settings | None:
    try:
        settings = settings_from_config(config)
        axes_of(settings)
    except InputError:  # the configuration of a loop of one's own, which says what it likes
        return None
    return settings


def _fixed(settings: Settings) -> dict[str, Any]:
    """All that the runs of one recording share."""
    return {name: value for name, value in flat_config(settings.as_dict()).items() if name not in FREE}
