"""What do mask updates and the probe add to training a ViT of the tables study?

Run ``python benchmarks/vit.py [cpu | cuda] [BATCH]``. Peers: the 16 optimiser steps of 128 images between two mask
updates, of the same network (timed at BATCH images and scaled, where 128 are too many). Our limits: a mask update takes
5 % of them at most, the probe of the study's default (every 4th update, 32 images) 5 %. On a GPU also: the share of the
measured matrix-product ceiling that training reaches, aimed at 40 % for embedding 768 in bfloat16.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from statistics import median, quantiles

import torch
from interleaved import machine, timings
from merging import training_flops

from recorders.methods.masks import magnitude_masks
from recorders.networks.vit import VisionTransformer
from recorders.probe.mask_probe import MaskProbe
from recorders.seeding import with_seeded_weights
from recorders.settings.presets import preset
from recorders.training.cohort import Cohort
from recorders.training.optimiser import make_optimiser

PATCHES, STEPS, BATCH, ROUNDS = 196, 16, 128, 3
SIDE = 8192  # of the matrices that measure the ceiling


def settled(work: Callable[[], object], device: torch.device) -> Callable[[], None]:
    def go() -> None:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return go


def pieces(embedding: int, heads: int, batch: int, device: torch.device) -> tuple[dict[str, Callable[[], None]], int]:
    settings = preset("tables", precision="bfloat16" if device.type == "cuda" else "float32")
    networks = [with_seeded_weights(0, lambda: VisionTransformer(embedding=embedding, heads=heads)) for _ in range(2)]
    cohort = Cohort(networks[:1], [None], device, precision=settings.training.precision)
    optimiser = make_optimiser(cohort.trainable, settings)
    images = torch.randn(1, batch, 3, 224, 224, device=device)
    labels = torch.randint(0, 10, (1, batch), device=device)
    probe = MaskProbe(
        networks[1].to(device),
        torch.randn(settings.probe.size, 3, 224, 224, device=device),
        labels.new_zeros(settings.probe.size),
    )
    levels = [0.9, 0.905]

    def step() -> None:
        cohort.backward(images, labels, activations=False)
        cohort.hand_over_gradients()
        optimiser.step()
        optimiser.zero_grad()
        cohort.refresh()

    def update() -> None:
        levels.reverse()
        cohort.set_masks({0: magnitude_masks(cohort.run_layers(0).weights, levels[0])})

    def look() -> None:
        old = cohort.run_masks(0)
        update()
        probe.at(cohort.run_dense(0)).look(old, cohort.run_masks(0))

    work = {"step": step, "update": update, "look": look}
    return {name: settled(f, device) for name, f in work.items()}, sum(m.numel() for m in cohort.masks)


def ceiling(device: torch.device) -> float:
    """Multiply-adds a second of a large bfloat16 matrix product."""
    a, b = (torch.randn(SIDE, SIDE, device=device, dtype=torch.bfloat16) for _ in range(2))
    taken = timings({"product": settled(lambda: a @ b, device)}, rounds=9, repeats=5)["product"]
    return SIDE**3 / (median(taken) / 1e3)


def main() -> None:
    """Print one table."""
    device = torch.device(sys.argv[1] if len(sys.argv) > 1 else "cpu")
    batch = int(sys.argv[2]) if len(sys.argv) > 2 else (BATCH if device.type == "cuda" else 4)
    if device.type == "cpu":
        torch.set_num_threads(1)
    every = preset("tables").probe.every
    print(f"{machine()}; {device}, 224 pixels, batch {batch} scaled to {BATCH}, {ROUNDS} interleaved rounds\n")
    print("| embedding | prunable weights | step of 128, ms | mask update / 16 steps | probe by default / its steps |")
    print("|---|---|---|---|---|")
    speeds = []
    for embedding, heads in ((384, 3), (768, 6)):
        work, size = pieces(embedding, heads, batch, device)
        taken = {name: [ms / 1e3 for ms in times] for name, times in timings(work, rounds=ROUNDS, repeats=1).items()}
        steps = [t * BATCH / batch for t in taken["step"]]
        update = [u / (STEPS * s) for u, s in zip(taken["update"], steps, strict=True)]
        look = [p / (every * STEPS * s) for p, s in zip(taken["look"], steps, strict=True)]
        cells = [_shares(update), _shares(look)]
        print(f"| {embedding} | {size:,} | {1e3 * median(steps):.0f} | {' | '.join(cells)} |", flush=True)
        speeds.append((embedding, BATCH * training_flops(embedding, 1 + PATCHES) / median(steps)))
    if device.type == "cuda":
        top = ceiling(device)
        for embedding, speed in speeds:
            print(f"\nembedding {embedding}: {speed / top:.0%} of {2 * top / 1e12:.0f} TFLOP/s")


def _shares(values: list[float]) -> str:
    low, _, high = quantiles(values, n=4)
    return f"{median(values):.2%} ({low:.2%}-{high:.2%})"


if __name__ == "__main__":
    main()
