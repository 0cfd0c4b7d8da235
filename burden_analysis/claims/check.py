"""The claims of the study, judged: each with its evidence and the sentence to print."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from burden_analysis.arrangement.runs import run_table
from burden_analysis.claims.late_growth import late_growth
from burden_analysis.claims.robustness import robustness
from burden_analysis.comparison.compare import compare_strategies
from burden_analysis.comparison.separation import separation
from burden_analysis.definitions import GRADIENT_MAGNITUDES, ORDER, STATEMENTS
from burden_analysis.results.answer import Judged
from burden_analysis.results.families import Family, of_family
from burden_analysis.results.outcome import Outcome
from burden_analysis.results.printed import Printed
from burden_analysis.results.written import plain
from recorders.contract import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr


@dataclass(frozen=True, eq=False)
class Claim:
    """One claim and what was found.

    Attributes
    ----------
    name : str
        ``"C1"``, ``"C2"`` or ``"C3"``.
    statement : str
        What the study says.
    outcome : Outcome
        ``NOT_JUDGED`` where the data do not allow any.
    summary : str
        The outcome, how it depends on the definition, and what else bears on it; why, where it could not be judged.
    tested : str
        What was tested, and all that was found; empty where it could not be judged.
    evidence : dict
        What it rests on: the result behind its ``headline``, its `Robustness`, shares of training; or the ``reason``
        why it could not be judged.
    """

    name: str
    statement: str
    outcome: Outcome
    summary: str
    tested: str
    evidence: dict[str, Any]

    @property
    def sentence(self) -> str:
        """The verdict to print, made from the numbers: the summary and what was tested."""
        return f"{self.summary} {self.tested}".strip()


@dataclass(frozen=True, eq=False)
class Claims(Printed):
    """All claims.

    Attributes
    ----------
    claims : tuple of Claim
        C1, C2 and C3.
    """

    claims: tuple[Claim, ...]

    def __getitem__(self, name: str) -> Claim:
        """Look a claim up by name."""
        return {claim.name: claim for claim in self.claims}[name]

    @property
    def table(self) -> pd.DataFrame:
        """One row per claim: claim, statement, outcome, sentence."""
        rows = [(c.name, c.statement, c.outcome, c.sentence) for c in self.claims]
        return pd.DataFrame(rows, columns=["claim", "statement", "outcome", "sentence"])

    @property
    def verdict(self) -> str:
        """One sentence per claim, each on its own line."""
        return "\n".join(claim.sentence for claim in self.claims)

    def to_dict(self) -> dict[str, Any]:
        """Give statement, outcome, sentence and evidence of each claim, by its name."""
        names = ("statement", "outcome", "sentence", "evidence")
        return {claim.name: {name: plain(getattr(claim, name)) for name in names} for claim in self.claims}


def check_claims(study: xr.Dataset | None = None, *, published: bool = True, alpha: float = 0.05) -> Claims:
    """Judge C1, C2 and C3 (docs/statistics.md).

    Parameters
    ----------
    study : xarray.Dataset, optional
        From `open_study`. C1 and C2 need strategies ``iterative``, ``optimal`` (and ``random``).
    published : bool, default True
        Judge C3 on the 800 published accuracies; otherwise on the study's own, if it varied compression.
    alpha : float, default 0.05
        Level of each claim.

    Returns
    -------
    Claims
        C1 is judged by `compare_strategies` on mean |g| per active weight, C2 by `late_growth`, C3 by
        `compression_effect`. What the data do not allow has outcome ``NOT_JUDGED`` and says why.
    """
    return Claims(
        (
            _judged("C1", lambda: _order(_given(study), alpha)),
            _judged("C2", lambda: _growth(_given(study), alpha)),
            _judged("C3", lambda: _compression(None if published else _given(study), alpha)),
        )
    )


Found = tuple[Judged, str, dict[str, Any]]


def _given(study: xr.Dataset | None) -> xr.Dataset:
    if study is None:
        raise InputError("no study was given")
    return study


def _judged(name: str, judge: Callable[[], Found]) -> Claim:
    statement = STATEMENTS[name]
    try:
        found, why, evidence = judge()
    except InputError as error:
        why_not = f"{name} ({statement}) is {Outcome.NOT_JUDGED.words}: {error}."
        return Claim(name, statement, Outcome.NOT_JUDGED, why_not, "", {"reason": str(error)})
    summary = f"{name} ({statement}) is {found.outcome.words} {why}"
    # The summary has named the outcome already.
    tested = f"Tested: {found.verdict.removeprefix(f'{found.outcome.words.capitalize()}: ')}"
    return Claim(name, statement, found.outcome, summary, tested, evidence)


def _order(study: xr.Dataset, alpha: float) -> Found:
    comparison = compare_strategies(study, GRADIENT_MAGNITUDES[0], alpha=alpha)
    under = robustness(study, "C1", alpha=alpha)
    shares = _shares_lowest(study) if comparison.paired else {}
    evidence = {
        "headline": comparison,
        "robustness": under,
        "share_of_training_iterative_below": shares,
    }
    told = [f"sparsity {s}: {', '.join(f'{v:.0%} {k}' for k, v in to.items())}" for s, to in shares.items()]
    lowest = f"Share of training with {ORDER[0]} below: {'; '.join(told)}." if told else ""
    words = [_headline(comparison.indicator), under.verdict, lowest]
    return comparison, " ".join(s for s in words if s), evidence


def _shares_lowest(study: xr.Dataset) -> dict[str, dict[str, float]]:
    """Share of training with iterative below each other strategy, by sparsity; C1 says "at most of the time"."""
    shares: dict[str, dict[str, float]] = {}
    for sparsity in np.unique(run_table(study)["sparsity"]):
        for other in ORDER[1:]:
            try:
                found = separation(study, GRADIENT_MAGNITUDES[0], ORDER[0], other, sparsity=float(sparsity))
            except InputError:  # no pair at this sparsity: the comparison has named it
                continue
            if np.isfinite(found["share_below"]):  # no record at which every pair has a value
                shares.setdefault(f"{sparsity:g}", {})[other] = float(found["share_below"])
    return shares


def _growth(study: xr.Dataset, alpha: float) -> Found:
    found = late_growth(study, alpha=alpha)
    under = robustness(study, "C2", alpha=alpha)
    evidence = {"headline": found, "robustness": under}
    return found, f"{_headline(found.indicator)} {under.verdict}", evidence


def _compression(study: xr.Dataset | None, alpha: float) -> Found:
    from burden_analysis.compression.accuracies import accuracy_table, published_tables
    from burden_analysis.compression.effect import compression_effect

    if study is None:
        found = compression_effect(published_tables(), alpha=alpha)
        source = "800 published accuracies"
    else:
        table = accuracy_table(study)
        found = compression_effect(table, blocks=table.attrs["blocks"], alpha=alpha)
        source = "this study"
    return found, f"from {source}. {_counts(found.table)}", {"source": source, "headline": found}


def _counts(table: pd.DataFrame) -> str:
    """Count the comparisons with compression 0, all blocks; the first scope holds them."""
    ratios = of_family(table, Family.RATIO)
    cells = ratios[(ratios["scope"] == ratios["scope"].iloc[0]) & (ratios["unit"] == "cell")]
    wins, ties, losses = (int(cells[name].sum()) for name in ("wins", "ties", "losses"))
    return f"Of {wins + ties + losses} comparisons with compression 0 it wins {wins}, ties {ties} and loses {losses}."


def _headline(indicator: str) -> str:
    return f"under its headline definition, {indicator}."
