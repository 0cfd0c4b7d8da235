"""Named settings: defaults < preset < the user's YAML < flags. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from importlib.resources import files
from pathlib import Path
from typing import Any

from recorders.contract import InputError, flat_config, unknown_name
from recorders.settings.axes import without_axes
from recorders.settings.settings import Settings, laid_over, nested
from recorders.settings.yaml_value import yaml_value

_FOLDER = files("recorders.settings") / "preset_files"
STUDIES = ("fig2", "tables")
PRESETS = tuple(sorted(f.name.removesuffix(".yaml") for f in _FOLDER.iterdir() if f.name.endswith(".yaml")))

_MOST = 100_000  # bytes of a file of settings


def preset(study: str, user: Path | None = None, name: str | None = None, **values: Any) -> Settings:
    """Resolve the settings of a study.

    A value of the user's, in the file or beside it, counts for the whole study: the preset's axis of that name is gone.

    Parameters
    ----------
    study : str
        Name of the study.
    user : Path, optional
        A YAML file of the user's, laid over the presets.
    name : str, optional
        One of `PRESETS`, laid over the study's, such as ``tables-mini``.
    **values
        Settings by their short names, as flags have them, laid over all others. A data set with a preset of its own
        (``fig2-mnist.yaml``) has it laid over the study's.

    Returns
    -------
    Settings

    Raises
    ------
    InputError
        Unknown study or preset, a preset of another study, unreadable YAML, a key that does not exist, or a value that
        its setting does not take.
    """
    if study not in STUDIES:
        raise unknown_name("study", study, STUDIES)
    own_presets = [known for known in PRESETS if known == study or known.startswith(f"{study}-")]
    if name is not None and name not in own_presets:
        raise unknown_name(f"preset of {study}", name, own_presets)
    packaged = laid_over(_packaged(study), _packaged(name) if name else {})
    users = [_read(user) if user else {}, nested(values)]
    data = Settings.from_dict(reduce(laid_over, users, packaged)).data.name
    if (_FOLDER / f"{study}-{data}.yaml").is_file():
        packaged = laid_over(packaged, _packaged(f"{study}-{data}"))
    settings = Settings.from_dict(packaged)
    for layer in users:
        settings = without_axes(settings, list(flat_config(layer)))
        settings = Settings.from_dict(laid_over(settings.as_dict(), layer))
    return settings


def _packaged(name: str) -> Mapping[str, Any]:
    values: Mapping[str, Any] = yaml_value((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return values


def _read(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST + 1)
    except (OSError, ValueError) as error:  # a NUL in a path is a ValueError
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', error)}") from error
    if len(raw) > _MOST:
        raise InputError(f"{path} is larger than {_MOST} bytes: settings are a few lines of YAML")
    try:
        values = yaml_value(raw.decode())
    except ValueError as error:
        raise InputError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold a mapping of settings, for example 'seeds: [0, 1]'")
    return values
