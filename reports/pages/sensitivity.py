"""Claims under every definition: outcomes laid out by indicator, window and scale."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pandas as pd

from burden_analysis.claims.robustness import WHOLE
from burden_analysis.results.outcome import Outcome
from burden_analysis.results.words import capitalised, number
from reports.figures.words import words

if TYPE_CHECKING:
    from burden_analysis import Claims
    from burden_analysis.claims.check import Claim

_DEFINITION = ["indicator", "window", "scale"]


def sensitivity_table(claims: Claims | None) -> pd.DataFrame:
    """Outcomes of all claims under every definition and with each seed left out."""
    parts = [_outcomes(claim).assign(claim=claim.name) for claim in _varied(claims)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"claim": []})
    return table[["claim", *table.columns.drop("claim")]]


def sensitivity_matrices(claims: Claims | None) -> list[dict[str, Any]]:
    """Lay outcomes out: one matrix per claim, indicators by window and scale."""
    return [_matrix(claim) for claim in _varied(claims)]


def sensitivity_facts(claims: Claims | None) -> dict[str, Any]:
    """Collect captions and outcomes for the twin."""
    return {
        claim.name: {"caption": _caption(claim), "table": claim.evidence["robustness"].table}
        for claim in _varied(claims)
    }


def place(claim: Claim) -> str:
    """Id of a claim's matrix in the page."""
    return f"sensitivity-{claim.name}"


def _varied(claims: Claims | None) -> list[Claim]:
    return [claim for claim in claims.claims if "robustness" in claim.evidence] if claims else []


def _outcomes(claim: Claim) -> pd.DataFrame:
    table: pd.DataFrame = claim.evidence["robustness"].table
    return table


def _matrix(claim: Claim) -> dict[str, Any]:
    table = _outcomes(claim)
    places = list(table[["window", "scale"]].drop_duplicates().itertuples(index=False, name=None))
    found = dict(list(table.groupby(_DEFINITION, sort=False)))
    return {
        "id": place(claim),
        "heading": f"{claim.name}: {claim.statement}",
        "caption": _caption(claim),
        "corner": "indicator",
        "columns": [f"{_window(claim, window)}, {scale}" for window, scale in places],
        "rows": [
            {
                "words": capitalised(words(indicator)),
                "indicator": indicator,
                "cells": [_cell(found[indicator, window, scale]) for window, scale in places],
            }
            for indicator in table["indicator"].unique()
        ],
    }


def _caption(claim: Claim) -> str:
    return (
        f"{claim.evidence['robustness'].verdict} In each cell: the outcome with all n seeds, the p of the test for "
        "the claim (a contradiction rests on tests of the opposite), and what leaving out one seed in turn makes of it."
    )


def _window(claim: Claim, share: float) -> str:
    last = "whole training" if share == 1 else f"last {share:.0%}"
    return f"{last} against the {share:.0%} before" if claim.name == "C2" else last


def _cell(rows: pd.DataFrame) -> dict[str, Any]:
    whole = rows[rows["dropped"] == WHOLE].iloc[0]
    outcome = Outcome(whole["outcome"])
    if outcome is Outcome.NOT_JUDGED:
        return {"outcome": outcome, "lines": [str(whole["reason"])]}
    lines = [f"p = {number(whole['p'])}, n = {number(whole['n'])}", _without_one(rows, outcome)]
    return {"outcome": outcome, "lines": [line for line in lines if line]}


def _without_one(rows: pd.DataFrame, outcome: Outcome) -> str:
    """Say how many seeds decide the outcome; nothing where there is only one."""
    others = rows.loc[rows["dropped"] != WHOLE, "outcome"]
    if others.empty:
        return ""
    changed = Counter(Outcome(other).short for other in others if other != outcome)
    told = ", ".join(f"{other} in {count} of {len(others)}" for other, count in changed.items())
    return f"without one seed: {told or 'the same'}"
