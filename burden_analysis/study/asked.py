"""Which recordings and variables of a study were asked for, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from burden_analysis.indicators.mask_updates import PROBE_INDICATORS
from burden_analysis.indicators.series import INDICATORS
from recorders.contract import InputError, unknown_name, variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from burden_analysis.study.recording import Recording


def chosen(names: list[str], asked: str | Iterable[str] | None) -> list[str]:
    """Choose recordings."""
    if asked is None:
        return names
    found = [asked] if isinstance(asked, str) else list(dict.fromkeys(asked))
    for name in found:
        if name not in names:
            raise unknown_name("recording", name, names)
    if not found:
        raise InputError(f"recordings is empty: choose from {', '.join(names)}")
    return found


def check_variables(asked: Sequence[str], parts: Mapping[str, Recording], where: str) -> None:
    """Refuse a variable that none of the recordings holds: it is computed, was not recorded, or is unknown."""
    stored = sorted({name for part in parts.values() for name in part.stored})
    for name in asked:
        if name in stored:
            continue
        if made_of := _made_of(name):
            raise InputError(
                f"{name!r} is not stored but computed: open variables {', '.join(made_of)}, and pass the study to "
                "burden_analysis.series"
            )
        if variable(name) is not None:
            raise InputError(f"{name!r} was not recorded in {where}: it holds {', '.join(stored)}")
        raise unknown_name("variable", name, stored)


def _made_of(name: str) -> list[str]:
    """Name the stored variables that a computed indicator is made of; none where it is no such indicator."""
    if variable(name) is not None:
        return []
    if name in PROBE_INDICATORS:
        term = name.rpartition("_")[0]
        return list(dict.fromkeys(["fit", *([term] if variable(term) else ["new_fit", "relaxed_new_fit"])]))
    if name not in INDICATORS:
        return []
    rule = INDICATORS[name]
    return [n for n in (rule.source, rule.relative_to, "active_weights") if n]
