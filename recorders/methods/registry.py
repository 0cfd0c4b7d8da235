"""The names of strategies, and what makes each way to prune while training. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recorders.methods.method import Method, Training

STATIC = ("optimal", "random", "dense")  # whose masks do not change
# A function from `Training` to `Method`, or where it is defined, as MODULE:FUNCTION. The only list of them.
METHODS: dict[str, str | Callable[[Training], Method]] = {
    "iterative": "recorders.methods.dpf:iterative",
    "gmp": "recorders.methods.gmp:gmp",
    "set": "recorders.methods.set:sparse_evolutionary",
    "rigl": "recorders.methods.rigl:rigl",
    "gumbel": "recorders.methods.gumbel:gumbel",
}


def make_method(name: str, training: Training) -> Method:
    """Build the method of a run that prunes while it trains; `name` is one of `METHODS`."""
    make = METHODS[name]
    if isinstance(make, str):
        module, _, function = make.partition(":")
        make = getattr(import_module(module), function)
    return make(training)
