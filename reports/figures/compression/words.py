"""Caption and text alternative of the difference map, generated from its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from burden_analysis.results.words import counted, listing, number
from reports.figures.base import SUMMARY_SEEDS
from reports.figures.compression.panels import colour_limit

if TYPE_CHECKING:
    import pandas as pd

    from burden_analysis import CompressionEffect

_NAMED = 3  # accuracies left out that are named; the others are counted


def caption(data: pd.DataFrame, effect: CompressionEffect) -> str:
    """Write the caption: what is shown, how many cells went which way, n, interval, unit and what was left out."""
    cells = data[data["panel"] == "a"]
    limit = colour_limit(cells)
    beyond = cells[cells["value"].abs() > limit + 1e-9]
    seeds = f"means over {counted(len(effect.seeds), 'seed')}" if len(effect.seeds) > 1 else "one seed each"
    sentences = [
        "Held-out accuracy at each compression ratio less that at compression 0, in percentage points.",
        f"(a) One cell per sparsity and ratio, one panel per block ({seeds}); {tally(cells)}.",
        f"Colours end at ±{number(limit)} points, the largest difference in a stable block"
        + (f"; triangles mark {counted(len(beyond), 'cell')} beyond." if len(beyond) else "."),
        "No single cell is tested.",
        _frames(effect),
        _means(data[data["panel"] == "b"], effect),
        _left_out(effect),
    ]
    return " ".join(s for s in sentences if s)


def description(data: pd.DataFrame) -> str:
    """Write the text alternative: at each ratio, how many cells went which way, and the means."""
    cells, means = data[data["panel"] == "a"], data[(data["panel"] == "b") & (data["quantity"] == "mean")]
    told = [f"Ratio {number(ratio)}: {tally(here)}" for ratio, here in cells.groupby("ratio")]
    for scope, rows in means.groupby("scope", sort=False):
        listed = listing(f"{_signed(row['value'])} at {number(row['ratio'])}" for _, row in rows.iterrows())
        told.append(f"Mean difference, {scope}: {listed}")
    return f"Heat maps of accuracy differences, and their means. {'. '.join(told)}."


def tally(cells: pd.DataFrame) -> str:
    """Count the cells in which compression helps, ties and hurts."""
    value = cells["value"].round(9)
    more, same, less = int((value > 0).sum()), int((value == 0).sum()), int((value < 0).sum())
    return f"blue, more accurate: {more} of {len(cells)}; white, equal: {same}; orange, less accurate: {less}"


def _frames(effect: CompressionEffect) -> str:
    if not effect.unstable:
        return ""
    return (
        f"Thick frames: {counted(len(effect.unstable), 'unstable block')} with {effect.unstable_share:.0%} of the "
        "variance between ratios."
    )


def _means(means: pd.DataFrame, effect: CompressionEffect) -> str:
    n = means[means["quantity"] == "n"].groupby("scope", sort=False)["value"].max()
    units = listing(f"{counted(int(count), effect.unit)} ({scope})" for scope, count in n.items())
    text = f"(b) Mean difference at each ratio over {units}"
    if n.max() < SUMMARY_SEEDS:
        return f"{text}; small points: every {effect.unit}; no interval below {SUMMARY_SEEDS} {effect.unit}s."
    return (
        f"{text}, bars: two-sided {1 - effect.alpha:.0%} t intervals over {effect.unit}s, each ratio on its own, not "
        "adjusted."
    )


def _left_out(effect: CompressionEffect) -> str:
    if not effect.excluded:
        return ""
    many = len(effect.excluded)
    more = f" and {many - _NAMED} more" if many > _NAMED else ""
    return f"Left out: {'; '.join(effect.excluded[:_NAMED])}{more}."


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
