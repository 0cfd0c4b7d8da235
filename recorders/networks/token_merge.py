"""Token merging as a layer between a ViT's patch embedding and its encoder."""

from __future__ import annotations

import torch
from torch import nn

from recorders.contract import InputError
from recorders.networks.recomputation import RecentPasses, recomputing
from recorders.networks.token_matching import RANDOM, bipartite_soft_matching, check_metric, merge_count, size_histogram
from recorders.networks.token_similarity import Metric
from recorders.seeding import Purpose, generator

_SIZES = 8  # merged tokens of this many sources or more share a bin


class TokenMerge(nn.Module):
    """Merges similar tokens once (docs/token-merging.md): (batch, 1 + N, dim) → (batch, 1 + N − r, dim), r = ⌊ρ·N/2⌋.

    Has neither parameters nor buffers. See `bipartite_soft_matching` for the algorithm and `merge_tokens` to put it
    into a ViT.

    Parameters
    ----------
    ratio : float
        Compression ratio ρ in [0, 1]; 0 is the identity.
    class_token : bool
        Whether the first token is a class token, which is held out.
    registers : int
        Further leading tokens that are held out (register or distillation tokens).
    metric : {"dot", "cosine", "mutual_information", "random"} or callable
        Similarity of tokens.
    proportional_attention : bool
        Whether attention counts a token as often as the source tokens it stands for (log size added to the logits;
        Bolya et al. 2023, eq. 1). Needs an encoder that reads `attention_bias`: `recorders.VisionTransformer` does.
    seed : int
        What ``random`` draws from. In training every forward pass draws anew, a function of (seed, `steps`); in
        evaluation mode every pass draws the same. A pass that activation checkpointing repeats draws what it drew.

    Attributes
    ----------
    sizes : Tensor or None, shape (batch, tokens left)
        How many source tokens each token of the last pass stands for.
    source : Tensor or None, shape (batch, 1 + N)
        Which of them each source token went to.
    steps : int
        Forward passes in training mode so far, each counted once where checkpointing repeats it. Set it when a training
        resumes.

    Raises
    ------
    InputError
        A ratio outside [0, 1], an unknown metric, or a negative number of registers.
    """

    def __init__(
        self,
        ratio: float,
        *,
        class_token: bool = True,
        registers: int = 0,
        metric: str | Metric = "dot",
        proportional_attention: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        merge_count(ratio, 0)
        check_metric(metric)
        if registers < 0:
            raise InputError(f"registers must not be negative, got {registers}")
        self.ratio, self.metric, self.seed = ratio, metric, seed
        self.held_out = int(class_token) + registers
        self.proportional_attention = proportional_attention
        self.steps = 0
        self._passes = RecentPasses()
        self.sizes: torch.Tensor | None = None
        self.source: torch.Tensor | None = None

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Merge, and remember `sizes` and `source`.

        Raises
        ------
        InputError
            Not a batch of token sequences; fewer tokens than are held out; ``random`` in `torch.jit.trace`, or where
            checkpointing repeats a pass with other tokens.
        """
        random = self.metric == RANDOM
        generator = self._generator(tokens) if self.training or random else None
        count = tokens.shape[1]
        if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            count = int(count)  # a tensor there: a trace is of one number of tokens
        merges = merge_count(self.ratio, count - self.held_out)
        merged = bipartite_soft_matching(
            tokens, merges, held_out=self.held_out, metric=self.metric, generator=generator
        )
        self.sizes, self.source = merged.sizes, merged.source
        return merged.tokens

    @property
    def attention_bias(self) -> torch.Tensor | None:
        """Log sizes of the last pass, (batch, 1, 1, tokens left), to add to attention logits; None when not asked."""
        if not self.proportional_attention or not self.ratio or self.sizes is None:
            return None
        return self.sizes.log()[:, None, None, :]

    def size_histogram(self, bins: int) -> torch.Tensor:
        """Count the tokens of each size in the last pass, those held out aside; see `token_matching`.

        Raises
        ------
        InputError
            Before the first pass.
        """
        if self.sizes is None:
            raise InputError("no tokens were merged yet: run the network first")
        return size_histogram(self.sizes[:, self.held_out :], bins)

    def extra_repr(self) -> str:
        """Say what is merged, in the printed network."""
        return f"ratio={self.ratio:g}, held_out={self.held_out}, metric={self.metric!r}"

    @torch.compiler.disable(reason="the count of training steps would be a constant of the graph")  # type: ignore[untyped-decorator]
    def _generator(self, tokens: torch.Tensor) -> torch.Generator | None:
        """Count a pass in training mode, and make what ``random`` draws from in it."""
        random, step = self.metric == RANDOM, 0
        if self.training and not recomputing():
            self.steps += 1
            step = self.steps
            if random:
                self._passes.add(step, tokens)
        elif self.training and random:
            step = self._passes.step(tokens)
        return generator(self.seed, Purpose.MATCHING, step) if random else None


def merging(network: nn.Module) -> TokenMerge | None:
    """Find the token merging of a network."""
    return next((module for module in network.modules() if isinstance(module, TokenMerge)), None)


def merge_scalars(merge: TokenMerge) -> dict[str, torch.Tensor]:
    """Describe the merging of the last pass: tokens kept and tokens by size, as means per image.

    Returns
    -------
    dict of str to Tensor
        ``tokens_kept``, the class token included, and ``merged_size_1`` (left alone) to ``merged_size_8`` (standing for
        8 source tokens or more), each of shape (1,).
    """
    assert merge.sizes is not None
    counts = merge.size_histogram(_SIZES)
    kept = counts.new_tensor([merge.sizes.shape[1]])
    return {"tokens_kept": kept} | {f"merged_size_{i}": count[None] for i, count in enumerate(counts, start=1)}
