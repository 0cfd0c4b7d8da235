"""Counts and lists as readers of captions, tables and axes see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from burden_analysis.numbers import MISSING, number

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MISSING", "capitalised", "counted", "listing", "number", "span"]


def span(values: Iterable[int]) -> str:
    """Print counts as one number when they agree, as a range when they do not."""
    counts = sorted(set(values))
    if not counts:
        return "0"
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"


def listing(names: Iterable[str]) -> str:
    """Join names as prose does: ``a``, ``a and b``, ``a, b and c``."""
    known = list(names)
    return known[0] if len(known) == 1 else f"{', '.join(known[:-1])} and {known[-1]}" if known else ""


def counted(count: int, noun: str) -> str:
    """Print a count with its noun in the right number: ``1 seed``, ``5 seeds``."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def capitalised(text: str) -> str:
    """Start a sentence: only the first letter changes."""
    return text[:1].upper() + text[1:]
