"""Settings that vary inside a study: each combination of their values is a recording of its own. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from recorders.contract import SERIES, InputError, flat_config, shortened, unknown_name
from recorders.settings.naming import number
from recorders.settings.settings import FREE, Settings, setup_numbers
from recorders.settings.yaml_value import yaml_value

_SERIES = {variable.name for variable in SERIES}
# A store holds one data set, and a run's own coordinates come first.
_NO_AXES = (*FREE, "data", "image_size")
_OF_VITS = ("setup", "epochs", "learning_rate")
_SHORT = {"setup": "", "epochs": "epochs", "learning_rate": "lr"}


def axes_of(settings: Settings) -> dict[str, list[Any]]:
    """Read the axes."""
    known = [name for name, value in _values(settings).items() if name not in _NO_AXES and not isinstance(value, list)]
    found: dict[str, list[Any]] = {}
    for axis in settings.axes:
        name, given, listed = axis.partition("=")
        if name not in known:
            raise unknown_name("axis", name, known)
        values = [_value(axis, value) for value in listed.split(",") if value.strip()]
        if not given or not values or name in found:
            raise _unreadable(axis)
        found[name] = values
    return found


def blocks(settings: Settings) -> list[Settings]:
    """Resolve every combination of the axes."""
    axes = axes_of(settings)
    found = [settings.with_values(**dict(zip(axes, values, strict=True))) for values in product(*axes.values())]
    for name, values in axes.items():  # 0.001 and 1e-3 are the same only now
        if len({_values(block)[name] for block in found}) < len(values):
            raise InputError(f"axis {name} has duplicates: {', '.join(map(str, values))}")
    return found


def without_axes(settings: Settings, names: Sequence[str]) -> Settings:
    """Drop axes: a value given for the whole study counts instead."""
    return settings.with_values(axes=[axis for axis in settings.axes if axis.partition("=")[0] not in names])


def block_name(study: str, block: Settings) -> str:
    """Name the recording of one combination: ``tables-384x3-epochs40-lr0.005``; the study's name without axes."""
    parts = [study]
    for name in axes_of(block):
        value = _values(block)[name]
        shown = number(value) if isinstance(value, (int, float)) else str(value)
        parts.append(f"{_SHORT.get(name, name)}{shown}")
    return "-".join(parts)


def told_apart_by(config: Mapping[str, Any]) -> set[str]:
    """Return the settings whose values are coordinates on the runs of a recording."""
    named = {str(axis).partition("=")[0] for axis in config.get("axes", ())}
    return named | (set(_OF_VITS) if flat_config(config).get("setup") else set())


def told_apart(config: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Say in the settings of a recording that further ones tell it apart; see `told_apart_by`."""
    new = sorted(set(names) - told_apart_by(config))
    flat = flat_config(config)
    return {**config, "axes": [*config.get("axes", ()), *(f"{name}={flat[name]}" for name in new)]}


def block_coordinates(block: Settings, names: Iterable[str] = ()) -> Mapping[str, Any]:
    """Return the settings that tell the recordings of a study apart, as coordinates on runs."""
    found: dict[str, Any] = {}
    if block.network.setup:
        embedding, heads = setup_numbers(block.network.setup)
        found |= {"embed_dim": embedding, "num_heads": heads}
        found |= {"epochs": block.training.epochs, "base_learning_rate": block.training.learning_rate}
    values = _values(block)
    own = [name for name in (*axes_of(block), *sorted(names)) if name != "setup"]
    return found | {f"base_{name}" if name in _SERIES else name: values[name] for name in own}


def _value(axis: str, text: str) -> Any:
    try:
        value = yaml_value(text)
    except ValueError as error:
        raise _unreadable(axis) from error
    if not isinstance(value, (bool, int, float, str)):
        raise _unreadable(axis)
    return value


def _unreadable(axis: str) -> InputError:
    return InputError(
        f"axis {shortened(axis)} must be given once and as NAME=VALUE,VALUE, for example epochs=40,60: "
        "a value is a number, a word, true or false"
    )


def _values(settings: Settings) -> dict[str, Any]:
    """All settings by their short names."""
    return flat_config(settings.as_dict())
