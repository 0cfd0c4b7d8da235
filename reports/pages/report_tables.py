"""The report of a study that varies compression: C3 judged, accuracies in the published layout, tokens and speed."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from burden_analysis.arrangement.levels import with_levels
from burden_analysis.compression.relative_indicators import compression_indicators
from burden_analysis.results.families import Family, of_family
from burden_analysis.results.outcome import Outcome
from burden_analysis.results.words import MISSING, counted, level, listing, number, span
from recorders.contract import InputError
from reports.figures.accuracy_curves import accuracy_curves
from reports.figures.compression.figure import compression_figure
from reports.figures.words import words
from reports.files import write_whole
from reports.pages.page import figure_facts, figure_parts, tests_table, write_page
from reports.tables.accuracies import AccuracyTable, accuracy_tables, difference_table
from reports.tables.merging import merging_table
from reports.tables.provenance import joint_provenance
from reports.tables.runs import design_matrix, missing_list, run_list, summary
from reports.tables.table import SUFFIXES, Table, as_text, save_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    import xarray as xr

    from burden_analysis import CompressionEffect
    from burden_analysis.compression.study import CompressionStudy
    from reports.figures.base import Figure

_CLAIM = "compressing the input makes sparse networks more accurate (C3)"
_OWN, _PUBLISHED = "This study", "The 800 published accuracies"


def write_tables_report(
    dataset: xr.Dataset,
    study: CompressionStudy,
    folder: str | Path,
    *,
    command: str,
    unstarted: Sequence[str] = (),
) -> Path:
    """Write tables, figures, tests and verdict of a study of compression, and ``report.html`` with its JSON twin.

    Parameters
    ----------
    dataset : xarray.Dataset
        What `burden_analysis.open_study` returned.
    study : CompressionStudy
        From `burden_analysis.compression.study.compression_study`.
    folder : str or Path
        Created when missing. Accuracies and differences are written as CSV, Markdown and LaTeX, the figures as PDF,
        SVG, PNG, CSV and caption, all tests as CSV, the verdicts as text.
    command : str
        The exact command that makes this report again.
    unstarted : sequence of str
        Parts of the study that no recording has begun.

    Returns
    -------
    Path
        The HTML file.
    """
    dataset, folder = with_levels(dataset), Path(folder)
    notes: list[str] = []
    figures = list(_figures(dataset, study, notes))
    tables = _accuracies(study, notes)
    for figure in figures:
        figure.save_all(folder)
    _save_tables(study, tables, folder)
    several = len(set(dataset["recording"].to_numpy().tolist())) > 1
    runs = run_list(dataset, [*(["recording"] if several else []), "compression"])
    merged, relative = merging_table(dataset), compression_indicators(dataset)
    context = {
        "title": f"Report on the study {_named(dataset)}",
        "summary": f"{summary(runs)[:-1]}, {counted(runs['compression'].nunique(), 'compression ratio')}.",
        "outcomes": _outcomes(study),
        "verdicts": _verdicts(study),
        "notes": notes,
        "figures": figure_parts(figures),
        "relation": study.relation,
        "accuracies": [table.to_table() for table in tables],
        "differences": _differences(study),
        "indicators": _indicators(relative),
        "merging": merged,
        "design": design_matrix(runs, "recording" if several else "strategy", "compression"),
        "missing": missing_list(runs),
        "unstarted": list(unstarted),
        "tests": _tests(study),
        "runs": as_text(runs, "Every run"),
        "provenance": list(joint_provenance(dataset.attrs["recordings"])),
        "command": command,
    }
    facts = {
        "title": context["title"],
        "summary": context["summary"],
        "effect": study.effect,
        "not_judged": study.reason,
        "published": {"outcome": study.published.outcome, "verdict": study.published.verdict},
        "notes": notes,
        "figures": figure_facts(figures),
        "accuracies": [] if study.table is None else study.table.to_dict("records"),
        "merging": [dict(zip(merged.columns, row, strict=True)) for row in merged.rows] if merged else [],
        "indicators": relative.to_dict("records"),
        "unstarted": list(unstarted),
        "runs": runs.to_dict(orient="records"),
        "recordings": dataset.attrs["recordings"],
        "command": command,
    }
    return write_page("tables.html.j2", context, facts, folder)


def _figures(dataset: xr.Dataset, study: CompressionStudy, notes: list[str]) -> Iterator[Figure]:
    """Draw what can be drawn; why something cannot is a note."""
    effect = study.effect
    wanted: list[tuple[str, Callable[[], Figure]]] = [("training", lambda: accuracy_curves(dataset))]
    if effect is not None:
        wanted.insert(0, ("compression", lambda: compression_figure(effect)))
    for stem, draw in wanted:
        try:
            yield draw().rendered()
        except InputError as error:
            notes.append(f"Figure {stem} was not drawn: {error}.")


def _accuracies(study: CompressionStudy, notes: list[str]) -> list[AccuracyTable]:
    if study.table is None:
        return []
    try:
        return accuracy_tables(study.table, study.beside, blocks=study.blocks)
    except InputError as error:
        notes.append(f"Accuracies were not laid out: {error}.")
        return []


def _save_tables(study: CompressionStudy, tables: Sequence[AccuracyTable], folder: Path) -> None:
    for suffix in SUFFIXES:
        for k, table in enumerate(tables, start=1):
            table.save(folder / (f"accuracy{suffix}" if k == 1 else f"accuracy-{k}{suffix}"))
        if study.effect is not None:
            save_table(difference_table(study.effect), folder / f"differences{suffix}")
    if study.effect is not None:
        save_table(study.effect.table, folder / "tests.csv")
    told = "\n\n".join(f"{item['subject']}\n{item['verdict']}" for item in _verdicts(study))
    write_whole(folder / "verdict.txt", told + "\n")


def _named(dataset: xr.Dataset) -> str:
    """Name what the recordings have in common: ``tables-lr0.001`` and ``tables-lr0.002`` are parts of ``tables``."""
    names = list(dataset.attrs["recordings"])
    columns = zip(*(name.split("-") for name in names), strict=False)
    return "-".join(word for word, *_ in takewhile(lambda w: len(set(w)) == 1, columns)) or listing(names)


def _outcomes(study: CompressionStudy) -> Table:
    """Set this study beside the published accuracies: outcome, cells, and the mean over ratios."""
    columns = ("accuracies", "outcome", "cells won / tied / lost", "mean over ratios (points)", "p", "samples")
    rows = [_outcome(_PUBLISHED, study.published)]
    if study.effect is not None:
        rows.insert(0, _outcome(_OWN, study.effect))
    else:
        rows.insert(0, (_OWN, Outcome.NOT_JUDGED.words, *[MISSING] * (len(columns) - 2)))
    caption = (
        "Whether compression makes sparse networks more accurate, all blocks: differences from compression 0 with "
        "interval and exact two-sided Wilcoxon test over the samples that are judged"
    )
    return Table(caption, columns, tuple(rows), (False, False, True, True, True, False))


def _outcome(whose: str, effect: CompressionEffect) -> tuple[str, ...]:
    every = effect.table[effect.table["scope"] == effect.table["scope"].iloc[0]]
    cells = of_family(every[every["unit"] == "cell"], Family.RATIO)
    counts = " / ".join(number(cells[name].sum()) for name in ("wins", "ties", "losses"))
    row = of_family(every[every["unit"] == effect.unit], Family.OVERALL).iloc[0]
    interval = "" if np.isnan(row["ci_low"]) else f" [{_signed(row['ci_low'])}, {_signed(row['ci_high'])}]"
    samples = counted(int(row["n"]), effect.unit)
    return whose, effect.outcome.words, counts, f"{_signed(row['effect'])}{interval}", number(row["p"]), samples


def _signed(value: float) -> str:
    return MISSING if np.isnan(value) else f"{value:+.2f}".replace("-", "−")


def _verdicts(study: CompressionStudy) -> list[dict[str, Any]]:
    own = _verdict(_OWN, study.effect) if study.effect else _unjudged(_OWN, study.reason)
    return [{**own, "folded": ""}, {**_verdict(_PUBLISHED, study.published), "folded": "The published verdict in full"}]


def _verdict(whose: str, effect: CompressionEffect) -> dict[str, Any]:
    return {
        "subject": f"{whose}: {_CLAIM}",
        "outcome": effect.outcome,
        "verdict": effect.verdict,
        "terms": f"Unit: {effect.unit}; margin of equivalence ±{number(effect.margin)} points; "
        f"α = {number(effect.alpha)}.",
    }


def _unjudged(whose: str, reason: str) -> dict[str, Any]:
    return {
        "subject": f"{whose}: {_CLAIM}",
        "outcome": Outcome.NOT_JUDGED,
        "verdict": f"Not judged: {reason}.",
        "terms": "Whatever was recorded is shown below.",
    }


def _differences(study: CompressionStudy) -> Table | None:
    if study.effect is None:
        return None
    caption = (
        f"Difference from compression 0 in percentage points: cells won, tied and lost; mean over "
        f"{study.effect.unit}s with {1 - study.effect.alpha:.0%} t interval; exact two-sided Wilcoxon test, Holm over "
        "ratios"
    )
    return as_text(difference_table(study.effect), caption)


def _indicators(relative: pd.DataFrame) -> Table | None:
    """Lay the indicators out, a row each, a column per ratio."""
    if relative.empty:
        return None
    told = {
        (row["indicator"], row["compression"]): number(row["ratio"])
        + ("" if np.isnan(row["ci_low"]) else f" [{number(row['ci_low'])}, {number(row['ci_high'])}]")
        for row in relative.to_dict("records")
    }
    ratios = sorted(set(relative["compression"]))
    names = dict.fromkeys(relative["indicator"])
    rows = tuple((name, words(name), *(told.get((name, ratio), MISSING) for ratio in ratios)) for name in names)
    caption = (
        f"Indicators relative to the same run at compression 0: geometric mean over seeds (n = {span(relative['n'])}) "
        "with 95 % t interval (none below 3 seeds). Mean over the last 20 % of records; compensation and burden: over "
        "all mask updates. Nothing is tested here"
    )
    columns = ("indicator", "what it is", *(f"ratio {level(ratio)}" for ratio in ratios))
    return Table(caption, columns, rows, (False, False, *[True] * len(ratios)))


def _tests(study: CompressionStudy) -> list[dict[str, Table | str]]:
    """Split the tests into those that are judged, and those that only describe (cells, and blocks beside seeds)."""
    effect = study.effect
    if effect is None:
        return []
    judged = effect.table["unit"] == effect.unit
    decide = tests_table(_readable(effect.table[judged]), f"Every test over {effect.unit}s: what is judged")
    describe = tests_table(_readable(effect.table[~judged]), "Every test at other levels: they describe only")
    return [
        {"table": decide, "folded": ""},
        {"table": describe, "folded": "Tests at other levels, which describe and do not decide"},
    ]


def _readable(tests: pd.DataFrame) -> pd.DataFrame:
    counts = [tests[name].map(number) for name in ("wins", "ties", "losses")]
    told = (counts[0] + " / " + counts[1] + " / " + counts[2]).where(tests["wins"].notna(), "")
    return tests.drop(columns=["wins", "ties", "losses"]).assign(**{"won / tied / lost": told})
