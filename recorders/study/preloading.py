"""Imported once, in the process that workers are forked from: what each of them would load anew."""

from __future__ import annotations

import warnings

import recorders.study.worker  # noqa: F401
from recorders.measure.fused_sums import kernel

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the parent says it, when it writes the provenance
    kernel()
