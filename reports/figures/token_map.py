"""Token maps: which patches of real images were merged into one token."""

from __future__ import annotations

from colorsys import hls_to_rgb
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import matplotlib.patheffects as effects
import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure as MatplotlibFigure

from recorders.contract import InputError
from reports.drawing.names import short_name
from reports.drawing.style import DOUBLE, inches, style
from reports.figures.base import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    from matplotlib.axes import Axes

MOST_IMAGES = 10
_GOLDEN = 0.618033988749895  # steps of this share of the colour circle keep neighbours in number apart in hue
_FADED = 0.55
_LABEL = 18  # characters that fit beside a row
_TINT = 0.45


@dataclass(frozen=True)
class TokenMap(Figure):
    """The token map with the source maps in it and the words about it; attributes as of `Figure`."""

    stem: ClassVar[str] = "token-map"


def token_map(images: npt.ArrayLike, sources: Mapping[str, npt.ArrayLike], *, held_out: int = 1) -> TokenMap:
    """Draw which patches of images were merged, one column per image, one row per source map.

    Patches that share a token have one colour and one outline, however far apart they lie; patches that kept a token to
    themselves are pale and have neither.

    Parameters
    ----------
    images : array_like, shape (image, channel, height, width)
        One or three channels, any numbers: the smallest is drawn black, the largest white. As the network gets them or
        smaller, of the same shape.
    sources : mapping of str to array_like of int, shape (image, held_out + patches)
        Which token every source token went to, by a label for the row ("ρ = 0.4"); `TokenMerge.source` or
        `Merged.source`, on the CPU.
    held_out : int, default 1
        Leading tokens that are no patches (the class token, registers).

    Returns
    -------
    TokenMap
        The figure, the source maps as a table, its caption and its text alternative.

    Raises
    ------
    InputError
        No or more than ten images, other channels, no source map, or one that does not belong to the images or whose
        patches do not tile them.
    """
    pictures = _pictures(np.asarray(images))
    maps = {label: _groups(label, np.asarray(source), pictures, held_out) for label, source in sources.items()}
    if not maps:
        raise InputError("no source map to draw: pass {'ρ = 0.4': merge.source}")
    table = pd.concat([_table(label, groups) for label, groups in maps.items()], ignore_index=True)
    return TokenMap(
        figure=_draw(pictures, maps), data=table, caption=_caption(pictures, maps), description=_description(maps)
    )


