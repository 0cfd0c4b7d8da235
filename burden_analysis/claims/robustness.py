"""A claim judged under every defensible definition: the table of verdicts is the result, not the one that agrees."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from burden_analysis.arrangement.cells import cells
from burden_analysis.arrangement.pairing import shares_seeds, with_all_strategies, with_full_blocks
from burden_analysis.arrangement.runs import check_strategies, complete_runs
from burden_analysis.claims.late_growth import growth_cells, growth_outcome, growth_rows
from burden_analysis.comparison.paired_tests import claim_rows, strategy_outcome
from burden_analysis.comparison.unpaired_tests import unpaired_claim_rows, unpaired_outcome
from burden_analysis.definitions import GRADIENT_MAGNITUDES, ORDER, SCALES, STATEMENTS, WEIGHT_NORMS
from burden_analysis.indicators.endpoints import endpoint
from burden_analysis.results.outcome import Outcome
from burden_analysis.results.printed import Printed
from burden_analysis.results.rows import as_table, finite
from burden_analysis.results.words import counted
from burden_analysis.statistics.holm import check_alpha
from recorders.contract import InputError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from burden_analysis.arrangement.cells import Cells

WHOLE = "none"  # no seed is dropped
NOT_JUDGED = "not judged"
_CODES = (NOT_JUDGED, *(o.value for o in Outcome))
_DIMS = ("indicator", "window", "scale", "dropped")


@dataclass(frozen=True)
class _Claim:
    """How a claim is judged under one definition."""

    strategies: tuple[str, ...]
    indicators: tuple[str, ...]
    windows: tuple[float, ...]
    arrange: Callable[[xr.Dataset, str, float, str, bool], Cells]
    judge: Callable[[Cells, str, float, bool], tuple[Outcome, dict[str, Any]]]


@dataclass(frozen=True, eq=False)
class Robustness(Printed):
    """A claim under every definition.

    Attributes
    ----------
    claim : str
        ``"C1"`` or ``"C2"``.
    table : pandas.DataFrame
        One row per indicator, window, scale and dropped seed (``"none"``: all are used): outcome, p of the deciding
        test of the claim, n seeds, and ``reason`` where a definition could not be judged.
    array : xarray.DataArray
        The outcomes as codes over (indicator, window, scale, dropped); ``attrs["flag_values"]`` and
        ``attrs["flag_meanings"]`` name them.
    """

    claim: str
    table: pd.DataFrame
    array: xr.DataArray

    @property
    def verdict(self) -> str:
        """The outcomes counted, made from the table."""
        whole = self.table[self.table["dropped"] == WHOLE]
        counts = Counter(whole["outcome"])
        listed = ", ".join(f"{outcome} in {counts[outcome]}" for outcome in _CODES[1:] + _CODES[:1] if counts[outcome])
        sizes = [self.array.sizes[name] for name in _DIMS[:3]]
        where = (
            f"{counted(sizes[0], 'indicator')} × {counted(sizes[1], 'window')} × {counted(sizes[2], 'scale')} "
            f"= {counted(len(whole), 'definition')}"
        )
        return f"{self.claim} under {where}: {listed}. {self._dropped(whole)}"

    def _dropped(self, whole: pd.DataFrame) -> str:
        keys = list(_DIMS[:3])
        both = self.table[self.table["dropped"] != WHOLE].merge(whole, on=keys, suffixes=("", "_whole"))
        if (whole["outcome"] == NOT_JUDGED).all():
            return "Nothing could be judged, so no seed was left out."
        if both.empty:
            return "With one seed none can be left out."
        changed = both[both["outcome"] != both["outcome_whole"]]
        otherwise = changed[~changed["outcome"].isin([Outcome.UNDECIDED, NOT_JUDGED])].drop_duplicates(keys)
        lost = f" or {NOT_JUDGED}" if (changed["outcome"] == NOT_JUDGED).any() else ""
        changed = changed.drop_duplicates(keys)
        only = f" ({len(changed) - len(otherwise)} only to undecided{lost})" if len(changed) else ""
        return f"Leaving out one seed changes the outcome of {len(changed)} of them{only}."

    def to_json(self) -> str:
        """Write everything as strict JSON; NaN is null."""
        rows = [finite(row) for row in self.table.to_dict("records")]
        content = {"claim": self.claim, "verdict": self.verdict, "table": rows}
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)


def robustness(dataset: xr.Dataset, claim: str = "C1", *, alpha: float = 0.05) -> Robustness:
    """Judge a claim under every indicator × window × scale, with all seeds and with each left out.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`.
    claim : {"C1", "C2"}, default "C1"
        C1: L2 norm, dense L2 norm, mean absolute value and root mean square per active weight, over the last 20 % and
        the whole training; judged as `compare_strategies` does. C2: norm, root mean square and mean absolute value of
        active weights, windows of 20 % and of half the training; judged as `late_growth` does. Both on the log and
        the raw scale.
    alpha : float, default 0.05
        Level of each definition: they are not adjusted for each other, since none is chosen.

    Returns
    -------
    Robustness
        A definition that a study does not allow (an indicator that was not recorded, a logarithm of zero) is ``not
        judged``, with the reason. Leaving a seed out also leaves out the sparsities that only it made comparable.

    Raises
    ------
    InputError
        Another claim, a strategy that the study does not have, or a level that is none.
    """
    check_alpha(alpha)
    if claim not in _CLAIMS:
        raise unknown_name("claim", claim, _CLAIMS)
    asked = _CLAIMS[claim]
    check_strategies(dataset, asked.strategies)
    paired = shares_seeds(dataset, asked.strategies, "seed")
    rows: list[dict[str, Any]] = []
    for indicator, window, scale in product(asked.indicators, asked.windows, SCALES):
        definition = {"indicator": indicator, "window": window, "scale": scale}
        try:
            found = asked.arrange(dataset, indicator, window, scale, paired)
        except InputError as error:
            rows.append(definition | {"dropped": WHOLE} | _not_judged(error))
            continue
        for dropped in (WHOLE, *found.seeds) if len(found.seeds) > 1 else (WHOLE,):
            rows.append(definition | {"dropped": str(dropped)} | _judged(asked, found, dropped, scale, alpha, paired))
    table = pd.DataFrame(rows, columns=[*_DIMS, "outcome", "p", "n", "reason"])
    return Robustness(claim, table, _as_array(table, claim))


def _judged(asked: _Claim, found: Cells, dropped: Any, scale: str, alpha: float, paired: bool) -> dict[str, Any]:
    try:
        left = found if dropped == WHOLE else _without(found, dropped, paired)
    except InputError as error:
        return _not_judged(error)
    outcome, deciding = asked.judge(left, scale, alpha, paired)
    return {"outcome": outcome.value, **deciding, "reason": ""}


def _not_judged(error: InputError) -> dict[str, Any]:
    return {"outcome": NOT_JUDGED, "p": math.nan, "n": 0, "reason": str(error)}


def _without(found: Cells, dropped: Any, paired: bool) -> Cells:
    """Leave a seed out, and with it the sparsities that only this seed made comparable."""
    keep = [k for k, seed in enumerate(found.seeds) if seed != dropped]
    return _comparable(replace(found, grid=found.grid[keep], seeds=tuple(found.seeds[k] for k in keep)), paired)


def _comparable(found: Cells, paired: bool) -> Cells:
    return (with_full_blocks(found, "seed") if paired else with_all_strategies(found))[0]


def _as_array(table: pd.DataFrame, claim: str) -> xr.DataArray:
    labels = {dim: list(dict.fromkeys(table[dim])) for dim in _DIMS}
    codes = np.zeros([len(names) for names in labels.values()], np.int8)
    for row in table.to_dict("records"):
        place = tuple(labels[dim].index(row[dim]) for dim in _DIMS)
        codes[place] = _CODES.index(row["outcome"])
    attrs = {
        "long_name": f"outcome of {claim}: {STATEMENTS[claim]}",
        "flag_values": list(range(len(_CODES))),
        "flag_meanings": list(_CODES),
    }
    return xr.DataArray(codes, labels, _DIMS, "outcome", attrs)


def _arrange_order(dataset: xr.Dataset, indicator: str, window: float, scale: str, paired: bool) -> Cells:
    kept, _ = complete_runs(dataset, ORDER)
    return _comparable(cells(kept, endpoint(kept, indicator, window, scale), ORDER), paired)


def _judge_order(found: Cells, scale: str, alpha: float, paired: bool) -> tuple[Outcome, dict[str, Any]]:
    rows = claim_rows(found, scale, alpha) if paired else unpaired_claim_rows(found, alpha)
    table = as_table(rows)
    outcome = strategy_outcome(table, scale, alpha) if paired else unpaired_outcome(table, alpha)
    return outcome, {"p": rows[0]["p"], "n": rows[0]["n"]}


def _arrange_growth(dataset: xr.Dataset, indicator: str, window: float, scale: str, paired: bool) -> Cells:
    return growth_cells(dataset, indicator, window, scale)[0]  # refuses seeds that are not paired


def _judge_growth(found: Cells, scale: str, alpha: float, paired: bool) -> tuple[Outcome, dict[str, Any]]:
    rows = growth_rows(found, scale, alpha)
    # Both statements must hold: the larger p decides.
    return growth_outcome(rows, alpha), {"p": max(row["p"] for row in rows[:2]), "n": rows[0]["n"]}


_CLAIMS = {
    "C1": _Claim(ORDER, GRADIENT_MAGNITUDES, (0.2, 1.0), _arrange_order, _judge_order),
    "C2": _Claim(ORDER[:2], WEIGHT_NORMS, (0.2, 0.5), _arrange_growth, _judge_growth),
}
