"""Numbers as readers of captions, tables and axes see them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MISSING = "–"


def number(value: Any, digits: int = 3) -> str:
    """Print a number with so many significant digits; what is missing prints as a dash.

    Parameters
    ----------
    value : float or None
        The number.
    digits : int, default 3
        Significant digits.

    Returns
    -------
    str
        Such as ``0.0046``, ``1.7×10⁻⁸``, ``−∞`` or ``–``.
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if float(value).is_integer() and abs(value) < 1e6:
        return f"{value:.0f}".replace("-", "−")
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    mantissa = mantissa.replace("-", "−")
    if not exponent:
        return mantissa
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPT)
    return power if mantissa == "1" else f"{mantissa}×{power}"


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
