from __future__ import annotations

from recorders.settings.runs import Run, plan_runs
from recorders.settings.settings import PruningSettings, Settings


def test_the_plan_crosses_strategies_sparsities_and_seeds() -> None:
    runs = plan_runs(Settings(strategies=("iterative", "optimal", "random", "dense"), seeds=(0, 1)))
    assert len(runs) == 3 * 3 * 2 + 2
    assert len({run.run_id for run in runs}) == len(runs)
    for position, run in enumerate(runs):
        assert run.needs is None or runs.index(run.needs) < position


def test_the_plan_adds_the_iterative_runs_that_optimal_needs() -> None:
    runs = plan_runs(Settings(strategies=("optimal",), sparsities=(0.9,), seeds=(4,)))
    assert runs == [Run("iterative", 0.9, 4), Run("optimal", 0.9, 4)]
    matched = plan_runs(
        Settings(strategies=("random",), pruning=PruningSettings(allocation="matched"), sparsities=(0.9,), seeds=(4,))
    )
    assert [run.run_id for run in matched] == ["iterative-s0.9-seed4", "random-matched-s0.9-seed4"]
