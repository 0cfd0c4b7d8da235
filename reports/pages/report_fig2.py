"""The report: one self-contained HTML file, and the same facts as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from burden_analysis.arrangement.levels import with_levels
from burden_analysis.indicators.mask_updates import probed
from burden_analysis.results.words import capitalised, listing, number
from reports.figures.burden.figure import burden_pages
from reports.figures.burden.words import STATIC, UNPROBED
from reports.figures.fig2.figure import figure2_pages
from reports.figures.words import words
from reports.pages.claims import claim_blocks, claim_facts, claim_tests
from reports.pages.page import figure_facts, figure_parts, tests_table, write_page
from reports.pages.sensitivity import sensitivity_facts, sensitivity_matrices
from reports.tables.burden import burden_table
from reports.tables.provenance import provenance
from reports.tables.runs import accuracy_matrix, design_matrix, missing_list, run_list, summary
from reports.tables.table import Table, as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from burden_analysis import Claims, Comparison
    from reports.figures.base import Figure


def write_report(
    dataset: xr.Dataset,
    comparisons: Sequence[Comparison],
    folder: str | Path,
    *,
    command: str,
    claims: Claims | None = None,
    figures: Sequence[Figure] | None = None,
    burden: Sequence[Figure] | None = None,
) -> Path:
    """Write ``report.html`` and its twin ``report.json``.

    Parameters
    ----------
    dataset : xarray.Dataset
        What `burden_analysis.open_study` returned.
    comparisons : sequence of Comparison
        Their verdicts come first, after those of the claims.
    folder : str or Path
        Created when missing.
    command : str
        The exact command that makes this report again.
    claims : Claims, optional
        From `burden_analysis.check_claims`: a verdict per claim, and the verdicts under every definition.
    figures : sequence of Figure, optional
        Figures to show; Figure 2 of the study by default.
    burden : sequence of Figure, optional
        Figures of the section on the burden of mask updates; `burden_figure` of a probed study by default.

    Returns
    -------
    Path
        The HTML file.
    """
    dataset = with_levels(dataset)
    shown = figure2_pages(dataset) if figures is None else list(figures)
    more = burden_pages(dataset) if burden is None else list(burden)
    table = burden_table(dataset)
    runs = run_list(dataset)
    context = {
        "title": f"Report on the study {listing(dataset.attrs['recordings'])}",
        "summary": summary(runs),
        "claims": claim_blocks(claims, comparisons),
        "outcomes": _outcomes(comparisons),
        "verdicts": [_verdict(comparison) for comparison in comparisons],
        "figures": figure_parts(shown),
        "burden": {
            "figures": figure_parts(more, 1 + len(shown)),
            "table": table,
            "absent": "" if more or table else STATIC if probed(dataset) else UNPROBED,
        },
        "design": design_matrix(runs),
        "missing": missing_list(runs),
        "tests": [tests_table(c.table, f"Every test: {_subject(c)}") for c in comparisons],
        "claim_tests": claim_tests(claims, comparisons),
        "sensitivity": sensitivity_matrices(claims),
        "accuracy": accuracy_matrix(runs),
        "runs": as_text(runs, "Every run"),
        "provenance": list(provenance(dataset.attrs["recordings"])),
        "command": command,
    }
    facts = {
        "title": context["title"],
        "summary": context["summary"],
        "claims": claim_facts(claims),
        "sensitivity": sensitivity_facts(claims),
        "comparisons": list(comparisons),
        "figures": figure_facts(shown),
        "burden": {
            "figures": figure_facts(more),
            "table": [dict(zip(table.columns, row, strict=True)) for row in table.rows] if table else [],
        },
        "runs": runs.to_dict(orient="records"),
        "recordings": dataset.attrs["recordings"],
        "command": command,
    }
    return write_page("report.html.j2", context, facts, Path(folder))


def _across(comparison: Comparison) -> str:
    return "strategies" if comparison.by == "strategy" else "sparsities"


def _subject(comparison: Comparison) -> str:
    return f"{words(comparison.indicator)}, across {_across(comparison)}"


def _outcomes(comparisons: Sequence[Comparison]) -> Table:
    rows = tuple((c.indicator, _across(c), c.outcome.words, str(len(c.seeds))) for c in comparisons)
    columns = ("indicator", "across", "outcome", "seeds")
    return Table("Outcome of every comparison", columns, rows, (False, False, False, True))


def _verdict(comparison: Comparison) -> dict[str, Any]:
    return {
        "subject": capitalised(_subject(comparison)),
        "outcome": comparison.outcome,
        "verdict": comparison.verdict,
        "terms": f"Indicator {comparison.indicator}; α = {number(comparison.alpha)}.",
    }
