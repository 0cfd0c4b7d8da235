from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
import zarr

from burden_analysis import accuracy_table, check_claims, compression_effect, open_study
from burden_analysis.cli.main import main
from recorders.contract import InputError
from tests.burden_analysis.synthetic import grid, write_recording

STEPS = (10, 20, 30, 40, 50)


def runs(ratios=(0.0, 0.4, 0.8), rates=(0.01, 0.02, 0.03), sparsities=(0.8, 0.9), seeds=(0,), **settings):
    return [
        {
            "run_id": f"{rate:g}-{s:g}-{r:g}-{seed}",
            "strategy": "iterative",
            "sparsity": s,
            "seed": seed,
            "compression": r,
            "base_learning_rate": rate,
            "tokens": round(196 * (1 - r / 2)),
            "patch": 16,
            **settings,
        }
        for rate, s, r, seed in product(rates, sparsities, ratios, seeds)
    ]


def study(store, planned, last=None):
    accuracy = np.full((len(planned), len(STEPS)), np.nan, np.float32)
    accuracy[:, 1] = 0.5
    accuracy[:, 3] = np.linspace(0.6, 0.8, len(planned)) if last is None else last
    write_recording(store, planned, name="tables", values={"accuracy": accuracy})
    return open_study(store)


def test_one_row_per_run_with_the_last_accuracy_in_per_cent(store):
    planned = runs()
    table = accuracy_table(study(store, planned))
    assert list(table.columns) == ["base_learning_rate", "compression", "sparsity", "seed", "accuracy", "status"]
    assert table.attrs["blocks"] == ("base_learning_rate",)
    assert table["accuracy"].to_numpy() == pytest.approx(np.linspace(60, 80, len(planned)), abs=1e-4)
    for name in ("base_learning_rate", "compression", "sparsity", "seed"):
        assert table[name].tolist() == [run[name] for run in planned]


def test_what_follows_from_the_compression_is_no_block(store):
    """196, 157 and 118 tokens each go with one ratio; as a block they would leave no baseline."""
    assert "tokens" not in accuracy_table(study(store, runs()))


def test_text_settings_are_blocks(store):
    planned = runs(rates=(0.01,), optimiser="sgd") + runs(rates=(0.02,), optimiser="adam")
    assert accuracy_table(study(store, planned)).attrs["blocks"] == ("base_learning_rate", "optimiser")


def test_incomplete_runs_stay_with_their_status(store):
    planned = runs()
    planned[1] |= {"status": "diverged", "status_reason": "loss is NaN"}
    planned[4] |= {"status": "running", "written": 4}
    table = accuracy_table(study(store, planned))
    assert table["accuracy"].isna().tolist() == [k in (1, 4) for k in range(len(planned))]
    effect = compression_effect(table, blocks=table.attrs["blocks"])
    assert effect.excluded == (
        "base_learning_rate=0.01, sparsity=0.8, seed=0, compression 0.4: diverged",
        "base_learning_rate=0.01, sparsity=0.9, seed=0, compression 0.4: running",
    )


def test_the_reference_has_no_row(store):
    dense = {**runs()[0], "run_id": "dense", "strategy": "dense", "sparsity": 0.0}
    table = accuracy_table(study(store, [*runs(), dense]))
    assert len(table) == 18
    assert "strategy" not in table


def test_a_run_that_never_measured_accuracy_is_missing(store):
    dataset = study(store, runs())
    dataset["accuracy"][2] = np.nan
    assert accuracy_table(dataset)["accuracy"].isna().tolist() == [k == 2 for k in range(18)]


def test_published_settings_come_from_the_configuration(store):
    """`learning_rate` is the name of a series, so no coordinate can have it."""
    for part, rate in enumerate((0.01, 0.02)):
        write_recording(store, runs(rates=(rate,)), name=f"part{part}")
        config = {"setup": "384x3", "epochs": 40, "learning_rate": rate}
        zarr.open_group(store / f"part{part}").attrs["config"] = json.dumps(config)
    table = accuracy_table(open_study(store))
    assert list(table.columns[:4]) == ["embed_dim", "num_heads", "epochs", "learning_rate"]
    assert table.iloc[0, :4].tolist() == [384, 3, 40, 0.01]
    assert table.attrs["blocks"] == ("learning_rate",)  # and not base_learning_rate, which says the same


def test_several_recordings_are_one_table(store):
    first, second = runs(rates=(0.01,)), runs(rates=(0.02,))
    study(store, first)
    accuracy = np.full((len(second), len(STEPS)), np.nan, np.float32)
    accuracy[:, 4] = 0.7
    write_recording(store, second, name="more", values={"accuracy": accuracy})
    table = accuracy_table(open_study(store))
    assert table.attrs["blocks"] == ("base_learning_rate",)
    assert table.groupby("base_learning_rate").size().tolist() == [6, 6]
    assert table.loc[table["base_learning_rate"] == 0.02, "accuracy"].tolist() == pytest.approx([70.0] * 6)


def test_the_effect_of_a_recorded_study(store):
    planned = runs(rates=tuple(np.arange(1, 10) / 1000), seeds=(0, 1))
    noise = np.random.default_rng(0).normal(0, 0.002, len(planned))
    gain = np.array([0.03 * (run["compression"] == 0.4) for run in planned])
    table = accuracy_table(study(store, planned, 0.7 + gain + noise))
    effect = compression_effect(table, blocks=table.attrs["blocks"])
    assert effect.outcome.value == "supported"
    found = effect.table.query("unit == 'block' and family == 'ratio'")
    assert found["effect"].tolist() == pytest.approx([3.0, 0.0], abs=0.2)
    assert (effect.seeds, effect.unit) == ((0, 1), "block")


def test_the_command_line_judges_a_recorded_study(store, capsys):
    study(store, runs(rates=tuple(np.arange(1, 10) / 1000)))
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(store), "--by", "compression", "--json"])
    content = json.loads(capsys.readouterr().out)
    assert (ended.value.code, content["blocks"], content["ratios"]) == (0, ["base_learning_rate"], [0.4, 0.8])
    assert len(content["differences"]) == 36


def test_a_study_without_compression_says_what_it_has(store):
    write_recording(store, grid(seeds=1))
    with pytest.raises(
        InputError, match=r"no coordinate 'compression' on its runs \(there are recording, run_id, seed, spars"
    ):
        accuracy_table(open_study(store))


def test_a_study_without_accuracy_has_no_table_and_no_verdict(store):
    without = study(store, runs()).drop_vars("accuracy")
    with pytest.raises(InputError, match="did not record 'accuracy'"):
        accuracy_table(without)
    claim = check_claims(without, published=False)["C3"]
    assert claim.outcome == "unjudged"
    assert "is not judged: this study did not record 'accuracy'" in claim.sentence


def test_a_dense_study_has_no_table(store):
    with pytest.raises(InputError, match="every run of the study is dense"):
        accuracy_table(study(store, runs(strategy="dense")))
