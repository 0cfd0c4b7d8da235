"""Rows of numbers that wait on the device until they are copied out, without stopping the training loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Fetch = Callable[[], npt.NDArray[np.float64]]


class RowBuffer:
    """Two alternating buffers on the device: one fills while the other is copied to the host.

    Parameters
    ----------
    capacity : int
        Rows per buffer.
    shape : tuple of int
        Shape of one row.
    device : torch.device
        Where rows are made.
    """

    def __init__(self, capacity: int, shape: tuple[int, ...], device: torch.device) -> None:
        self._buffers = [torch.empty((capacity, *shape), dtype=torch.float64, device=device) for _ in range(2)]
        self._copied: list[Any] = [None, None]
        self._side = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._current = 0
        self.rows = 0

    def push(self, row: torch.Tensor) -> None:
        """Add a row; the caller takes the buffer before it overflows."""
        self._buffers[self._current][self.rows].copy_(row)
        self.rows += 1

    def take(self) -> Fetch:
        """Hand over the filled rows and switch buffers.

        Returns
        -------
        callable
            Waits for the copy and returns the rows, float64, shape (row, ...); may be called on another thread.
        """
        filled = self._buffers[self._current][: self.rows]
        fetch = self._copy(filled) if self._side is None else self._copy_aside(filled, self._side)
        self._current, self.rows = 1 - self._current, 0
        if self._copied[self._current] is not None:
            torch.cuda.current_stream().wait_event(self._copied[self._current])
        return fetch

    @staticmethod
    def _copy(filled: torch.Tensor) -> Fetch:
        host: npt.NDArray[np.float64] = filled.cpu().numpy().copy()
        return lambda: host

    def _copy_aside(self, filled: torch.Tensor, side: torch.cuda.Stream) -> Fetch:
        host = torch.empty(filled.shape, dtype=filled.dtype, pin_memory=True)
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            host.copy_(filled, non_blocking=True)
            event = side.record_event()
        self._copied[self._current] = event

        def fetch() -> npt.NDArray[np.float64]:
            event.synchronize()
            array: npt.NDArray[np.float64] = host.numpy()
            return array

        return fetch
