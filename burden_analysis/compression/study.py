"""What a study that varies compression has to say: its accuracies, its effect, and the published ones beside them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from burden_analysis.compression.accuracies import SETUP, accuracy_table, published_tables
from burden_analysis.compression.cells import checked_rows
from burden_analysis.compression.effect import compression_effect
from burden_analysis.definitions import ORDER
from recorders.contract import InputError

if TYPE_CHECKING:
    import xarray as xr

    from burden_analysis.compression.result import CompressionEffect

_PUBLISHED_DATA = "cifar10"
_KEYS = (*SETUP, "compression", "sparsity")


@dataclass(frozen=True, eq=False)
class CompressionStudy:
    """A study of compression, judged as far as its runs allow.

    Attributes
    ----------
    table : pandas.DataFrame or None
        From `accuracy_table`; None where the study has no run of a pruned network.
    blocks : tuple of str
        Settings that the accuracies are laid out by; those that do not vary are named in captions.
    effect : CompressionEffect or None
        The tests of C3.
    reason : str
        Why there is no effect; empty when there is one.
    published : CompressionEffect
        The same tests on the 800 published accuracies.
    beside : pandas.DataFrame or None
        The published accuracies, where some belong beside the study's own.
    relation : str
        How the published accuracies relate to the study's, in a sentence.
    """

    table: pd.DataFrame | None
    blocks: tuple[str, ...]
    effect: CompressionEffect | None
    reason: str
    published: CompressionEffect
    beside: pd.DataFrame | None
    relation: str


def varies_compression(dataset: xr.Dataset) -> bool:
    """Say whether accuracies over compression ratios are what a study is about."""
    if "compression" not in dataset.coords or dataset["compression"].dims != ("run",):
        return False
    strategies = set(dataset["strategy"].to_numpy().tolist())
    return len(set(dataset["compression"].to_numpy().tolist())) > 1 or len(strategies & set(ORDER)) < 2


def compression_study(dataset: xr.Dataset) -> CompressionStudy:
    """Judge C3 on a study's own runs, and lay the published accuracies beside them."""
    table: pd.DataFrame | None = None
    effect: CompressionEffect | None = None
    blocks: tuple[str, ...] = ()
    reason = ""
    try:
        table = accuracy_table(dataset)
        varying = table.attrs["blocks"]
        blocks = tuple(str(name) for name in table if name in varying or name in SETUP)
        effect = compression_effect(table, blocks=varying)
    except InputError as error:
        reason = str(error)
    beside, relation = (None, "") if table is None else _published_beside(table, blocks, dataset)
    return CompressionStudy(table, blocks, effect, reason, _published_effect(), beside, relation)


@cache
def _published_effect() -> CompressionEffect:
    return compression_effect(published_tables())


def _published_beside(
    table: pd.DataFrame, blocks: tuple[str, ...], dataset: xr.Dataset
) -> tuple[pd.DataFrame | None, str]:
    published = published_tables()
    where = "The published accuracies (CIFAR-10 at 224 pixels, patches of 16, one seed)"
    data = sorted({str(parts.get("config", {}).get("data", "")) for parts in dataset.attrs["recordings"].values()})
    # A folder may hold CIFAR-10 under any name: only its owner knows.
    if other := [name for name in data if name != _PUBLISHED_DATA and re.fullmatch(r"[\w-]+", name)]:
        return None, f"{where} are not shown beside: this study is on {', '.join(other)}."
    if own := set(blocks) ^ set(SETUP):
        return None, f"{where} are not shown beside: they do not tell {', '.join(sorted(own))} apart."
    if checked_rows(table, blocks).merge(checked_rows(published, SETUP), on=list(_KEYS)).empty:
        return None, f"{where} are not shown beside: none of them has the settings of a cell of this study."
    return published, f"{where} stand beside those of this study ({_prepared(dataset)}) where settings agree."


def _prepared(dataset: xr.Dataset) -> str:
    """How this study's images were made: what published numbers are compared with."""
    told: dict[str, None] = {}
    for parts in dataset.attrs["recordings"].values():
        config: dict[str, Any] = parts.get("config", {})
        size = f" at {config['resize']} pixels" if config.get("resize") else ""
        told[f"{config.get('data', 'own images')}{size}, patches of {config.get('patch', '?')}"] = None
    return "; ".join(told)
