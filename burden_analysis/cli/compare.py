"""`burden compare`: strategies, sparsities or compression ratios of a study, or of the published tables."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from burden_analysis.cli.arguments import Compare
from burden_analysis.definitions import ORDER
from recorders.contract import InputError, printable

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr


def compare(asked: Compare, _: str) -> int:
    """Print tests and verdict of one comparison."""
    sys.stdout.write(printable((_compression(asked) if asked.by == "compression" else _ordered(asked)) + "\n"))
    return 0


def claimed_order(dataset: xr.Dataset) -> tuple[str, ...]:
    """Strategies of claim C1 that the study has, lowest first."""
    recorded = set(dataset["strategy"].values.tolist())
    order = tuple(strategy for strategy in ORDER if strategy in recorded)
    if len(order) < 2:
        raise InputError(
            f"fewer than two of {', '.join(ORDER)} were recorded (there are {', '.join(sorted(recorded))}): "
            "name the order to test with burden compare --order"
        )
    return order


def _ordered(asked: Compare) -> str:
    from burden_analysis import compare_sparsities, compare_strategies, open_study
    from burden_analysis.results.printed import in_words

    if asked.published:
        raise InputError("the published tables hold accuracies only: pass --by compression with --published")
    if asked.by == "sparsity" and asked.order:
        raise InputError("--order names strategies and does not apply to --by sparsity, which tests rising sparsity")
    dataset = open_study(_named(asked.store))
    if asked.by == "strategy":
        order = asked.order or claimed_order(dataset)
        comparison = compare_strategies(dataset, asked.indicator, order=order, window=asked.window)
    else:
        comparison = compare_sparsities(dataset, asked.indicator, window=asked.window)
    if asked.json:
        return comparison.to_json()
    return f"{in_words(comparison.table).to_string(index=False)}\n\n{comparison.verdict}"


def _compression(asked: Compare) -> str:
    from burden_analysis import accuracy_table, compression_effect, open_study, published_tables
    from burden_analysis.compression.ratio_tests import SHOWN
    from burden_analysis.results.printed import in_words

    if asked != replace(Compare(), store=asked.store, by=asked.by, published=asked.published, json=asked.json):
        raise InputError("--indicator, --order and --window do not apply to --by compression, which reads accuracies")
    if asked.published and asked.store:
        raise InputError(f"pass either --published or a store ({asked.store}): one table is judged at a time")
    if asked.published:
        effect = compression_effect(published_tables())
    else:
        table = accuracy_table(open_study(_named(asked.store)))
        effect = compression_effect(table, blocks=table.attrs["blocks"])
    if asked.json:
        return effect.to_json()
    judged = in_words(effect.table.loc[effect.table["unit"] == effect.unit, list(SHOWN)])
    return f"{judged.to_string(index=False, na_rep='', float_format='{:.3g}'.format)}\n\n{effect.verdict}"


def _named(store: Path | None) -> Path:
    if store is None:
        raise InputError("burden compare needs a STORE, or --by compression --published")
    return store
