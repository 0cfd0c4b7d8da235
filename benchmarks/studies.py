"""How long does a whole study take, beside a plain PyTorch script of the same runs?

Run ``python benchmarks/studies.py [--epochs N] [--seeds N] [--rounds N]``. Peer: `by_hand` below, written as one would
without this package: one process, one run after the other, the same network, data, batch size, fused optimiser, masks and
evaluations, and six norms a step (of gradient and weight of three tensors) kept in memory and saved. It probes nothing and
writes no store. Ours: `burden record fig2` with two workers, every command from a cold start. Times are taken in turn.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn.functional import cross_entropy

SPARSITIES = (0.7, 0.8, 0.9)
BATCH, INTERVAL = 128, 16
PEER = "by hand, one process"
Masks = list[torch.Tensor]


def by_hand(epochs: int, seeds: int, out: Path) -> None:
    """Train the runs of fig2 on digits one after the other."""
    torch.set_num_threads(1)
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images, labels, test_size=360, stratify=labels, random_state=0)
    train_x, test_x, train_y, test_y = (torch.as_tensor(part) for part in parts)
    mean, std = (train_x / 16).mean(), (train_x / 16).std()
    data = [((train_x / 16 - mean) / std).float(), train_y, ((test_x / 16 - mean) / std).float(), test_y]
    for seed in range(seeds):
        for sparsity in SPARSITIES:
            found = _run(data, seed, sparsity, None, epochs, out / f"iterative-{sparsity}-{seed}")
            _run(data, seed, sparsity, found, epochs, out / f"optimal-{sparsity}-{seed}")
            draw = torch.Generator().manual_seed(seed)
            scores = [torch.rand(mask.shape, generator=draw) for mask in found]
            _run(data, seed, sparsity, _largest(scores, sparsity), epochs, out / f"random-{sparsity}-{seed}")


def _largest(scores: list[torch.Tensor], sparsity: float) -> Masks:
    flat = torch.cat([s.flatten() for s in scores])
    pruned = round(sparsity * flat.numel())
    threshold = flat.kthvalue(pruned).values if pruned else flat.min() - 1
    return [s > threshold for s in scores]


def _run(data: list[torch.Tensor], seed: int, sparsity: float, fixed: Masks | None, epochs: int, out: Path) -> Masks:
    train_x, train_y, test_x, test_y = data
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
    used = [layer.weight for layer in model if isinstance(layer, nn.Linear)]  # masked: what the forward pass sees
    biases = [layer.bias for layer in model if isinstance(layer, nn.Linear)]
    masks = fixed or [torch.ones_like(w, dtype=torch.bool) for w in used]
    with torch.no_grad():
        dense = [(w * m).requires_grad_() for w, m in zip(used, masks, strict=True)]
        torch._foreach_copy_(used, torch._foreach_mul(dense, masks))
    optimiser = torch.optim.Adam([*dense, *biases], lr=1e-3, fused=True)
    order = torch.Generator().manual_seed(seed)
    total = epochs * -(-len(train_x) // BATCH)
    step = 0
    rows, losses, accuracies = [], [], []

    def prune() -> None:
        nonlocal masks
        target = sparsity * (1 - (1 - step / total) ** 3)
        with torch.no_grad():
            masks = _largest([w.abs() for w in dense], target)
            torch._foreach_copy_(used, torch._foreach_mul(dense, masks))

    for _ in range(epochs):
        for batch in torch.randperm(len(train_x), generator=order).split(BATCH):
            if fixed is None and step % INTERVAL == 0:
                prune()
            loss = cross_entropy(model(train_x[batch]), train_y[batch])
            loss.backward()
            gradients = [w.grad for w in used]
            active = torch._foreach_mul(gradients, masks)
            rows.append(torch.stack(torch._foreach_norm([*active, *(w.detach() for w in used)])))
            losses.append(loss.detach())
            for w, u, g, kept in zip(dense, used, gradients, active, strict=True):
                w.grad, u.grad = g if fixed is None else kept, None
            optimiser.step()
            optimiser.zero_grad()
            with torch.no_grad():
                torch._foreach_copy_(used, torch._foreach_mul(dense, masks))
            step += 1
        if fixed is None and step == total:
            prune()
        with torch.no_grad():
            accuracies.append((model(test_x).argmax(1) == test_y).float().mean())
    np.savez(out, norms=torch.stack(rows), losses=torch.stack(losses), accuracies=torch.stack(accuracies))
    return masks


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser()
    for name, default in (("epochs", 60), ("seeds", 5), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--by-hand", type=Path)
    asked = parser.parse_args()
    if asked.by_hand:
        by_hand(asked.epochs, asked.seeds, asked.by_hand)
        return
    same = ["--epochs", str(asked.epochs)]
    ours = [sys.executable, "-m", "burden_analysis.cli", "record", "fig2", "--device", "cpu", "--workers", "2", *same]
    ours += ["--seeds", *map(str, range(asked.seeds)), "--out"]
    script = [sys.executable, __file__, *same, "--seeds", str(asked.seeds), "--by-hand"]
    load = os.getloadavg()[0]
    times: dict[str, list[float]] = {PEER: [], "record, two workers": [], "record, two workers, no probe": []}
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as folder:
            times[PEER].append(_seconds([*script, folder]))
            times["record, two workers"].append(_seconds([*ours, f"{folder}/a.zarr"]))
            times["record, two workers, no probe"].append(_seconds([*ours, f"{folder}/b.zarr", "--probe-every", "0"]))
    runs = 3 * len(SPARSITIES) * asked.seeds
    print(
        f"{runs} runs of {asked.epochs} epochs, {asked.rounds} round(s), {os.cpu_count()} cores, load {load:.1f} before,"
    )
    print(
        f"torch {torch.__version__}\n\n| what | seconds | times as fast as {PEER} | in each round |\n|---|---|---|---|"
    )
    for name, taken in times.items():
        faster = [theirs / own for theirs, own in zip(times[PEER], taken, strict=True)]
        print(f"| {name} | {median(taken):.1f} | {median(faster):.2f} | {', '.join(f'{f:.2f}' for f in faster)} |")


if __name__ == "__main__":
    main()
