"""Probes the mask updates of a cohort while it trains, and remembers how its masks changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import torch

from recorders.measure.mask_updates import MaskUpdate
from recorders.methods.masks import Masks
from recorders.probe.mask_probe import MaskProbe
from recorders.probe.snapshot import Snapshot, Values
from recorders.training.cohort import Cohort

Rows = npt.NDArray[np.float64]


class CohortProbe:
    """Measures the burden of a cohort's mask updates.

    Parameters
    ----------
    probe : MaskProbe
        Of the cohort's architecture.
    cohort : Cohort
        The networks.
    pruned : iterable of int
        Positions of the runs whose masks change; of the others only the survivors' load is measured.
    every : int
        Probe every so many updates of a run.
    """

    def __init__(self, probe: MaskProbe, cohort: Cohort, pruned: Iterable[int], every: int) -> None:
        self._probe, self._cohort, self._every = probe, cohort, every
        self._histories = {run: MaskHistory(cohort.run_masks(run)) for run in pruned}
        self._places: dict[int, list[int]] = {run: [] for run in range(cohort.runs)}
        self._updates = 0
        self._unrelaxed: list[tuple[MaskUpdate, dict[int, tuple[Masks, Masks]]]] = []

    def look(self, update: MaskUpdate, *, recorded: bool) -> None:
        """Measure an update that was just made; it stays open until it is relaxed.

        Parameters
        ----------
        update : MaskUpdate
            Where the values go.
        recorded : bool
            Whether the step before it was recorded: then the updates since the record before are relaxed here.
        """
        acting = np.flatnonzero(update.present).tolist()
        due = [run for run in acting if len(self._places[run]) % self._every == 0]
        for run in acting:
            self._places[run].append(self._updates)
        self._updates += 1
        histories = {run: self._histories[run] for run in acting if run in self._histories}
        changes = {run: history.advance(self._cohort.run_masks(run)) for run, history in histories.items()}
        snapshots = self._snapshots()
        found: dict[int, Values] = {}
        for run in due:
            if run in changes:
                found[run] = snapshots[run].look(*changes[run])
            else:
                found[run] = snapshots[run].load(self._cohort.run_masks(run))
        update.values |= self._stacked(found)
        if recorded:
            self._relax(snapshots)
        if looked_at := {run: changes[run] for run in due if run in changes}:
            update.closed = False
            self._unrelaxed.append((update, looked_at))

    def relax(self) -> None:
        """Measure the updates since the last record again, with the weights of now."""
        self._relax(self._snapshots())

    def _relax(self, snapshots: Mapping[int, Snapshot]) -> None:
        for update, changes in self._unrelaxed:
            update.values |= self._stacked({run: snapshots[run].relax(*masks) for run, masks in changes.items()})
            update.closed = True
        self._unrelaxed = []

    def _snapshots(self) -> dict[int, Snapshot]:
        return {run: self._probe.at(self._cohort.run_dense(run)) for run in range(self._cohort.runs)}

    def overlaps(self) -> dict[int, Rows]:
        """Jaccard index of the mask after each update and the final mask, by run; NaN at other runs' updates."""
        found = {}
        for run, history in self._histories.items():
            found[run] = np.full(self._updates, np.nan)
            found[run][self._places[run]] = history.overlaps()
        return found

    def _stacked(self, found: dict[int, Values]) -> dict[str, Rows]:
        """Give every value a leading run axis, NaN for runs that do not have it."""
        likes = {name: value for values in found.values() for name, value in values.items()}
        stacked = {name: np.full((self._cohort.runs, *like.shape), np.nan) for name, like in likes.items()}
        for run, values in found.items():
            for name, value in values.items():
                stacked[name][run] = value.cpu().numpy()
        return stacked


class MaskHistory:
    """The changes of a mask, kept as the places that changed: all masks of a training would not fit in memory.

    Parameters
    ----------
    masks : mapping of str to Tensor of bool
        Before the first update.
    """

    def __init__(self, masks: Masks) -> None:
        self._current = masks
        self._changed: list[npt.NDArray[np.int64]] = []

    def advance(self, masks: Masks) -> tuple[Masks, Masks]:
        """Take the next masks; returns the masks before and after the update."""
        before, self._current = self._current, masks
        changed = torch.cat([(masks[name] ^ before[name]).reshape(-1) for name in masks])
        self._changed.append(changed.nonzero().squeeze(1).cpu().numpy())
        return before, masks

    def overlaps(self) -> npt.NDArray[np.float64]:
        """Jaccard index |m ∧ final| / |m ∨ final| of the mask after each update; 1 at the last, shape (update,)."""
        final = torch.cat([mask.reshape(-1) for mask in self._current.values()]).cpu().numpy()
        mask, kept = final.copy(), int(final.sum())
        common, size = kept, kept
        found = np.empty(len(self._changed))
        for update in range(len(self._changed) - 1, -1, -1):
            union = size + kept - common
            found[update] = common / union if union else 1.0
            places = self._changed[update]
            mask[places] ^= True
            came_back = mask[places]  # going backwards, what the update pruned is there again
            size += int(came_back.sum()) - int((~came_back).sum())
            common += int((came_back & final[places]).sum()) - int((~came_back & final[places]).sum())
        return found
