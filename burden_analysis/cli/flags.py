"""The flags of settings, one each by its short name, made from the settings themselves. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypedDict, get_type_hints

import tyro

from recorders.contract import flat_config
from recorders.settings.checking import description, fields
from recorders.settings.presets import STUDIES, preset
from recorders.settings.settings import PLACES, Settings


def _flags() -> dict[str, Any]:
    """Type, help and the default of every study by the flag's name."""
    defaults = {study: flat_config(preset(study).as_dict()) for study in STUDIES}
    found = {}
    for flag, (*section, name) in PLACES.items():
        kind = fields(Settings)[section[0]].annotation if section else Settings
        of_studies = {study: _shown(values[flag]) for study, values in defaults.items()}
        told = set(of_studies.values()) if len(set(of_studies.values())) == 1 else map(": ".join, of_studies.items())
        about = tyro.conf.arg(help=description(fields(kind)[name]), help_behavior_hint=f"(default: {'; '.join(told)})")
        found[flag] = Annotated[get_type_hints(kind)[name], about]
    return found


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) or "none" if isinstance(value, list) else str(value) or "''"


if TYPE_CHECKING:
    Flags = dict[str, Any]
else:
    Flags = TypedDict("Flags", _flags(), total=False)  # only the flags that are given: they override all else
    Flags.__doc__ = Settings.__doc__
