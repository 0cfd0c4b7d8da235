"""How long does a global mask update take, beside the ways PyTorch offers? Run ``python benchmarks/mask_update.py``."""

from __future__ import annotations

from functools import partial

import torch
from interleaved import machine, ratios

from recorders.methods.masks import largest


def by_kthvalue(scores: torch.Tensor, active: int) -> None:
    """Threshold by `torch.kthvalue`, without breaking ties."""
    _ = scores > torch.kthvalue(scores, scores.numel() - active).values


def by_topk(scores: torch.Tensor, active: int) -> None:
    """`torch.topk`, as torch.nn.utils.prune.global_unstructured does."""
    mask = torch.zeros_like(scores, dtype=torch.bool)
    mask[torch.topk(scores, active, sorted=False).indices] = True


def main() -> None:
    """Print one table per number of weights."""
    torch.set_num_threads(1)
    print(f"{machine()}; sparsity 0.9")
    for weights in (50_200, 338_200, 7_000_000):
        scores = torch.rand(weights)
        active = weights // 10
        pieces = {
            "ours (numpy.partition, ties by index)": partial(largest, scores, active),
            "torch.kthvalue": partial(by_kthvalue, scores, active),
            "torch.topk": partial(by_topk, scores, active),
        }
        table = ratios(pieces, "torch.kthvalue", rounds=11, repeats=max(1, 1_000_000 // weights))  # type: ignore[arg-type]
        print(f"\n### {weights:,} weights\n\n{table}")


if __name__ == "__main__":
    main()
