"""The claims of a study as blocks of the report: outcome, sentence, and where the evidence is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from burden_analysis.comparison.result import Comparison
from reports.pages.page import tests_table
from reports.pages.sensitivity import place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from burden_analysis import Claims
    from burden_analysis.claims.check import Claim
    from reports.tables.table import Table

_OWN = "this study"


def claim_blocks(claims: Claims | None, comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Make one block per claim."""
    return [_block(claim, comparisons) for claim in claims.claims] if claims else []


def claim_tests(claims: Claims | None, comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Tables of the tests behind the claims, without those that a comparison of the report shows already."""
    judged = [claim for claim in claims.claims if "headline" in claim.evidence] if claims else []
    own = [claim for claim in judged if _compared(claim, comparisons) is None]
    return [
        {"id": f"tests-{claim.name}", "folded": f"Tests behind claim {claim.name}", "table": _tests(claim)}
        for claim in own
    ]


def claim_facts(claims: Claims | None) -> dict[str, Any]:
    """Collect claims with their evidence for the twin, without what stands elsewhere.

    Outcomes under other definitions are the twin's ``sensitivity``; the published accuracies ship with the package.
    """
    facts = claims.to_dict() if claims else {}
    for fact in facts.values():
        fact["evidence"].pop("robustness", None)
        fact["evidence"].get("headline", {}).pop("differences", None)
    return facts


def _block(claim: Claim, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    source = claim.evidence.get("source", _OWN)
    return {
        "name": claim.name,
        "heading": f"Claim {claim.name}" if source == _OWN else f"Claim {claim.name}, about the published tables",
        "outcome": claim.outcome,
        "summary": claim.summary,
        "source": "" if source == _OWN else f"Judged on the {source}, not on the runs of this study.",
        "tested": claim.tested,
        "links": _links(claim, comparisons),
    }


def _links(claim: Claim, comparisons: Sequence[Comparison]) -> list[dict[str, str]]:
    links = []
    if "headline" in claim.evidence:
        compared = _compared(claim, comparisons)
        at = f"tests-{claim.name}" if compared is None else f"tests-table-{compared}"
        links.append({"id": at, "text": f"every test of {claim.name}"})
    if "robustness" in claim.evidence:
        links.append({"id": place(claim), "text": f"{claim.name} under every definition"})
    return links


def _compared(claim: Claim, comparisons: Sequence[Comparison]) -> int | None:
    """Which comparison of the report is the claim's own, counted from 1."""
    own = claim.evidence["headline"]
    for number, comparison in enumerate(comparisons, start=1):
        if isinstance(own, Comparison) and (own.by, own.question) == (comparison.by, comparison.question):
            return number
    return None


def _tests(claim: Claim) -> Table:
    headline = claim.evidence["headline"]
    table = headline.table
    if "unit" not in table:
        return tests_table(table, f"Every test of {claim.name}, {headline.indicator}")
    judged = table[table["unit"] == headline.unit].drop(columns="unit")
    return tests_table(judged, f"Every test of {claim.name} over {headline.unit}s, {claim.evidence['source']}")
