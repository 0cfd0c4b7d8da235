"""The words that verdicts, captions and pages are made of: phrases, counts and numbers as readers see them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from burden_analysis.results.tests import Test

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

MISSING = "–"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_NAMED = 5  # runs left out that are named; the others are counted


def significance(row: pd.Series[Any], alpha: float, smallest: float) -> str:
    """Say what an adjusted p means; where the smallest that it could have been is above alpha, say that instead."""
    if row["p_adjusted"] <= alpha:
        return f"significant (adjusted {p_in_words(row['p_adjusted'])})"
    if smallest > alpha:
        return f"could not reach {alpha:g} (smallest adjusted p {smallest:.2g})"
    return f"not significant (adjusted {p_in_words(row['p_adjusted'])})"


def effect_in_words(row: pd.Series[Any]) -> str:
    """Print an effect with its interval, if it has one."""
    if math.isnan(row["ci_low"]):
        return f"{row['effect']:.3g}"
    return f"{row['effect']:.3g} [{row['ci_low']:.3g}, {row['ci_high']:.3g}]"


def against_in_words(rows: pd.DataFrame, *, tests: bool = True) -> str:
    """List the tests that contradict a claim."""
    told = []
    for _, row in rows.iterrows():
        test = f", {Test(row['test']).words}" if tests else ""
        told.append(f"{row['question']} (adjusted {p_in_words(row['p_adjusted'])}{test})")
    return f"Significant against it after Holm: {', '.join(told)}."


def counted(n: float, noun: str, plural: str = "") -> str:
    """Print a count with its noun in the right number: ``1 seed``, ``5 strategies``."""
    regular = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{int(n):,} {noun if n == 1 else plural or regular}"


def p_in_words(p: float) -> str:
    """Print a p value."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def left_out(excluded: tuple[str, ...]) -> str:
    """Count and name what was left out."""
    if not excluded:
        return "Nothing was left out."
    more = f" and {len(excluded) - _NAMED} more" if len(excluded) > _NAMED else ""
    return f"{len(excluded)} left out: {'; '.join(excluded[:_NAMED])}{more}."


def number(value: Any, digits: int = 3) -> str:
    """Print a number with so many significant digits; what is missing prints as a dash."""
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


def level(value: Any) -> str:
    """Print a sparsity or a compression ratio: 0.9995 and 0.9999 are different levels, and read differently."""
    return number(value, 6)


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


def capitalised(text: str) -> str:
    """Start a sentence: only the first letter changes."""
    return text[:1].upper() + text[1:]
