"""The report: one self-contained HTML file, and the same facts as JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from burden_analysis.probe import probed
from reports.burden_figure import burden_figures
from reports.burden_words import STATIC, UNPROBED, burden_table
from reports.caption import words
from reports.fig2 import MOST_COLUMNS, ORDER, Figure2, figure2
from reports.files import write_whole
from reports.numbers import capitalised, listing, number
from reports.runs import accuracy_matrix, design_matrix, missing_list, run_list, summary
from reports.svg import inline
from reports.tables import Table, as_text, cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import xarray as xr

    from burden_analysis import Comparison


def write_report(
    dataset: xr.Dataset,
    comparisons: Sequence[Comparison],
    folder: str | Path,
    *,
    command: str,
    figures: Sequence[Figure2] | None = None,
    burden: Sequence[Figure2] | None = None,
) -> Path:
    """Write ``report.html`` and its twin ``report.json``.

    Parameters
    ----------
    dataset : xarray.Dataset
        What `burden_analysis.open_study` returned.
    comparisons : sequence of Comparison
        Their verdicts come first.
    folder : str or Path
        Created when missing.
    command : str
        The exact command that makes this report again.
    figures : sequence of Figure2, optional
        Figures to show; Figure 2 of the study by default.
    burden : sequence of Figure2, optional
        Figures of the section on the burden of mask updates; `burden_figure` of a probed study by default.

    Returns
    -------
    Path
        The HTML file.
    """
    shown = default_figures(dataset) if figures is None else list(figures)
    more = burden_figures(dataset) if burden is None else list(burden)
    table = burden_table(dataset)
    runs = run_list(dataset)
    folder = Path(folder)
    context = {
        "title": f"Report on the study {listing(dataset.attrs['recordings'])}",
        "summary": summary(runs),
        "outcomes": _outcomes(comparisons),
        "verdicts": [_verdict(comparison) for comparison in comparisons],
        "figures": [_figure(figure, k) for k, figure in enumerate(shown, start=1)],
        "burden": {
            "figures": [_figure(figure, k) for k, figure in enumerate(more, start=1 + len(shown))],
            "table": table,
            "absent": "" if more or table else STATIC if probed(dataset) else UNPROBED,
        },
        "design": design_matrix(runs),
        "missing": missing_list(runs),
        "tests": [_tests(comparison) for comparison in comparisons],
        "accuracy": accuracy_matrix(runs),
        "runs": as_text(runs, "Every run"),
        "provenance": list(_provenance(dataset.attrs["recordings"])),
        "command": command,
    }
    facts = {
        "title": context["title"],
        "summary": context["summary"],
        "comparisons": [json.loads(comparison.to_json()) for comparison in comparisons],
        "figures": [{"caption": figure.caption, "description": figure.description} for figure in shown],
        "burden": {
            "figures": [{"caption": figure.caption, "description": figure.description} for figure in more],
            "table": [dict(zip(table.columns, row, strict=True)) for row in table.rows] if table else [],
        },
        "runs": runs.to_dict(orient="records"),
        "recordings": dataset.attrs["recordings"],
        "command": command,
    }
    write_whole(folder / "report.json", json.dumps(plain(facts), indent=2, allow_nan=False, ensure_ascii=False) + "\n")
    templates = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return write_whole(folder / "report.html", templates.get_template("report.html.j2").render(context))


def default_figures(dataset: xr.Dataset) -> list[Figure2]:
    """Draw Figure 2 of a study, on as many pages as its sparsities need.

    Parameters
    ----------
    dataset : xarray.Dataset
        What `burden_analysis.open_study` returned.

    Returns
    -------
    list of Figure2
        One per six sparsities, of the study's three strategies, or of all there are when it has none of them.
    """
    strategy, sparsity = dataset["strategy"].to_numpy(), dataset["sparsity"].to_numpy()
    known = np.unique(strategy.astype(str)).tolist()
    order = [name for name in ORDER if name in known] or known
    wanted = np.isin(strategy, order)
    levels = np.unique(sparsity[wanted])
    pages = [levels[k : k + MOST_COLUMNS] for k in range(0, levels.size, MOST_COLUMNS)]
    chosen = [np.flatnonzero(wanted & np.isin(sparsity, page)) for page in pages]
    return [figure2(dataset.isel(run=runs), order=order) for runs in chosen]


def plain(value: Any) -> Any:
    """Reduce a value to what strict JSON can hold: NaN and infinities become null, the rest text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _across(comparison: Comparison) -> str:
    return "strategies" if comparison.by == "strategy" else "sparsities"


def _subject(comparison: Comparison) -> str:
    return f"{words(comparison.indicator)}, across {_across(comparison)}"


def _outcomes(comparisons: Sequence[Comparison]) -> Table:
    rows = tuple((c.indicator, _across(c), str(c.outcome), str(len(c.seeds))) for c in comparisons)
    columns = ("indicator", "across", "outcome", "seeds")
    return Table("Outcome of every comparison", columns, rows, (False, False, False, True))


def _verdict(comparison: Comparison) -> dict[str, str]:
    return {
        "subject": capitalised(_subject(comparison)),
        "outcome": str(comparison.outcome),
        # The class of its colour; the words are always printed beside it.
        "tone": str(comparison.outcome).split(" ", 1)[0],
        "verdict": comparison.verdict,
        "terms": f"Indicator {comparison.indicator}; α = {number(comparison.alpha)}.",
    }


def _tests(comparison: Comparison) -> Table:
    # What is read together stands together: estimate and interval, test and method.
    table = comparison.table.copy()
    table["test"] = table["test"] + " (" + table.pop("method") + ")"
    intervals = zip(table["effect"], table.pop("ci_low"), table.pop("ci_high"), strict=True)
    table["effect"] = [
        cell(effect) if pd.isna(low) and pd.isna(high) else f"{number(effect)} [{number(low)}, {number(high)}]"
        for effect, low, high in intervals
    ]
    return as_text(table, f"Every test: {_subject(comparison)}")


def _figure(figure: Figure2, k: int) -> dict[str, Any]:
    svg = inline(figure.render("svg").decode(), f"figure{k}", f"Figure {k}", figure.description)
    return {"number": k, "svg": Markup(svg), "caption": figure.caption}


def _provenance(recordings: Mapping[str, Mapping[str, Any]]) -> Iterator[Table]:
    for name, parts in recordings.items():
        for part, title in (("provenance", "Provenance"), ("config", "Configuration")):
            rows = tuple(_flat(parts.get(part, {})))
            yield Table(f"{title} of the recording {name}", ("what", "value"), rows, (False, False))


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, cell(value) if not isinstance(value, float) else repr(value)
