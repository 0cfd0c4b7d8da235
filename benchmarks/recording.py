"""What does recording cost a step, beside what one would otherwise write?

Run ``python benchmarks/recording.py --out FOLDER`` (``--networks mlp masked layers vit gpt2``, ``--rounds``). Peers:
the bare loop; hand-written fused norms; `.item()` norms; TensorBoard, W&B offline, MLflow and Trackio where they are
installed (the extra ``bench``). A round times every variant once, in an order of its own, over a whole number of
intervals; construction and closing are timed apart. Ratios are of process CPU time (all threads) to the bare loop of
the same round.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
from interleaved import machine
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import prune

from recorders import Recorder
from recorders.measure import fused_sums
from recorders.networks.vit import VisionTransformer

Step = Callable[[], None]
TOTAL = 10**6  # told as total_steps


@dataclass(frozen=True)
class Network:
    """A network and its loop; `steps` in a round, a multiple of 50 but for networks whose step takes seconds."""

    make: Callable[[], nn.Module]
    batch: Callable[[], tuple[torch.Tensor, torch.Tensor]]
    steps: int
    intervals: tuple[int, ...] = (1, 10, 50)
    loss: Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor] = lambda m, x, y: cross_entropy(m(x), y)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))


def masked_mlp() -> nn.Module:
    model = mlp()
    for layer in model:
        if isinstance(layer, nn.Linear):
            prune.l1_unstructured(layer, "weight", amount=0.9)
    return model


def layers() -> nn.Module:
    return nn.Sequential(*(nn.Linear(64, 64) for _ in range(500)), nn.Linear(64, 10))


def gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(GPT2Config(attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0, use_cache=False))


def images(*shape: int) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:
    return lambda: (torch.randn(*shape), torch.randint(0, 10, (shape[0],)))


def tokens() -> tuple[torch.Tensor, torch.Tensor]:
    drawn = torch.randint(0, 50257, (4, 256))
    return drawn, drawn


NETWORKS = {
    "mlp": Network(mlp, images(128, 784), 200),
    "masked": Network(masked_mlp, images(128, 784), 200),
    "layers": Network(layers, images(128, 64), 200, (50,)),
    "vit": Network(lambda: VisionTransformer(32, patch=4, embedding=96), images(32, 3, 32, 32), 200, (50,)),
    "gpt2": Network(gpt2, tokens, 2, (50,), lambda m, x, y: m(x, labels=y).loss),
}


def weights_of(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.ndim > 1]


@contextmanager
def bare(model: nn.Module, _: torch.optim.Optimizer, __: Path, ___: int) -> Iterator[Step]:
    yield lambda: None


@contextmanager
def fused_norms(model: nn.Module, _: torch.optim.Optimizer, folder: Path, interval: int) -> Iterator[Step]:
    """Do what a careful person writes: both norms of all weights in two calls, summed up, read at the record."""
    weights, count, rows = weights_of(model), 0, []
    sums = torch.zeros(2, len(weights))

    def step() -> None:
        nonlocal count
        with torch.no_grad():
            gradients = [p.grad for p in weights if p.grad is not None]
            sums.add_(torch.stack([*torch._foreach_norm(gradients), *torch._foreach_norm(weights)]).view(2, -1))
        count += 1
        if count % interval == 0:
            rows.append((sums / interval).tolist())
            sums.zero_()

    yield step
    (folder / "norms.txt").write_text(repr(rows))


@contextmanager
def item_norms(model: nn.Module, _: torch.optim.Optimizer, folder: Path, interval: int) -> Iterator[Step]:
    weights, rows = weights_of(model), []

    def step() -> None:
        rows.append([p.grad.norm().item() for p in weights if p.grad is not None] + [p.norm().item() for p in weights])

    yield step
    (folder / "norms.txt").write_text(repr(rows))


def logged(model: nn.Module) -> dict[str, float]:
    found = {}
    for name, p in model.named_parameters():
        if p.ndim > 1 and p.grad is not None:
            found |= {f"{name}/gradient": p.grad.norm().item(), f"{name}/weight": p.norm().item()}
    return found


@contextmanager
def tensorboard(model: nn.Module, _: torch.optim.Optimizer, folder: Path, __: int) -> Iterator[Step]:
    from torch.utils.tensorboard import SummaryWriter

    writer, count = SummaryWriter(folder), 0

    def step() -> None:
        nonlocal count
        count += 1
        for name, value in logged(model).items():
            writer.add_scalar(name, value, count)

    yield step
    writer.close()


@contextmanager
def wandb(model: nn.Module, _: torch.optim.Optimizer, folder: Path, __: int) -> Iterator[Step]:
    """Histograms of gradients and weights every 100 steps, as its `watch` is used."""
    os.environ["WANDB_MODE"], os.environ["WANDB_SILENT"] = "offline", "true"
    import wandb

    run = wandb.init(project="bench", dir=str(folder))
    run.watch(model, log="all", log_freq=100)
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if count % 100 == 0:
            run.log({"step": count})

    yield step
    run.finish()


@contextmanager
def mlflow(model: nn.Module, _: torch.optim.Optimizer, folder: Path, __: int) -> Iterator[Step]:
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # mlflow-skinny has no database
    import mlflow

    mlflow.set_tracking_uri((folder / "runs").as_uri())
    count = 0
    with mlflow.start_run():

        def step() -> None:
            nonlocal count
            count += 1
            if count % 10 == 0:  # at every step it takes several times the step
                mlflow.log_metrics(logged(model), step=count)

        yield step


@contextmanager
def trackio(model: nn.Module, _: torch.optim.Optimizer, folder: Path, __: int) -> Iterator[Step]:
    os.environ["TRACKIO_DIR"] = str(folder)
    import trackio

    trackio.init(project=f"bench-{folder.name}")

    def step() -> None:
        trackio.log(logged(model))

    yield step
    trackio.finish()


def recorder(**options: Any) -> Any:
    @contextmanager
    def recorded(model: nn.Module, optimizer: torch.optim.Optimizer, folder: Path, interval: int) -> Iterator[Step]:
        sparsity = 0.9 if any(name.endswith("_mask") for name, _ in model.named_buffers()) else 0.0
        run = {"strategy": "bench", "sparsity": sparsity, "seed": 0}
        made = Recorder(folder / "s.zarr", model, optimizer, run=run, interval=interval, total_steps=TOTAL, **options)
        yield lambda: None
        made.close("measured")

    return recorded


PEERS = {
    "bare": bare,
    "hand-written fused norms": fused_norms,
    "`.item()` norms": item_norms,
    "TensorBoard, norms at every step": tensorboard,
    "W&B offline, watch every 100": wandb,
    "MLflow, norms every 10": mlflow,
    "Trackio, norms at every step": trackio,
}
NEEDS = {tensorboard: "tensorboard", wandb: "wandb", mlflow: "mlflow", trackio: "trackio"}


class Timed:
    """A variant with a network of its own."""

    def __init__(self, network: Network, make: Any, interval: int) -> None:
        torch.manual_seed(0)
        self._network, self._model = network, network.make()
        self._optimizer = torch.optim.SGD(self._model.parameters(), lr=0.01)
        self._batch = network.batch()
        self._folder = tempfile.TemporaryDirectory()
        began = time.process_time()
        self._context = make(self._model, self._optimizer, Path(self._folder.name), interval)
        self._extra = self._context.__enter__()
        self.construction = time.process_time() - began
        self.cpu: list[float] = []
        self.wall: list[float] = []

    def round(self, steps: int) -> None:
        """Time some steps as a whole."""
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(steps):
            self._optimizer.zero_grad()
            self._network.loss(self._model, *self._batch).backward()
            self._extra()
            self._optimizer.step()
        self.cpu.append((time.process_time() - cpu) / steps * 1e3)
        self.wall.append((time.perf_counter() - wall) / steps * 1e3)

    def close(self) -> float:
        """End it; CPU seconds that took."""
        began = time.process_time()
        self._context.__exit__(None, None, None)
        took = time.process_time() - began
        self._folder.cleanup()
        return took


def variants(network: Network) -> dict[str, tuple[Any, int]]:
    found = {name: (peer, 50) for name, peer in PEERS.items() if peer not in NEEDS or find_spec(NEEDS[peer])}
    for interval in network.intervals:
        found[f"Recorder exact, interval {interval}"] = recorder(sample_every=1), interval
        if interval > 10:
            found[f"Recorder default, interval {interval}"] = recorder(), interval
    found["Recorder exact with update_norm, interval 50"] = recorder(sample_every=1, indicators=["update_norm"]), 50
    return found


def measured(network: Network, rounds: int) -> list[tuple[str, list[float], float, float, float, float]]:
    """Rows of name, ratios of CPU time, and medians: CPU and wall ms a step, construction and closing in s."""
    timed = {name: Timed(network, *how) for name, how in variants(network).items()}
    gc.collect()
    for turn in range(rounds + 1):
        order = list(timed)
        random.Random(turn).shuffle(order)
        for name in order:
            timed[name].round(network.steps)
    rows = []
    for name, one in timed.items():
        ratios = [a / b for a, b in zip(one.cpu[1:], timed["bare"].cpu[1:], strict=True)]
        rows.append((name, ratios, median(one.cpu[1:]), median(one.wall[1:]), one.construction, one.close()))
    return rows


def own_peak() -> float:
    """Peak memory of this process in MB; `ru_maxrss` would begin with that of its parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def peak_memory(name: str, *, recorded: bool) -> float:
    """Peak memory of two steps of a network in a process of its own, in MB."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import recording as r; "
        f"t = r.Timed(r.NETWORKS[{name!r}], r.recorder(sample_every=1) if {recorded} else r.bare, 1); "
        "t.round(2); print(r.own_peak())"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def table(rows: list[tuple[str, list[float], float, float, float, float]]) -> str:
    lines = [
        "| what | ratio | quartiles | CPU ms a step | wall ms a step | made, s | closed, s |",
        "|---|" + "---|" * 6,
    ]
    for name, ratios, cpu, wall, made, closed in rows:
        low, _, high = quantiles(ratios, n=4)
        times = " | ".join((f"{cpu:.3f}", f"{wall:.3f}", f"{made:.2f}", f"{closed:.2f}"))
        lines.append(f"| {name} | {median(ratios):.3f} | {low:.3f}-{high:.3f} | {times} |")
    return "\n".join(lines)


def plot(found: dict[str, list[tuple[str, list[float], float, float, float, float]]], path: Path) -> None:
    import pandas as pd
    import seaborn as sns

    rows = [
        {"network": title, "what": name, "ratio to the bare loop": ratio}
        for title, ones in found.items()
        for name, ratios, *_ in ones
        if name != "bare"
        for ratio in ratios
    ]
    grid = sns.catplot(
        pd.DataFrame(rows), x="ratio to the bare loop", y="what", col="network", col_wrap=min(2, len(found)),
        kind="point", sharex=False,
        linestyle="none", errorbar=("pi", 50), estimator="median", height=4.2, aspect=1.2, color="black",
    )  # fmt: skip
    for axes in grid.axes.flat:
        axes.axvline(1, color="grey", linewidth=0.8)
    grid.set_ylabels("")
    grid.savefig(path, dpi=110)


def main() -> None:
    """Measure, print, and write a table and a plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--without-numba", action="store_true", help="measure by torch alone")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.without_numba:
        fused_sums.kernel = lambda: None  # type: ignore[assignment]
    texts, found = [f"{machine()}; numba: {fused_sums.kernel() is not None}; load {os.getloadavg()[0]:.1f}"], {}
    for name in given.networks:
        network = NETWORKS[name]
        found[name] = measured(network, given.rounds)
        texts.append(f"### {name}\n\n{given.rounds} rounds of {network.steps} steps\n\n{table(found[name])}")
        if name == "gpt2":
            base, ours = (peak_memory(name, recorded=recorded) for recorded in (False, True))
            texts.append(f"Peak memory: bare {base:.0f} MB, recorded {ours:.0f} MB, {ours - base:+.0f} MB")
        print(texts[-1], flush=True)
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "recording.md").write_text("\n\n".join(texts) + "\n")
        plot(found, given.out / "recording.png")


if __name__ == "__main__":
    main()
