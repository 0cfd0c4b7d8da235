"""The variables of a recording, as a table: name, dimensions, units and what each one means.

A recording is a plain xarray Dataset (`xarray.open_zarr(store, group=name)`) with the dimensions

``run``        one training run (coordinates ``run_id``, ``strategy``, ``sparsity``, ``seed`` and any other setting)
``record``     one moment at which indicators were written (coordinates ``step``: optimiser steps done, ``epoch``)
``parameter``  one prunable tensor (coordinates ``parameter``: qualified name, ``parameter_layer``, ``parameter_size``)
``layer``      one hidden layer (coordinate ``layer``: its qualified name)
``update``     one mask update (for runs whose mask never changes: one look of the probe)
``target``     what outputs are compared with (``labels``: one-hot; ``dense``: the network with all weights)
``order``      whether an update prunes first, lets weights return first, or the mean of both
``quantile``   quantile over the hidden units of a layer

Values that were not reached are NaN; ``records_written[run]`` and ``updates_written[run]`` say how many records and
mask updates of a run are committed. They are written last: what lies before them is whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from recorders.contract.terms import LOADS, PARTS, TERMS

SCHEMA_VERSION = 2  # 1 knew no `interrupted`


class Status(StrEnum):
    """The state of one run."""

    PLANNED = "planned"
    RUNNING = "running"
    COMPLETE = "complete"
    DIVERGED = "diverged"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def finished(self) -> bool:
        """Whether the run reached its last step: a diverged one did; a failed or interrupted one did not."""
        return self in (Status.COMPLETE, Status.DIVERGED)


@dataclass(frozen=True)
class Variable:
    """One data variable of a recording.

    Attributes
    ----------
    name : str
        Name in the store.
    dims : tuple of str
        Dimensions, in storage order.
    long_name : str
        What it is, in words; figures print it on their axes.
    units : str
        Units; ``"1"`` for dimensionless.
    documentation : str
        The page of the documentation that explains it.
    dtype : str
        NumPy dtype. Counts are float64: float32 is exact only up to 2**24, and NaN marks what was not reached.
    combine : {"", "norm", "sum", "mean"}
        How the tensors of a network become one number, where the store has to say it: indicators off until asked.
    """

    name: str
    dims: tuple[str, ...]
    long_name: str
    units: str = "1"
    documentation: str = "docs/store.md"
    dtype: str = "float32"
    combine: str = ""


def mean_name(name: str) -> str:
    """Name of the interval mean of a variable: ``gradient_norm`` → ``gradient_norm_mean``."""
    return f"{name}_mean"


def base_name(name: str) -> str:
    """Name of a variable without the interval-mean suffix: ``gradient_norm_mean`` → ``gradient_norm``.

    ``gradient_mean_abs`` ends in ``_mean_abs``, not ``_mean``, and stays as it is.
    """
    return name.removesuffix("_mean")


_PARAMETER = ("run", "record", "parameter")
_RECORD = ("run", "record")
_UPDATE = ("run", "update", "parameter")
_TARGET = ("run", "update", "target")
_ORDER = ("run", "update", "order")
_LOAD = ("run", "update", "layer", "quantile")


def _burden(name: str, dims: tuple[str, ...], long_name: str, units: str = "1") -> Variable:
    return Variable(name, dims, long_name, units, documentation="docs/burden.md", dtype="float64")


# The decomposition of every mask update on a held-out batch. Squared norms: sums over outputs, means over samples.
PROBED: tuple[Variable, ...] = (
    *(_burden(name, _TARGET, text) for name, text in TERMS.items()),
    *(
        _burden(f"relaxed_{name}", _TARGET, f"{text}, with the weights of the next record")
        for name, text in TERMS.items()
    ),
    *(_burden(name, _ORDER, text) for name, text in PARTS.items()),
    *(
        _burden(f"layer_{name}", _UPDATE, f"{text}; pre-activations at the old network's inputs, target: all weights")
        for name, text in (TERMS | PARTS).items()
    ),
    _burden("overlap", ("run", "update"), "Jaccard index of the mask and the final mask"),
    *(_burden(name, _LOAD, text, units) for name, (text, units) in LOADS.items()),
    _burden("dead_units", ("run", "update", "layer"), "hidden units whose output is 0 on the whole batch", "units"),
)

# The indicators measured at every step, in the order the training loop computes them. Each is stored twice.
MEASURED = (
    Variable("gradient_norm", _PARAMETER, "L2 norm of the gradient at active weights"),
    Variable("dense_gradient_norm", _PARAMETER, "L2 norm of the gradient at all weights, active or not"),
    Variable("gradient_mean_abs", _PARAMETER, "mean absolute gradient per active weight"),
    Variable("weight_norm", _PARAMETER, "L2 norm of the active weights"),
    Variable("weight_mean_abs", _PARAMETER, "mean absolute active weight"),
)

# Off until asked.
COMBINATIONS = ("norm", "sum", "mean")
UPDATE_NORM = Variable("update_norm", _PARAMETER, "L2 norm of the step's change of the active weights", combine="norm")


def interval_mean(measured: Variable) -> Variable:
    """Give the variable that holds the interval mean of one that is measured at every step."""
    words = f"{measured.long_name}, mean over the steps since the previous record"
    return replace(measured, name=mean_name(measured.name), long_name=words)


SERIES: tuple[Variable, ...] = (
    *MEASURED,
    *map(interval_mean, MEASURED),
    Variable("active_weights", _PARAMETER, "active weights", "weights", dtype="float64"),
    Variable(
        "activation_rms", ("run", "record", "layer"), "root mean square of the layer's output over batch and units"
    ),
    Variable("loss", _RECORD, "training loss of the batch"),
    Variable("accuracy", _RECORD, "held-out accuracy after the record's step (NaN where not evaluated)"),
    Variable("learning_rate", _RECORD, "learning rate of the step"),
    Variable("target_sparsity", _RECORD, "sparsity asked for by the schedule", documentation="docs/methods.md"),
    Variable(
        "actual_sparsity",
        _RECORD,
        "share of prunable weights that are masked",
        documentation="docs/methods.md",
        dtype="float64",
    ),
    Variable("interval_steps", _RECORD, "steps since the previous record", "steps", dtype="float64"),
    Variable("sampled_steps", _RECORD, "steps measured for the interval means", "steps", dtype="float64"),
    Variable(
        "update_step",
        ("run", "update"),
        "steps done at the mask update",
        "steps",
        documentation="docs/methods.md",
        dtype="float64",
    ),
    Variable(
        "regrown",
        _UPDATE,
        "weights that came back at the mask update",
        "weights",
        documentation="docs/methods.md",
        dtype="float64",
    ),
    Variable(
        "pruned",
        _UPDATE,
        "weights that were masked at the mask update",
        "weights",
        documentation="docs/methods.md",
        dtype="float64",
    ),
)

_BY_NAME = {v.name: v for v in (*SERIES, UPDATE_NORM, interval_mean(UPDATE_NORM), *PROBED)}


def variable(name: str) -> Variable | None:
    """Look a variable up by its name in the store; None when it is not part of the contract (a user's own scalar)."""
    return _BY_NAME.get(name)
