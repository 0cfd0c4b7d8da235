"""Sums over many tensors in a few torch calls, however many they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

import torch

from recorders.measure.device_buffer import wide

Tensors = Sequence[torch.Tensor]
Shape = tuple[int, ...]
_ROW = 256  # float32 adds so many values without losing more than its last bit; then float64 goes on
_BATCH = {"cpu": 2**18}  # values that stay in a core's cache
_BATCH_ELSEWHERE = 2**24


@dataclass(frozen=True)
class _Piece:
    """A part of a tensor: of every run, flattened, the values from `start` on; whole ones need no flattening."""

    position: int
    start: int
    size: int
    whole: bool


class PackedSums:
    """Adds up moduli and squares of tensors, of all values and of active ones.

    The tensors are copied, a batch at a time, into rows of 256 values: so the number of torch calls depends on how many
    values there are, not on how many tensors; no temporary is larger than the batch, and float32 adds in short chains.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Of all tensors.
    masks : sequence of Tensor of bool, or None
        Active places; None where all are.
    positions : sequence of int
        Which of the tensors are added up.
    runs : int
        Runs of a stack, else 1.
    stacked : bool
        Whether tensors have a leading run axis.
    dtype, device
        Of the rows.
    """

    def __init__(
        self,
        shapes: Sequence[Shape],
        masks: Sequence[torch.Tensor | None],
        positions: Sequence[int],
        runs: int,
        *,
        stacked: bool,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._parameters, self._runs, self._device = len(shapes), runs, device
        limit = max(1, _BATCH.get(device.type, _BATCH_ELSEWHERE) // runs)
        batches: list[list[_Piece]] = []
        for some in ([i for i in positions if masks[i] is None], [i for i in positions if masks[i] is not None]):
            batches += _batches({i: prod(shapes[i][stacked:]) for i in some}, limit)
        rows = max((runs * sum(ceil(p.size / _ROW) for p in batch) for batch in batches), default=0)
        buffer = torch.zeros((rows + 1, _ROW), dtype=dtype, device=device)
        self._batches = [_Batch(batch, buffer, shapes, masks, runs, stacked=stacked) for batch in batches]

    def add(self, gradients: Tensors, weights: Tensors) -> torch.Tensor:
        """Add up gradients and weights.

        Parameters
        ----------
        gradients, weights : sequence of Tensor
            All tensors, those at other positions are not looked at; real.

        Returns
        -------
        Tensor of float64, shape (5, run, parameter)
            √Σ|g|² at active places and everywhere, Σ|g| at active places, √Σ|w|² and Σ|w| at active places; 0 at other
            positions.
        """
        totals = torch.zeros((5, self._runs * self._parameters), dtype=wide(self._device), device=self._device)
        for batch in self._batches:
            rows = batch.moduli(gradients)
            active = batch.active(rows)
            squares = _squares(active)
            totals[0].index_add_(0, batch.active_owners, squares)
            totals[1].index_add_(0, batch.owners, squares if active is rows else _squares(rows))
            totals[2].index_add_(0, batch.active_owners, _sums(active))
            active = batch.active(batch.moduli(weights))
            totals[3].index_add_(0, batch.active_owners, _squares(active))
            totals[4].index_add_(0, batch.active_owners, _sums(active))
        totals[:2].sqrt_()
        totals[3].sqrt_()
        return totals.view(5, self._runs, self._parameters)


class _Batch:
    """Tensors, or pieces of them, that are in the buffer at once."""

    def __init__(
        self,
        pieces: Sequence[_Piece],
        buffer: torch.Tensor,
        shapes: Sequence[Shape],
        masks: Sequence[torch.Tensor | None],
        runs: int,
        *,
        stacked: bool,
    ) -> None:
        self._pieces, self._runs, self._stacked = pieces, runs, stacked
        self._rows = buffer[: runs * sum(ceil(p.size / _ROW) for p in pieces)]
        self._views = self._laid_out(self._rows, shapes)
        owners = [run * len(shapes) + p.position for p in pieces for run in range(runs) for _ in range(_rows_of(p))]
        self.owners = torch.tensor(owners, device=buffer.device)
        self.active_owners = self.owners
        self._places: torch.Tensor | None = None
        self._mask: torch.Tensor | None = None
        self._all = buffer[: len(self._rows) + 1].view(-1)
        self._alone = runs == len(pieces) == 1
        if masks[pieces[0].position] is None:
            return
        packed = torch.zeros(self._rows.shape, dtype=torch.bool, device=buffer.device)
        torch._foreach_copy_(self._laid_out(packed, shapes), self._sources(masks))
        if buffer.device.type == "cpu":
            self._places, self.active_owners = _active_rows(packed, self.owners)
        else:  # counting places would wait for the device
            self._mask = packed

    def moduli(self, tensors: Tensors) -> torch.Tensor:
        """Copy the tensors' moduli into rows of the buffer, and 0 where a row has no value; shape (row, 256)."""
        if self._alone:
            (source,), (view,) = self._sources(tensors), self._views
            if source.dtype is view.dtype:
                torch.abs(source, out=view)
            else:
                view.copy_(source).abs_()
            self._all[self._pieces[0].size :].zero_()
            return self._rows
        self._all.zero_()
        torch._foreach_copy_(self._views, self._sources(tensors))
        return self._rows.abs_()

    def active(self, rows: torch.Tensor) -> torch.Tensor:
        """Take the active values of rows, in rows that `active_owners` belongs to."""
        if self._places is not None:
            return self._all.index_select(0, self._places).view(-1, _ROW)
        return rows if self._mask is None else torch.where(self._mask, rows, 0)

    def _sources(self, tensors: Sequence[torch.Tensor | None]) -> list[torch.Tensor]:
        return [self._source(tensor, p) for p in self._pieces if (tensor := tensors[p.position]) is not None]

    def _source(self, tensor: torch.Tensor, piece: _Piece) -> torch.Tensor:
        if piece.whole:
            return tensor
        return tensor.reshape(self._runs, -1)[:, piece.start : piece.start + piece.size]

    def _laid_out(self, rows: torch.Tensor, shapes: Sequence[Shape]) -> list[torch.Tensor]:
        """Show the place of every piece in the rows, in the shape that its source has."""
        views, begin = [], 0
        for piece in self._pieces:
            end = begin + self._runs * _rows_of(piece)
            part = rows[begin:end].view(self._runs, -1)[:, : piece.size]
            if piece.whole:
                part = part.view(shapes[piece.position]) if self._stacked else part[0].view(shapes[piece.position])
            views.append(part)
            begin = end
        return views


