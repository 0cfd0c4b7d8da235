"""What the names of recorded tensors tell: which layer owns one, and which only rescale another."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_PARAMETRIZED = re.compile(r"(?:^|\.)parametrizations\.(?P<attribute>[^.]+)\.original\d*$")
# weight_norm's magnitude and direction: as a parametrization, and as the older hook registered them.
_MAGNITUDES = (
    (re.compile(r"(.*\.)?parametrizations\.[^.]+\.original0$"), "original0", "original1"),
    (re.compile(r".+_g$"), "_g", "_v"),
)


def owning_layer(parameter: str) -> str:
    """Name the layer that a parameter belongs to: ``blocks.0.fc.weight`` → ``blocks.0.fc``, parametrized or not."""
    found = _PARAMETRIZED.search(parameter)
    return parameter[: found.start()] if found else parameter.rpartition(".")[0]


def magnitudes(sizes: Mapping[str, int]) -> list[str]:
    """Name the tensors that only rescale another recorded one, as `weight_norm` has them: no weights of the network.

    Parameters
    ----------
    sizes : mapping of str to int
        Number of values of every recorded tensor.
    """
    return [name for name, size in sizes.items() if (other := _direction(name, list(sizes))) and size < sizes[other]]


def _direction(name: str, names: Sequence[str]) -> str | None:
    for pattern, ending, other in _MAGNITUDES:
        direction = name.removesuffix(ending) + other
        if pattern.fullmatch(name) and direction in names:
            return direction
    return None
