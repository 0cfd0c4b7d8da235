"""Rows of numbers that wait on the device until they are copied out, without stopping the training loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Fetch = Callable[[], npt.NDArray[np.float64]]


def wide(device: torch.device) -> torch.dtype:
    """Return the widest float of a device: float64, float32 where there is none (MPS)."""
    return torch.float32 if device.type == "mps" else torch.float64


class HostCopier:
    """Copies tensors to the host; from a GPU on a stream of its own, so that training goes on meanwhile.

    Parameters
    ----------
    device : torch.device
        Where the tensors are.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._side = torch.cuda.Stream(device) if device.type == "cuda" else None

    def start(self, tensor: torch.Tensor) -> tuple[Fetch, Any]:
        """Start a copy, ordered after what the caller's stream did so far.

        Parameters
        ----------
        tensor : Tensor
            Must not be written before the event has passed.

        Returns
        -------
        fetch : callable
            Waits for the copy and returns it as float64; may be called on another thread.
        event : torch.cuda.Event or None
            Passes when the copy is done; None when it is done already.
        """
        if self._side is None:
            copy: npt.NDArray[np.float64] = tensor.cpu().double().numpy().copy()
            return (lambda: copy), None
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        self._side.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._side):
            host.copy_(tensor, non_blocking=True)
            tensor.record_stream(self._side)  # its memory is not given away before the copy is done
            event = self._side.record_event()

        def fetch() -> npt.NDArray[np.float64]:
            event.synchronize()
            array: npt.NDArray[np.float64] = host.double().numpy()
            return array

        return fetch, event


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
    copier : HostCopier
        Copies the rows out.
    """

    def __init__(self, capacity: int, shape: tuple[int, ...], device: torch.device, copier: HostCopier) -> None:
        self._buffers = [torch.empty((capacity, *shape), dtype=wide(device), device=device) for _ in range(2)]
        self._copied: list[Any] = [None, None]
        self._copier, self._device = copier, device
        self._current = 0
        self.rows = 0

    def push(self, row: torch.Tensor) -> None:
        """Add a row; the caller takes the buffer before it overflows."""
        self._buffers[self._current][self.rows].copy_(row)
        self.rows += 1

    def take(self) -> Fetch:
        """Hand over the filled rows, shape (row, ...), and switch buffers."""
        fetch, self._copied[self._current] = self._copier.start(self._buffers[self._current][: self.rows])
        self._current, self.rows = 1 - self._current, 0
        if self._copied[self._current] is not None:
            torch.cuda.current_stream(self._device).wait_event(self._copied[self._current])
        return fetch