def _rows_of(piece: _Piece) -> int:
    return ceil(piece.size / _ROW)


def _batches(sizes: dict[int, int], limit: int) -> list[list[_Piece]]:
    """Cut tensors that are larger than the limit, and put small ones together up to it."""
    batches: list[list[_Piece]] = []
    room = 0
    for position, size in sizes.items():
        for start in range(0, size, limit):
            piece = _Piece(position, start, min(limit, size - start), whole=size <= limit)
            if piece.size > room:
                batches.append([])
                room = limit
            batches[-1].append(piece)
            room -= piece.size
    return batches


def _active_rows(packed: torch.Tensor, owners: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Collect the active places of every owner, filled up to whole rows with the place after all: a zero."""
    places = packed.view(-1).nonzero().squeeze(1)
    of = owners.repeat_interleave(_ROW)[places]
    kinds, counts = of.unique_consecutive(return_counts=True)
    rows = (counts + _ROW - 1) // _ROW
    starts = (rows.cumsum(0) - rows) * _ROW
    within = torch.arange(len(places)) - (counts.cumsum(0) - counts).repeat_interleave(counts)
    filled = torch.full((int(rows.sum()) * _ROW,), packed.numel(), dtype=torch.int32)
    filled[starts.repeat_interleave(counts) + within] = places.to(torch.int32)
    return filled, kinds.repeat_interleave(rows)


def _squares(rows: torch.Tensor) -> torch.Tensor:
    norms: torch.Tensor = torch.linalg.vector_norm(rows, dim=1)
    return norms.to(wide(rows.device)).square_()


def _sums(rows: torch.Tensor) -> torch.Tensor:
    return rows.sum(1).to(wide(rows.device))
