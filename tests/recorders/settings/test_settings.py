from __future__ import annotations

from pathlib import Path

import pytest

from recorders.contract import InputError
from recorders.settings.presets import preset
from recorders.settings.runs import Run, plan_runs
from recorders.settings.settings import Settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"strategies": ["iteratve"]}, "unknown strategy 'iteratve'.*did you mean 'iterative'"),
        ({"allocation": "erg"}, "unknown allocation 'erg'.*did you mean 'erk'"),
        ({"optimizer": "adan"}, "did you mean 'adam'"),
        ({"sparsities": [1.0]}, r"sparsity 1 is outside \[0, 1\)"),
        ({"sparsities": [-0.1]}, r"sparsity -0.1 is outside \[0, 1\)"),
        ({"seeds": [0, 0]}, "seeds has duplicates"),
        ({"seeds": []}, "seeds is empty"),
        ({"epochs": 0}, "epochs must be positive"),
        ({"epochs": "five"}, "setting 'epochs' takes a value of type int, got 'five'"),
        ({"seeds": 3}, "setting 'seeds' takes a list, got 3"),
        ({"epoch": 3}, "unknown setting 'epoch'.*did you mean 'epochs'"),
        ({"pruning_end": 1.5}, "pruning_end is a share"),
        ({"initial_sparsity": 0.8, "sparsities": [0.7]}, "initial_sparsity 0.8 is above sparsity 0.7"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive"),
        ({"learning_rate": float("inf")}, "learning_rate must be positive"),
        ({"weight_decay": float("nan")}, "weight_decay must not be negative"),
        ({"momentum": 5.0}, "momentum must be below 1"),
        ({1: 2}, "unknown setting '1'"),
        ({"probe_size": 0}, "probe_size must be positive, got 0: probe_every 0 measures no burden"),
        ({"probe_size": -3}, "probe_size must be positive, got -3"),
        ({"hidden": [0]}, "hidden units must be positive"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(values: dict[object, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Settings.from_dict(values)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_settings_survive_json_and_yaml() -> None:
    settings = Settings(seeds=(3,), sparsities=(0.5,))
    assert Settings.from_dict(settings.as_dict()) == settings
    assert Settings.from_dict({"learning_rate": "1e-3", "momentum": 0}).learning_rate == 1e-3


def test_a_preset_of_the_data_is_laid_over_the_study(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("epochs: 2\nseeds: [7]\n")
    assert preset("fig2").data == "digits"
    assert preset("fig2", "mnist").image_size == 32
    assert preset("fig2", "mnist", own).seeds == (7,)
    own.write_text("data: mnist\n")
    assert preset("fig2", None, own).image_size == 32


@pytest.mark.parametrize(
    ("text", "message"),
    [("- 1\n", "must hold a mapping"), ("a: [", "is not YAML"), ("sedes: [1]", "did you mean 'seeds'")],
)
def test_wrong_yaml_is_refused(tmp_path: Path, text: str, message: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(text)
    with pytest.raises(InputError, match=message):
        preset("fig2", None, own)


def test_missing_yaml_and_unknown_study_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*none\.yaml"):
        preset("fig2", None, tmp_path / "none.yaml")
    with pytest.raises(InputError, match="unknown study 'fig3': choose from fig2, tables; did you mean 'fig2'"):
        preset("fig3")


def test_the_plan_crosses_strategies_sparsities_and_seeds() -> None:
    runs = plan_runs(Settings(strategies=("iterative", "optimal", "random", "dense"), seeds=(0, 1)))
    assert len(runs) == 3 * 3 * 2 + 2
    assert len({run.run_id for run in runs}) == len(runs)
    for position, run in enumerate(runs):
        assert run.needs is None or runs.index(run.needs) < position


def test_the_plan_adds_the_iterative_runs_that_optimal_needs() -> None:
    runs = plan_runs(Settings(strategies=("optimal",), sparsities=(0.9,), seeds=(4,)))
    assert runs == [Run("iterative", 0.9, 4), Run("optimal", 0.9, 4)]
    matched = plan_runs(Settings(strategies=("random",), allocation="matched", sparsities=(0.9,), seeds=(4,)))
    assert [run.run_id for run in matched] == ["iterative-s0.9-seed4", "random-matched-s0.9-seed4"]
