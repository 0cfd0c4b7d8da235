"""Names that users gave, as a figure has room for them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 24  # characters of a name in a figure; captions and tables have all of it
_ELLIPSIS = "…"


def short_name(name: str, most: int = MOST) -> str:
    """Put a name on one line, without what cannot be printed, its middle left out where it is long."""
    line = "".join(mark if mark.isprintable() else "\N{REPLACEMENT CHARACTER}" for mark in " ".join(name.split()))
    if len(line) <= most:
        return line
    tail = most // 3  # names often differ at their ends
    return line[: most - tail - 1] + _ELLIPSIS + line[-tail:]


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Shorten names, numbering those that are then the same."""
    found = {name: short_name(name) for name in names}
    counts, seen = Counter(found.values()), Counter[str]()
    for name, short in found.items():
        if counts[short] > 1:
            seen[short] += 1
            found[name] = f"{short} ({seen[short]})"
    return found
