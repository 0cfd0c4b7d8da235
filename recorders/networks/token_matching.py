"""Single-pass token merging by bipartite soft matching (docs/token-merging.md; after Bolya et al. 2023, "ToMe")."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import torch

from recorders.contract import InputError, unknown_name
from recorders.networks.token_similarity import METRICS, Metric

RANDOM = "random"


class Merged(NamedTuple):
    """What a pass leaves.

    Attributes
    ----------
    tokens : Tensor, shape (batch, tokens − merges, dim)
        Tokens held out, unmerged tokens of A, then B; all in the order they came in.
    sizes : Tensor, shape (batch, tokens − merges)
        How many source tokens each one stands for.
    source : Tensor of int64, shape (batch, tokens)
        Which of them each source token went to.
    """

    tokens: torch.Tensor
    sizes: torch.Tensor
    source: torch.Tensor


def bipartite_soft_matching(
    tokens: torch.Tensor,
    merges: int,
    *,
    held_out: int = 0,
    metric: str | Metric = "dot",
    sizes: torch.Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Merged:
    """Merge the most similar pairs of tokens.

    Tokens alternate between A and B; each token of A finds the most similar one of B; the `merges` most similar pairs
    are merged, to the mean over a token of B and all tokens of A that chose it.

    Parameters
    ----------
    tokens : Tensor, shape (batch, tokens, dim)
        Any sequences of tokens.
    merges : int
        How many tokens to lose; 0 returns `tokens` as they are.
    held_out : int
        Leading tokens that take no part (class token, registers).
    metric : {"dot", "cosine", "mutual_information", "random"} or callable
        Similarity; a callable maps tokens (batch, A, dim) and (batch, B, dim) to (batch, A, B). ``random`` matches
        every token of A with any of B alike: the control for what similarity is worth.
    sizes : Tensor, shape (batch, tokens), optional
        How many source tokens each token stands for after an earlier pass: means are weighted with them.
    generator : torch.Generator, optional
        On the CPU; what ``random`` draws from, so that every device draws the same.

    Returns
    -------
    Merged
        Size-weighted sums of tokens are conserved. Gradients flow through the means, not through the matching.

    Raises
    ------
    InputError
        Not a batch of token sequences; fewer than 0 merges or more than a pass allows; an unknown metric or one that
        returns another shape; sizes of another shape; ``random`` without a generator.
    """
    _check(tokens, merges, held_out, sizes)
    wide = torch.promote_types(tokens.dtype, torch.float32)  # half precision would make ties and lose small tokens
    mass = tokens if sizes is None else tokens * sizes.unsqueeze(2)
    sizes = torch.ones(tokens.shape[:2], dtype=wide, device=tokens.device) if sizes is None else sizes.to(wide)
    if merges == 0:
        return Merged(tokens, sizes, torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape[:2]))
    in_a, in_b = slice(held_out, None, 2), slice(held_out + 1, None, 2)
    with torch.autocast(tokens.device.type, enabled=False):
        vectors = tokens.detach().to(wide)
        similarity, partner = _match(vectors[:, in_a], vectors[:, in_b], metric, generator)
        # Stable: of equally similar pairs the first in the sequence merge, on every device and in every rerun.
        ranked = similarity.argsort(dim=1, descending=True, stable=True)
        merged = torch.zeros_like(partner, dtype=torch.bool).scatter(1, ranked[:, :merges], value=True)
        kept = ranked[:, merges:].sort(dim=1).values

        # joins[j, i]: a_i goes to b_j. A product with it adds in a fixed order; scattered additions on a GPU do not.
        places = torch.arange(tokens[:, in_b].shape[1], device=tokens.device).unsqueeze(1)
        joins = ((partner.unsqueeze(1) == places) & merged.unsqueeze(1)).to(wide)
        grown = sizes[:, in_b] + (joins @ sizes[:, in_a].unsqueeze(2)).squeeze(2)
        means = torch.baddbmm(mass[:, in_b].to(wide), joins, mass[:, in_a].to(wide)) / grown.unsqueeze(2)

    unmerged = tokens[:, in_a].gather(1, kept.unsqueeze(2).expand(-1, -1, tokens.shape[2]))
    return Merged(
        torch.cat([tokens[:, :held_out], unmerged, means.to(tokens.dtype)], dim=1),
        torch.cat([sizes[:, :held_out], sizes[:, in_a].gather(1, kept), grown], dim=1),
        _source_map(partner, merged, kept.shape[1], tokens.shape[1], held_out),
    )


def merge_count(ratio: float, tokens: int) -> int:
    """How many tokens a compression ratio merges: r = ⌊ρ·N/2⌋, the share ρ of A (docs/token-merging.md)."""
    if not 0 <= ratio <= 1:
        raise InputError(
            f"compression ratio {ratio:g} is outside [0, 1]: it is the share of every second token that is merged, "
            "and one pass can halve the tokens at most"
        )
    # The decimal that was written: in binary 0.29 · 200 / 2 falls short of 29.
    return int(Fraction(str(float(ratio))) * tokens / 2)


def size_histogram(sizes: torch.Tensor, bins: int) -> torch.Tensor:
    """Count the tokens of each size.

    Parameters
    ----------
    sizes : Tensor, shape (batch, tokens)
        As in `Merged`.
    bins : int
        The last bin holds this size and all larger ones.

    Returns
    -------
    Tensor of float, shape (bins,)
        Tokens that stand for 1, 2, … source tokens, mean over the batch.
    """
    of_size = sizes.clamp(max=bins).unsqueeze(2) == torch.arange(1, bins + 1, device=sizes.device)
    return of_size.sum(1).to(sizes.dtype).mean(0)


def check_metric(metric: str | Metric) -> None:
    """Refuse a metric by a name that does not exist."""
    if isinstance(metric, str) and metric not in (*METRICS, RANDOM):
        raise unknown_name("metric", metric, [*METRICS, RANDOM, "a function of your own"])


def _match(
    a: torch.Tensor, b: torch.Tensor, metric: str | Metric, generator: torch.Generator | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Find for every token of A its similarity to the best of B, and which one that is; both (batch, A)."""
    check_metric(metric)
    shape = (a.shape[0], a.shape[1])
    if metric == RANDOM:
        if generator is None:
            raise InputError("metric 'random' needs a generator, so that it can be repeated: torch.Generator()")
        partner = torch.randint(b.shape[1], shape, generator=generator)
        return torch.rand(shape, generator=generator).to(a.device), partner.to(a.device)
    scores = (METRICS[metric] if isinstance(metric, str) else metric)(a, b)
    if scores.shape != (*shape, b.shape[1]):
        raise InputError(
            f"the metric returned shape {tuple(scores.shape)} for tokens {tuple(a.shape)} and {tuple(b.shape)}: "
            f"it must return {(*shape, b.shape[1])}"
        )
    best = scores.max(dim=2)  # of equal scores the first
    return best.values, best.indices


