"""Makes pruning methods by name."""

from __future__ import annotations

from importlib import import_module

from recorders.methods.method import Method, Training
from recorders.strategies import METHODS


def make_method(name: str, training: Training) -> Method:
    """Build the method of a run that prunes while it trains; `name` is one of `METHODS`."""
    make = METHODS[name]
    if isinstance(make, str):
        module, _, function = make.partition(":")
        make = getattr(import_module(module), function)
    return make(training)
