"""Mask updates on their way into a recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from recorders.store.writer import Columns


@dataclass
class MaskUpdate:
    """A mask update that waits to be written.

    Attributes
    ----------
    step : int
        Steps done.
    present : array of bool, shape (run,)
        Which runs it is of.
    counts : Tensor, shape (2, run, parameter)
        Weights that came back and weights that were masked, NaN for runs whose mask does not change.
    values : dict of str to array, shape (run, ...)
        What the probe measured; may be added to until the update is `closed`.
    closed : bool
        Whether it can be written.
    """

    step: int
    present: npt.NDArray[np.bool_]
    counts: torch.Tensor
    values: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    closed: bool = True


def update_columns(counts: npt.NDArray[np.float64], updates: Sequence[MaskUpdate]) -> Columns:
    """Put mask updates in columns of shape (run, update, ...); what an update lacks is NaN."""
    present = np.stack([u.present for u in updates], axis=1)
    steps = np.where(present, [u.step for u in updates], np.nan)
    columns = {"regrown": counts[0], "pruned": counts[1], "update_step": steps}
    for name, like in {name: v for u in updates for name, v in u.values.items()}.items():
        columns[name] = np.stack([u.values.get(name, np.full_like(like, np.nan)) for u in updates], axis=1)
    return columns


def one_run(values: Mapping[str, torch.Tensor]) -> dict[str, npt.NDArray[np.float64]]:
    """Give what was measured of a single run its run axis."""
    return {name: value.cpu().numpy()[None] for name, value in values.items()}
