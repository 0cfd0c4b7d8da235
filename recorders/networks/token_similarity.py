"""How alike two tokens are: the metrics of token merging, from (batch, A, dim) and (batch, B, dim) to (batch, A, B)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import normalize

Metric = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Dot product of token vectors; longer vectors count as more alike."""
    return a @ b.transpose(-1, -2)


def cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Cosine of the angle between token vectors, as in Bolya et al. 2023; 0 for a token of zeros."""
    return dot(normalize(a, dim=-1), normalize(b, dim=-1))


def mutual_information(a: torch.Tensor, b: torch.Tensor, bins: int = 8) -> torch.Tensor:
    """Mutual information of token vectors, with their coordinates as samples.

    The plug-in estimate from a two-dimensional histogram (Steuer et al. 2002, "The mutual information: detecting and
    evaluating dependencies between variables", Bioinformatics 18), bins of equal width between a token's smallest and
    largest coordinate. It does not see the sign, the scale or the offset of a token, and a token of equal coordinates
    shares no information with any.

    Parameters
    ----------
    a, b : Tensor, shapes (batch, A, dim) and (batch, B, dim)
        Tokens.
    bins : int
        Bins per token; takes bins² times the arithmetic of `dot`.

    Returns
    -------
    Tensor, shape (batch, A, B)
        In nats.
    """
    in_a, in_b = _membership(a, bins), _membership(b, bins)
    columns = in_b.flatten(1, 2).transpose(-1, -2)  # (batch, dim, bins * B)
    # One row of bins at a time: all joint histograms at once would not fit in memory.
    joint = sum(
        _entropy_terms(in_a[:, k] @ columns / a.shape[-1]).unflatten(-1, (bins, -1)).sum(2) for k in range(bins)
    )
    information: torch.Tensor = joint - _marginal(in_a).unsqueeze(2) - _marginal(in_b).unsqueeze(1)
    return information


METRICS: dict[str, Metric] = {"dot": dot, "cosine": cosine, "mutual_information": mutual_information}


def _membership(tokens: torch.Tensor, bins: int) -> torch.Tensor:
    """Which coordinates of each token lie in each bin: 0 or 1, shape (batch, bins, tokens, dim)."""
    low, high = tokens.amin(-1, keepdim=True), tokens.amax(-1, keepdim=True)
    width = torch.where(high > low, high - low, torch.ones_like(low))
    place = ((tokens - low) / width * bins).floor().clamp(max=bins - 1)  # the largest belongs to the last bin
    return torch.stack([place == k for k in range(bins)], dim=1).to(tokens.dtype)


def _marginal(membership: torch.Tensor) -> torch.Tensor:
    """Sum of p log p over the bins of each token, shape (batch, tokens)."""
    return _entropy_terms(membership.mean(-1)).sum(1)


def _entropy_terms(share: torch.Tensor) -> torch.Tensor:
    return torch.where(share > 0, share * share.log(), torch.zeros_like(share))
