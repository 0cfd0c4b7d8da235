"""How every figure looks: journal widths, colours with dashes, and one rc context that ignores the user's own."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SINGLE = 89.0  # mm, one column of a journal page
DOUBLE = 183.0  # mm, both columns
GREY = "#595959"

# 5 to 7 pt everywhere. DejaVu Sans comes with matplotlib, so bytes do not depend on the fonts of the machine.
RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 6.0,
    "axes.labelsize": 6.0,
    "axes.titlesize": 6.5,
    "axes.titlepad": 4.0,
    "axes.labelpad": 3.0,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 5.5,
    "ytick.labelsize": 5.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "xtick.major.pad": 1.5,
    "ytick.major.pad": 1.5,
    "figure.dpi": 300.0,
    "savefig.dpi": 300.0,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "burden-analysis",
    "text.parse_math": False,  # names are drawn as they are written, dollar signs too
}


@dataclass(frozen=True)
class Look:
    """Colour and dash pattern of one strategy; the two always go together.

    Attributes
    ----------
    colour : str
        Okabe-Ito colour of lines, as hex.
    dash : tuple
        Matplotlib line style, scaled by the line width.
    """

    colour: str
    dash: tuple[int, tuple[float, ...]]

    @property
    def ink(self) -> str:
        """The colour darkened until text in it reads on white (WCAG AA)."""
        return readable(self.colour)


LOOKS = {
    "iterative": Look("#0072B2", (0, ())),
    "optimal": Look("#D55E00", (0, (4.0, 1.2))),
    "random": Look("#009E73", (0, (4.0, 1.2, 1.0, 1.2))),
    "dense": Look("#000000", (0, (1.0, 1.2))),
    "gmp": Look("#CC79A7", (0, (6.0, 2.0))),
    "set": Look("#E69F00", (0, (2.0, 1.0))),
    "rigl": Look("#56B4E9", (0, (6.0, 1.2, 1.0, 1.2, 1.0, 1.2))),
    "gumbel": Look("#000000", (0, (3.0, 3.0))),
}
_SPARE = [LOOKS[name] for name in ("gmp", "set", "rigl", "gumbel", "dense", "random", "optimal", "iterative")]


def looks(strategies: Sequence[str]) -> dict[str, Look]:
    """Give every strategy a look: the same one in every figure for ours, one that no other has for up to eight."""
    taken = [LOOKS[name] for name in strategies if name in LOOKS]
    spare = cycle([look for look in _SPARE if look not in taken] or _SPARE)
    return {name: LOOKS.get(name) or next(spare) for name in strategies}


def contrast(first: str, second: str) -> float:
    """WCAG contrast ratio of two hex colours, from 1 to 21."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def readable(colour: str) -> str:
    """Darken a hex colour until its contrast with white reaches 4.5."""
    channels = _channels(colour)
    scale = 1.0
    while contrast(dark := "#" + "".join(f"{int(c * scale):02x}" for c in channels), "#ffffff") < 4.5:
        scale -= 0.02
    return dark


def inches(mm: float) -> float:
    """Millimetres as inches, the unit matplotlib sizes figures in."""
    return mm / 25.4


@contextmanager
def style() -> Iterator[None]:
    """Draw and save inside our settings, whatever matplotlibrc the user has."""
    with mpl.rc_context(), warnings.catch_warnings():
        # PNG and PDF show a box for such a letter; SVG, caption and tables have it.
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from", UserWarning)
        mpl.rcdefaults()
        mpl.rcParams.update(RC)
        yield


def _channels(colour: str) -> list[int]:
    return [int(colour[k : k + 2], 16) for k in (1, 3, 5)]


def _luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in _channels(colour))]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
