"""The runs of a study and what each one waits for. Imports no torch and knows no store."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from recorders.settings.naming import number, run_name
from recorders.settings.settings import Settings


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes
    ----------
    strategy, sparsity, seed
        What is trained; `sparsity` is 0 for ``dense``.
    allocation : str
        Layer allocation of a ``random`` mask; empty for the other strategies.
    compression : float
        Token merging ratio ρ; 0 without merging.
    """

    strategy: str
    sparsity: float
    seed: int
    allocation: str = ""
    compression: float = 0.0

    @property
    def run_id(self) -> str:
        """A readable name that survives new settings: ``iterative-s0.9-seed0``, ``random-matched-s0.9-seed0``."""
        method = f"{self.strategy}-{self.allocation}" if self.allocation not in ("", "global") else self.strategy
        merged = {"compression": number(self.compression)} if self.compression else {}
        return run_name(method, self.sparsity, self.seed, **merged)

    @property
    def needs(self) -> Run | None:
        """The run whose final mask this one starts from."""
        if self.strategy == "optimal" or self.allocation == "matched":
            return Run("iterative", self.sparsity, self.seed, compression=self.compression)
        return None

    def coordinates(self) -> dict[str, Any]:
        """Values of the coordinates on ``run``, but for the compression, which only some studies vary."""
        settings = asdict(self)
        del settings["compression"]
        return {"run_id": self.run_id, **settings}


def plan_runs(settings: Settings) -> list[Run]:
    """List the runs of a study, each after the one it needs."""
    asked = [
        _run(strategy, sparsity, seed, compression, settings)
        for strategy in settings.strategies
        for compression in settings.compressions
        for sparsity in settings.sparsities
        for seed in settings.seeds
    ]
    needed = [run.needs for run in asked if run.needs is not None]
    return sorted(dict.fromkeys([*needed, *asked]), key=lambda run: run.needs is not None)


def _run(strategy: str, sparsity: float, seed: int, compression: float, settings: Settings) -> Run:
    if strategy == "dense":
        return Run("dense", 0.0, seed, compression=compression)
    return Run(strategy, sparsity, seed, settings.pruning.allocation if strategy == "random" else "", compression)
