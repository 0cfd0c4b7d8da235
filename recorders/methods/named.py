"""Pruning methods by name, with the defaults of their literature."""

from __future__ import annotations

from collections.abc import Callable

from recorders.methods.dpf import DPF
from recorders.methods.gmp import GMP
from recorders.methods.gumbel import GumbelMasks
from recorders.methods.method import Method, Training
from recorders.methods.rigl import RigL
from recorders.methods.set import SET
from recorders.schedule import CubicSchedule

DPF_INTERVAL = 16  # Lin et al. 2020
_GMP_INTERVAL = 100  # Zhu & Gupta 2017 use 100 to 1 000
_RIGL_INTERVAL = 100  # Evci et al. 2020
_RIGL_END = 0.75  # of training; Evci et al. 2020


def _cubic(training: Training, interval: int) -> CubicSchedule:
    end = max(1, round(training.end * training.total))
    return CubicSchedule(training.initial_sparsity, training.sparsity, 0, end, training.interval or interval)


def _iterative(training: Training) -> Method:
    return DPF(_cubic(training, DPF_INTERVAL))


def _gmp(training: Training) -> Method:
    return GMP(_cubic(training, _GMP_INTERVAL), training.shapes)


def _set(training: Training) -> Method:
    interval = training.interval or training.per_epoch
    last = training.total - training.per_epoch
    return SET(training.shapes, training.spreads, training.sparsity, interval, last, training.seed)


def _rigl(training: Training) -> Method:
    interval, end = training.interval or _RIGL_INTERVAL, max(1, round(_RIGL_END * training.total))
    return RigL(training.shapes, training.sparsity, interval, end, training.seed)


def _gumbel(training: Training) -> Method:
    return GumbelMasks(_cubic(training, DPF_INTERVAL), training.seed)


METHODS: dict[str, Callable[[Training], Method]] = {
    "iterative": _iterative,
    "gmp": _gmp,
    "set": _set,
    "rigl": _rigl,
    "gumbel": _gumbel,
}


def make_method(name: str, training: Training) -> Method:
    """Build the method of a run that prunes while it trains; `name` is one of `METHODS`."""
    return METHODS[name](training)
