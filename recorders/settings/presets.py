"""Named settings: defaults < YAML preset < the user's YAML < flags. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from recorders.contract import InputError, unknown_name
from recorders.settings.settings import Settings

_FOLDER = files("recorders.settings") / "preset_files"
STUDIES = ("fig2", "tables")
PRESETS = tuple(sorted(f.name.removesuffix(".yaml") for f in _FOLDER.iterdir() if f.name.endswith(".yaml")))


def preset(study: str, data: str | None = None, user: Path | None = None, name: str | None = None) -> Settings:
    """Resolve the settings of a study before flags are applied.

    Parameters
    ----------
    study : str
        Name of the study.
    data : str, optional
        Data set; a preset of its own (``fig2-mnist.yaml``) is laid over the study's.
    user : Path, optional
        A YAML file of the user's, laid over all others.
    name : str, optional
        One of `PRESETS`, laid over the study's, such as ``tables-mini``.

    Returns
    -------
    Settings

    Raises
    ------
    InputError
        Unknown study or preset, a preset of another study, unreadable YAML, or a key that does not exist.
    """
    if study not in STUDIES:
        raise unknown_name("study", study, STUDIES)
    own_presets = [known for known in PRESETS if known == study or known.startswith(f"{study}-")]
    if name is not None and name not in own_presets:
        raise unknown_name(f"preset of {study}", name, own_presets)
    values = {**_packaged(study), **(_packaged(name) if name else {})}
    own = _read(user) if user else {}
    data = data or own.get("data") or values.get("data")
    if data is not None and (_FOLDER / f"{study}-{data}.yaml").is_file():
        values |= _packaged(f"{study}-{data}")
    if data is not None:
        values["data"] = data
    return Settings.from_dict({**values, **own, **({"data": data} if data is not None else {})})


def _packaged(name: str) -> Mapping[str, Any]:
    values: Mapping[str, Any] = yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return values


def _read(path: Path) -> Mapping[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold a mapping of settings, for example 'epochs: 5'")
    return values
