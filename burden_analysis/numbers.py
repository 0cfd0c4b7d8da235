"""Numbers as readers of tables, captions and verdicts see them."""

from __future__ import annotations

import math
from typing import Any

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
