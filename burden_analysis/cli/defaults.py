"""The settings that hold before flags: which preset applies depends on the flags themselves."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from recorders.contract import InputError
from recorders.settings.axes import without_axes
from recorders.settings.presets import STUDIES, preset
from recorders.settings.settings import Settings


def settings_before_flags(arguments: Sequence[str]) -> Settings:
    """Resolve preset and YAML before flags: which preset applies depends on the flags --data and --config."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--data")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--preset")
    try:
        known, _ = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise InputError(str(error)) from error
    study = next((a for a in arguments if a in STUDIES), None)
    if study is None:
        named = [a for a in arguments[:1] if not a.startswith("-")]
        study = named[0] if named else STUDIES[0]
    # A value given on the command line counts for the whole study: its axis of the preset is gone.
    given = [a.removeprefix("--").partition("=")[0].replace("-", "_") for a in arguments if a.startswith("--")]
    return without_axes(preset(study, known.data, known.config, known.preset), given)
