"""The names of strategies, and what makes each way to prune while training. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recorders.methods import Method, Training

STATIC = ("optimal", "random", "dense")  # whose masks do not change
# A function from `Training` to `Method`, or where it is defined, as MODULE:FUNCTION. The only list of them.
METHODS: dict[str, str | Callable[[Training], Method]] = {
    "iterative": "recorders.methods.dpf:iterative",
    "gmp": "recorders.methods.gmp:gmp",
    "set": "recorders.methods.set:sparse_evolutionary",
    "rigl": "recorders.methods.rigl:rigl",
    "gumbel": "recorders.methods.gumbel:gumbel",
}
