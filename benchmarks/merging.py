"""What does token merging cost, and does it save the time that the tokens left promise?

Run ``python benchmarks/merging.py [cpu | cuda] [BATCH]``. Peers: the forward pass without merging, and its FLOPs. Our
limits at 224 pixels: merging takes 3 % of the forward pass at most; forward and backward take 1.10 times what the FLOPs
of the tokens left allow, at most. In bfloat16 on a GPU.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from statistics import median, quantiles

import torch
from interleaved import machine, timings
from torch.nn.functional import cross_entropy

from recorders import TokenMerge, VisionTransformer, merge_tokens

RATIOS = (0.0, 0.2, 0.4, 0.6, 0.8)
SIZES = ((384, 3), (768, 6))
PATCHES, PIXELS, DEPTH = 196, 3 * 16 * 16, 4
ROUNDS = 9


def network(embedding: int, heads: int, ratio: float, device: torch.device, **options: object) -> VisionTransformer:
    return merge_tokens(VisionTransformer(embedding=embedding, heads=heads), TokenMerge(ratio, **options)).to(device)


def training_flops(embedding: int, tokens: int) -> float:
    """Multiply-adds of forward and backward, an image; the patch embedding needs no gradient of its input."""
    block = 12 * tokens * embedding**2 + 2 * tokens**2 * embedding
    return 3 * DEPTH * block + 2 * PATCHES * PIXELS * embedding


def forward_and_backward(model: VisionTransformer, images: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    def step() -> None:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=images.is_cuda):
            loss = cross_entropy(model(images), labels)
        loss.backward()
        model.zero_grad()
        wait(images)

    return step


def forward(model: torch.nn.Module, x: torch.Tensor) -> Callable[[], None]:
    @torch.no_grad()
    def run() -> None:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda):
            model(x)
        wait(x)

    return run


def wait(x: torch.Tensor) -> None:
    if x.is_cuda:
        torch.cuda.synchronize()


def shares(embedding: int, heads: int, images: torch.Tensor, repeats: int) -> str:
    """Time the merge alone beside the forward pass that it is part of."""
    device = images.device
    cases = [(ratio, "dot") for ratio in RATIOS[1:]] + [(0.4, m) for m in ("cosine", "random", "mutual_information")]
    lines = ["| ρ | metric | merge, ms | forward, ms | share | quartiles |", "|---|---|---|---|---|---|"]
    for ratio, metric in cases:
        model = network(embedding, heads, ratio, device, metric=metric)
        with torch.no_grad():
            tokens = model.embed(images)
        pieces = {"merge": forward(model.merge, tokens), "forward": forward(model, images)}
        taken = timings(pieces, rounds=ROUNDS, repeats=repeats)
        share = [m / f for m, f in zip(taken["merge"], taken["forward"], strict=True)]
        low, middle, high = quantiles(share, n=4)
        lines.append(
            f"| {ratio} | {metric} | {median(taken['merge']):.2f} | {median(taken['forward']):.1f} "
            f"| {middle:.1%} | {low:.1%}-{high:.1%} |"
        )
    return "\n".join(lines)


def savings(embedding: int, heads: int, images: torch.Tensor, repeats: int) -> str:
    """Time forward and backward at every compression ratio beside ρ = 0."""
    device = images.device
    labels = torch.arange(len(images), device=device) % 10
    models = {ratio: network(embedding, heads, ratio, device) for ratio in RATIOS}
    taken = timings(
        {str(ratio): forward_and_backward(model, images, labels) for ratio, model in models.items()},
        rounds=ROUNDS,
        repeats=repeats,
    )
    lines = [
        "| ρ | tokens | ms | time / ρ = 0 | FLOPs / ρ = 0 | time / FLOPs | quartiles |",
        "|---|---|---|---|---|---|---|",
    ]
    for ratio in RATIOS:
        left = PATCHES + 1 - int(ratio * PATCHES / 2)
        ideal = training_flops(embedding, left) / training_flops(embedding, PATCHES + 1)
        against = [mine / full for mine, full in zip(taken[str(ratio)], taken["0.0"], strict=True)]
        low, middle, high = (q / ideal for q in quantiles(against, n=4))
        lines.append(
            f"| {ratio} | {left} | {median(taken[str(ratio)]):.1f} | {middle * ideal:.3f} | {ideal:.3f} "
            f"| {middle:.3f} | {low:.3f}-{high:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print two tables per embedding."""
    torch.set_num_threads(1)
    device = torch.device(sys.argv[1] if len(sys.argv) > 1 else "cpu")
    batch = int(sys.argv[2]) if len(sys.argv) > 2 else 128 if device.type == "cuda" else 8
    repeats = 20 if device.type == "cuda" else 1
    where = torch.cuda.get_device_name() if device.type == "cuda" else "float32"
    print(f"{machine()}; {where}; 224 pixels, {DEPTH} blocks, batch {batch}; {ROUNDS} interleaved rounds")
    images = torch.randn(batch, 3, 224, 224, device=device)
    for embedding, heads in SIZES:
        print(f"\n### Embedding {embedding}, {heads} heads: the merge in the forward pass\n")
        print(shares(embedding, heads, images, repeats), flush=True)
        print(f"\n### Embedding {embedding}, {heads} heads: forward and backward\n")
        print(savings(embedding, heads, images, repeats), flush=True)


if __name__ == "__main__":
    main()
