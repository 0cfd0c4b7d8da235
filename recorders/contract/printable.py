"""Text of somebody else's, made fit for a terminal and for a page."""

from __future__ import annotations

import re
from reprlib import Repr

# Control characters but tab and newline, marks that change the direction of writing, lone surrogates.
_UNSEEN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_REPR = Repr()  # looks at the first parts of a value alone
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 100
_REPR.maxlevel = 2
_LONGEST = 200


def printable(text: str) -> str:
    r"""Write what would not be seen, or would command a terminal, as its number: ESC becomes ``\u001b``.

    Parameters
    ----------
    text : str
        Lines that hold names, paths or remarks that users gave.

    Returns
    -------
    str
        The same lines, without control characters.
    """
    return _UNSEEN.sub(lambda mark: f"\\u{ord(mark[0]):04x}", text)


def one_line(text: str) -> str:
    """Print a text on one line, as `printable`."""
    return printable(" ".join(text.split()))


def shortened(value: object) -> str:
    """Print a value as Python writes it, most of a long one left out."""
    text = _REPR.repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
