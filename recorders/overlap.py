"""How near the masks of a training were to the one it ended with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from recorders.mask import Masks


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