def _source_map(partner: torch.Tensor, merged: torch.Tensor, kept: int, tokens: int, held_out: int) -> torch.Tensor:
    """Which output token every source token went to, int64, shape (batch, tokens)."""
    batch, device = partner.shape[0], partner.device
    from_a = torch.where(merged, kept + partner, (~merged).cumsum(1) - 1)
    from_b = kept + torch.arange(tokens - held_out - partner.shape[1], device=device).expand(batch, -1)
    order = torch.arange(tokens - held_out, device=device)
    alternating = torch.where(order % 2 == 0, order // 2, partner.shape[1] + order // 2)
    patches = torch.cat([from_a, from_b], dim=1)[:, alternating] + held_out
    return torch.cat([torch.arange(held_out, device=device).expand(batch, -1), patches], dim=1)


def _check(tokens: torch.Tensor, merges: int, held_out: int, sizes: torch.Tensor | None) -> None:
    if tokens.ndim != 3 or not tokens.is_floating_point():
        raise InputError(
            f"tokens must be floating point of shape (batch, tokens, dim), got {tokens.dtype} {tuple(tokens.shape)}"
        )
    patches = tokens.shape[1] - held_out
    if held_out < 0 or patches < 0:
        raise InputError(f"cannot hold {held_out} of {tokens.shape[1]} tokens out")
    allowed = (patches + 1) // 2 if patches > 1 else 0
    if not 0 <= merges <= allowed:
        raise InputError(f"{merges} merges were asked for, but one pass over {patches} tokens allows 0 to {allowed}")
    if sizes is not None and sizes.shape != tokens.shape[:2]:
        raise InputError(f"sizes have shape {tuple(sizes.shape)}, the tokens {tuple(tokens.shape)}: one size per token")
