"""A claim judged under every defensible definition: the table of verdicts is the result, not the one that agrees."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from burden_analysis.arrangement.runs import check_strategies
from burden_analysis.claims.late_growth import (
    PRUNED,
    REFERENCE,
    growth_cells,
    growth_judgement,
    growth_rows,
)
from burden_analysis.comparison.design import design_of
from burden_analysis.definitions import GRADIENT_MAGNITUDES, ORDER, SCALES, STATEMENTS, WEIGHT_NORMS
from burden_analysis.results.outcome import Outcome
from burden_analysis.results.printed import Printed
from burden_analysis.results.question import Question, arranged
from burden_analysis.results.rows import as_table
from burden_analysis.results.words import counted
from burden_analysis.results.written import UNWRITTEN
from burden_analysis.statistics.holm import check_alpha
from recorders.contract import InputError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from burden_analysis.arrangement.cells import Cells
    from burden_analysis.comparison.design import Design

WHOLE = "none"  # no seed is dropped
_DIMS = ("indicator", "window", "scale", "dropped")


@dataclass(frozen=True)
class _Claim:
    """How a claim is judged under one definition."""

    strategies: tuple[str, ...]
    indicators: tuple[str, ...]
    windows: tuple[float, ...]
    arrange: Callable[[xr.Dataset, Question, Design], Cells]
    judge: Callable[[Cells, Question, Design], tuple[Outcome, dict[str, Any]]]


@dataclass(frozen=True, eq=False)
class Robustness(Printed):
    """A claim under every definition.

    Attributes
    ----------
    claim : str
        ``"C1"`` or ``"C2"``.
    verdict : str
        The outcomes counted, made from the table.
    table : pandas.DataFrame
        One row per indicator, window, scale and dropped seed (``"none"``: all are used): outcome, p of the deciding
        test of the claim, n seeds, and ``reason`` where a definition could not be judged.
    array : xarray.DataArray
        The outcomes as codes over (indicator, window, scale, dropped); ``attrs["flag_values"]`` and
        ``attrs["flag_meanings"]`` name them.
    """

    claim: str
    verdict: str
    table: pd.DataFrame
    array: xr.DataArray = field(metadata=UNWRITTEN)


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
    judged = _CLAIMS[claim]
    check_strategies(dataset, judged.strategies)
    design = design_of(dataset, judged.strategies, "seed")
    rows: list[dict[str, Any]] = []
    for indicator, window, scale in product(judged.indicators, judged.windows, SCALES):
        definition = {"indicator": indicator, "window": window, "scale": scale}
        asked = Question(indicator, judged.strategies, window, scale, alpha)
        try:
            found = judged.arrange(dataset, asked, design)
        except InputError as error:
            rows.append(definition | {"dropped": WHOLE} | _not_judged(error))
            continue
        for dropped in (WHOLE, *found.seeds) if len(found.seeds) > 1 else (WHOLE,):
            rows.append(definition | {"dropped": str(dropped)} | _judged(judged, found, dropped, asked, design))
    table = pd.DataFrame(rows, columns=[*_DIMS, "outcome", "p", "n", "reason"])
    return Robustness(claim, _verdict(claim, table), table, _as_array(table, claim))


def _judged(claim: _Claim, found: Cells, dropped: Any, asked: Question, design: Design) -> dict[str, Any]:
    try:
        left = found if dropped == WHOLE else _without(found, dropped, design)
    except InputError as error:
        return _not_judged(error)
    outcome, deciding = claim.judge(left, asked, design)
    return {"outcome": outcome, **deciding, "reason": ""}


def _not_judged(error: InputError) -> dict[str, Any]:
    return {"outcome": Outcome.NOT_JUDGED, "p": math.nan, "n": 0, "reason": str(error)}


def _without(found: Cells, dropped: Any, design: Design) -> Cells:
    """Leave a seed out, and with it the sparsities that only this seed made comparable."""
    keep = [k for k, seed in enumerate(found.seeds) if seed != dropped]
    return design.comparable(replace(found, grid=found.grid[keep], seeds=tuple(found.seeds[k] for k in keep)))[0]


def _verdict(claim: str, table: pd.DataFrame) -> str:
    whole = table[table["dropped"] == WHOLE]
    counts = Counter(whole["outcome"])
    listed = [f"{o.words} in {counts[o]}" for o in (*list(Outcome)[1:], Outcome.NOT_JUDGED) if counts[o]]
    sizes = [table[name].nunique() for name in _DIMS[:3]]
    where = (
        f"{counted(sizes[0], 'indicator')} × {counted(sizes[1], 'window')} × {counted(sizes[2], 'scale')} "
        f"= {counted(len(whole), 'definition')}"
    )
    return f"{claim} under {where}: {', '.join(listed)}. {_dropped(table, whole)}"


def _dropped(table: pd.DataFrame, whole: pd.DataFrame) -> str:
    keys = list(_DIMS[:3])
    both = table[table["dropped"] != WHOLE].merge(whole, on=keys, suffixes=("", "_whole"))
    if (whole["outcome"] == Outcome.NOT_JUDGED).all():
        return "Nothing could be judged, so no seed was left out."
    if both.empty:
        return "With one seed none can be left out."
    changed = both[both["outcome"] != both["outcome_whole"]]
    otherwise = changed[~changed["outcome"].isin([Outcome.UNDECIDED, Outcome.NOT_JUDGED])].drop_duplicates(keys)
    lost = f" or {Outcome.NOT_JUDGED.words}" if (changed["outcome"] == Outcome.NOT_JUDGED).any() else ""
    changed = changed.drop_duplicates(keys)
    only = f" ({len(changed) - len(otherwise)} only to {Outcome.UNDECIDED.short}{lost})" if len(changed) else ""
    return f"Leaving out one seed changes the outcome of {len(changed)} of them{only}."


def _as_array(table: pd.DataFrame, claim: str) -> xr.DataArray:
    labels = {dim: list(dict.fromkeys(table[dim])) for dim in _DIMS}
    codes = np.zeros([len(names) for names in labels.values()], np.int8)
    for row in table.to_dict("records"):
        place = tuple(labels[dim].index(row[dim]) for dim in _DIMS)
        codes[place] = list(Outcome).index(row["outcome"])
    attrs = {
        "long_name": f"outcome of {claim}: {STATEMENTS[claim]}",
        "flag_values": list(range(len(Outcome))),
        "flag_meanings": [outcome.value for outcome in Outcome],
    }
    return xr.DataArray(codes, labels, _DIMS, "outcome", attrs)


def _arrange_order(dataset: xr.Dataset, asked: Question, design: Design) -> Cells:
    return design.comparable(arranged(dataset, asked)[0])[0]


def _judge_order(found: Cells, asked: Question, design: Design) -> tuple[Outcome, dict[str, Any]]:
    rows = design.claim_rows(found, asked)
    return design.judge(as_table(rows), asked).outcome, {"p": rows[0]["p"], "n": rows[0]["n"]}


def _arrange_growth(dataset: xr.Dataset, asked: Question, design: Design) -> Cells:
    return growth_cells(dataset, asked)[0]  # refuses seeds that are not paired


def _judge_growth(found: Cells, asked: Question, design: Design) -> tuple[Outcome, dict[str, Any]]:
    rows = growth_rows(found, asked)
    # Both statements must hold: the larger p decides.
    return growth_judgement(as_table(rows), asked).outcome, {"p": max(row["p"] for row in rows[:2]), "n": rows[0]["n"]}


_CLAIMS = {
    "C1": _Claim(ORDER, GRADIENT_MAGNITUDES, (0.2, 1.0), _arrange_order, _judge_order),
    "C2": _Claim((REFERENCE, PRUNED), WEIGHT_NORMS, (0.2, 0.5), _arrange_growth, _judge_growth),
}