def _pictures(images: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """Put the channels last, as values from 0 to 1, shape (image, height, width, 3)."""
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.size:
        raise InputError(f"images must have shape (image, 1 or 3, height, width), got {images.shape}")
    if len(images) > MOST_IMAGES:
        raise InputError(f"{len(images)} images do not fit a page: choose at most {MOST_IMAGES}")
    values = images.astype(np.float64)
    span = np.ptp(values) or 1.0
    scaled = (values - values.min()) / span
    return np.broadcast_to(scaled.transpose(0, 2, 3, 1), (len(images), *images.shape[2:], 3))


def _groups(
    label: str, source: npt.NDArray[np.generic], pictures: npt.NDArray[np.float64], held_out: int
) -> npt.NDArray[np.int64]:
    """Arrange a source map as the grid of patches, shape (image, row, column)."""
    if source.ndim != 2 or len(source) != len(pictures) or source.dtype.kind not in "iu":
        raise InputError(
            f"source map {label!r} has shape {source.shape} and type {source.dtype}: it must be integers of shape "
            f"({len(pictures)}, tokens), one row per image"
        )
    height, width = pictures.shape[1:3]
    patches = source.shape[1] - held_out
    rows = round(max(patches * height / width, 0) ** 0.5)  # the grid has the shape of the images, patches are square
    if not rows or patches % rows or rows * width != patches // rows * height:
        raise InputError(
            f"{patches} patches of source map {label!r} do not tile images of {width}x{height}: check held_out "
            f"({held_out} now), the leading tokens that are no patches"
        )
    return source[:, held_out:].reshape(len(source), rows, -1).astype(np.int64)


def _table(label: str, groups: npt.NDArray[np.int64]) -> pd.DataFrame:
    image, row, column = (axis.reshape(-1) for axis in np.indices(groups.shape))
    return pd.DataFrame({"map": label, "image": image, "row": row, "column": column, "token": groups.reshape(-1)})


def _draw(pictures: npt.NDArray[np.float64], maps: Mapping[str, npt.NDArray[np.int64]]) -> MatplotlibFigure:
    columns, rows = len(pictures), len(maps) + 1
    margin, gap = 7.0, 1.2
    cell = min(30.0, (DOUBLE - margin) / columns - gap)
    tall = cell * pictures.shape[1] / pictures.shape[2]
    wide, high = margin + columns * (cell + gap), rows * (tall + gap)
    with style():
        figure = MatplotlibFigure(figsize=(inches(wide), inches(high)))
        for c, picture in enumerate(pictures):
            numbers: dict[int, int] = {}  # a token keeps its colour down the column
            for r, (label, groups) in enumerate([("image", None), *maps.items()]):
                left, bottom = margin + c * (cell + gap), high - (r + 1) * (tall + gap)
                axes = figure.add_axes((left / wide, bottom / high, cell / wide, tall / high))
                _plain(axes, picture) if groups is None else _tinted(axes, picture, groups[c], numbers)
                if c == 0:
                    axes.set_ylabel(short_name(label, _LABEL))
    return figure


def _plain(axes: Axes, picture: npt.NDArray[np.float64]) -> None:
    axes.imshow(picture, extent=(0, picture.shape[1], picture.shape[0], 0), interpolation="nearest")
    # Room for the lines around the outermost patches.
    axes.set(xlim=(-0.01 * picture.shape[1], 1.01 * picture.shape[1]), xticks=[], yticks=[])
    axes.set(ylim=(1.01 * picture.shape[0], -0.01 * picture.shape[0]))
    axes.spines[:].set_visible(False)


def _tinted(
    axes: Axes, picture: npt.NDArray[np.float64], groups: npt.NDArray[np.int64], numbers: dict[int, int]
) -> None:
    _plain(axes, _FADED + (1 - _FADED) * picture)
    width, height = picture.shape[1] / groups.shape[1], picture.shape[0] / groups.shape[0]
    tint = np.zeros((*groups.shape, 4))
    for inside in _merged(groups):
        colour = _colour(numbers.setdefault(_anchor(inside), len(numbers)))
        tint[inside] = (*colour, _TINT)
        lines = LineCollection(_outline(inside, width, height), colors=[_darker(colour)], linewidths=0.5)
        lines.set_path_effects([effects.Stroke(linewidth=0.9, foreground="white", alpha=0.6), effects.Normal()])
        axes.add_collection(lines)
    axes.imshow(tint, extent=(0, picture.shape[1], picture.shape[0], 0), interpolation="nearest")


def _merged(groups: npt.NDArray[np.int64]) -> list[npt.NDArray[np.bool_]]:
    """Find the patches of every token that has more than one."""
    return [groups == token for token in np.flatnonzero(np.bincount(groups.reshape(-1)) > 1)]


def _anchor(inside: npt.NDArray[np.bool_]) -> int:
    """Find the patch of B that the others joined: the one in an odd place."""
    members = np.flatnonzero(inside)
    return int(members[np.argmax(members % 2)])


def _outline(
    inside: npt.NDArray[np.bool_], width: float, height: float
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Edges between patches inside and outside, in pixels."""
    framed = np.pad(inside, 1)
    upright = [(x * width, y * height) for y, x in np.argwhere(framed[1:-1, 1:] != framed[1:-1, :-1])]
    level = [(x * width, y * height) for y, x in np.argwhere(framed[1:, 1:-1] != framed[:-1, 1:-1])]
    return [((x, y), (x, y + height)) for x, y in upright] + [((x, y), (x + width, y)) for x, y in level]


def _colour(number: int) -> tuple[float, float, float]:
    return hls_to_rgb(number * _GOLDEN % 1, 0.5, 0.9)


def _darker(colour: tuple[float, float, float]) -> tuple[float, ...]:
    return tuple(0.6 * channel for channel in colour)


def _counts(groups: npt.NDArray[np.int64]) -> tuple[int, list[int], int]:
    """Count patches, tokens left of them in each image, and the patches of the largest token."""
    left = [len(np.unique(image)) for image in groups]
    largest = max(int(np.bincount(image.reshape(-1)).max()) for image in groups)
    return groups[0].size, left, largest


def _description(maps: Mapping[str, npt.NDArray[np.int64]]) -> str:
    lines = []
    for label, groups in maps.items():
        patches, left, largest = _counts(groups)
        shown = str(left[0]) if len(set(left)) == 1 else f"{min(left)} to {max(left)}"
        lines.append(f"{label}: {patches} patches become {shown} tokens, of which the largest holds {largest} patches.")
    return " ".join(lines)


def _caption(pictures: npt.NDArray[np.float64], maps: Mapping[str, npt.NDArray[np.int64]]) -> str:
    count = "One image; the top row shows it" if len(pictures) == 1 else f"{len(pictures)} images, in the top row"
    return (
        f"Token maps. {count}. Below, patches that were merged into one token share "
        f"a colour and an outline, patches that kept a token to themselves are pale. {_description(maps)}"
    )
