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
        Similarity; a callable maps tokens (batch, A, dim) and (batch, B, dim) to (batch, A, B); NaN is the lowest.
        ``random`` matches every token of A with any of B alike: the control for what similarity is worth.
    sizes : Tensor, shape (batch, tokens), optional
        How many source tokens each token stands for after an earlier pass: means are weighted with them.
    generator : torch.Generator, optional
        On the CPU; what ``random`` draws from, so that every device draws the same.

    Returns
    -------
    Merged
        Size-weighted sums of tokens are conserved, and NaN stays where its token goes. Gradients flow through the
        means, not through the matching.

    Raises
    ------
    InputError
        Not a batch of token sequences; fewer than 0 merges or more than a pass allows; an unknown metric or one that
        returns another shape; sizes of another shape; ``random`` without a generator or in `torch.jit.trace`.
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
        merged = torch.zeros_like(partner, dtype=torch.bool).scatter(1, ranked[:, :merges], value=1)
        kept = ranked[:, merges:].sort(dim=1).values

        # joins[j, i]: a_i goes to b_j. A product with it adds in a fixed order; scattered additions on a GPU do not.
        places = torch.arange(tokens[:, in_b].shape[1], device=tokens.device).unsqueeze(1)
        joins = ((partner.unsqueeze(1) == places) & merged.unsqueeze(1)).to(wide)
        grown = sizes[:, in_b] + (joins @ sizes[:, in_a].unsqueeze(2)).squeeze(2)
        sums = _joined(mass[:, in_b].to(wide), joins, mass[:, in_a].to(wide), partner)
        means = sums / grown.unsqueeze(2)

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
    # The decimal that was written: in binary 0.29 · 200 / 2 falls short of 29. Whole numbers, as a compiled graph has.
    share = Fraction(str(float(ratio))) / 2
    return share.numerator * tokens // share.denominator


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
        drawn: tuple[torch.Tensor, torch.Tensor] = _drawn(shape, b.shape[1], generator)
        return drawn[0].to(a.device), drawn[1].to(a.device)
    scores = (METRICS[metric] if isinstance(metric, str) else metric)(a, b)
    if scores.shape != (*shape, b.shape[1]):
        raise InputError(
            f"the metric returned shape {tuple(scores.shape)} for tokens {tuple(a.shape)} and {tuple(b.shape)}: "
            f"it must return {(*shape, b.shape[1])}"
        )
    scores = torch.where(scores.isnan(), -torch.inf, scores)  # or every token of A would choose a token of NaN
    best = scores.max(dim=2)  # of equal scores the first
    return best.values, best.indices


def _joined(b: torch.Tensor, joins: torch.Tensor, a: torch.Tensor, partner: torch.Tensor) -> torch.Tensor:
    """Add to each token of B those of A that join it."""
    finite = a.isfinite()  # a product with 0 would spread what is not
    sums = torch.baddbmm(b, joins, torch.where(finite, a, 0))
    merged = joins.any(1).unsqueeze(2)
    # Sums of zeros, NaN and infinities: the same in any order.
    rest = torch.where(finite | ~merged, 0, a).detach()
    rest = torch.zeros_like(b).scatter_add(1, partner.unsqueeze(2).expand(-1, -1, b.shape[2]), rest)
    return torch.where(rest == 0, sums, sums + rest)


@torch.compiler.disable(reason="a graph holds no generator")  # type: ignore[untyped-decorator]
def _drawn(shape: tuple[int, int], choices: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw for every token of A its priority and its token of B."""
    if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        raise InputError("random merging cannot be traced: a trace holds no generator; use torch.compile")
    partner = torch.randint(choices, shape, generator=generator)
    return torch.rand(shape, generator=generator), partner


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
