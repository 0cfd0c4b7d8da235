"""`burden power`: what seeds can show."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from recorders.contract import InputError, printable

if TYPE_CHECKING:
    import pandas as pd

    from burden_analysis.cli.arguments import Power

_TITLES = {
    "detectable_effects": "Effects this study could have seen (80 % power)",
    "seeds_allow": "What so many seeds can show at best (differences in standard deviations, 80 % power)",
    "seeds_needed": "Seeds this effect takes (80 % power)",
}


def power(asked: Power, _: str) -> int:
    """Print what was asked of power."""
    tables = _tables(asked)
    if asked.json:
        from burden_analysis.results.written import to_json

        sys.stdout.write(printable(f"{to_json(tables)}\n"))
        return 0
    printed = [
        f"{_TITLES[name]}:\n{table.to_string(index=False, na_rep='', float_format='{:.3g}'.format)}"
        for name, table in tables.items()
    ]
    sys.stdout.write(printable("\n\n".join(printed) + "\n"))
    return 0


def _tables(asked: Power) -> dict[str, pd.DataFrame]:
    from burden_analysis.comparison.power import detectable_effect, seeds_allow, seeds_needed, spread

    if asked.store is None and asked.seeds is None and asked.effect is None:
        raise InputError("burden power needs a STORE, --seeds N, or --effect RATIO with --sd SD")
    tables = {}
    sd, strategies = asked.sd, 3
    if asked.store:
        from burden_analysis import compare_strategies, open_study
        from burden_analysis.cli.compare import claimed_order

        dataset = open_study(asked.store)
        comparison = compare_strategies(dataset, asked.indicator, order=claimed_order(dataset))
        tables["detectable_effects"] = detectable_effect(comparison)
        strategies = len(comparison.order)
        if sd is None and asked.effect is not None:
            sd = spread(comparison)
    if asked.seeds is not None:
        tables["seeds_allow"] = seeds_allow(asked.seeds, strategies=strategies)
    if asked.effect is not None:
        if sd is None:
            raise InputError("--effect needs --sd, or a STORE to read the spread between seeds from")
        tables["seeds_needed"] = seeds_needed(asked.effect, sd=sd, strategies=strategies)
    return tables
