from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from burden_analysis import compression_effect, published_tables
from recorders.contract import InputError
from reports import accuracy_tables, difference_table
from reports.tables.table import to_latex, to_markdown

ONE = {"embed_dim": 384, "num_heads": 3, "epochs": 40}


@pytest.fixture(scope="module")
def published():
    return published_tables()


@pytest.fixture
def small(published):
    """One set-up at two learning rates."""
    rows = (published[list(ONE)] == pd.Series(ONE)).all(axis=1) & published["learning_rate"].isin([0.005, 0.01])
    return published[rows].reset_index(drop=True)


def test_the_published_layout_is_one_table_per_embedding(published):
    tables = accuracy_tables(published)
    assert [t.accuracies.shape for t in tables] == [(20, 20), (20, 20)]
    assert ["embed dim 384" in t.caption for t in tables] == [True, False]
    for table, embedding in zip(tables, (384, 768), strict=True):
        assert table.accuracies.index.names == ["learning_rate", "compression"]
        assert table.accuracies.columns.names == ["num_heads", "epochs", "sparsity"]
        for row in published[published["embed_dim"] == embedding].to_dict("records"):
            cell = table.accuracies.loc[
                (row["learning_rate"], row["compression"]), (row["num_heads"], row["epochs"], row["sparsity"])
            ]
            assert cell == row["accuracy"]


def test_markdown_of_a_small_table(small):
    (table,) = accuracy_tables(small[small["sparsity"] < 0.82])
    assert table.to_markdown().splitlines() == [
        "Held-out accuracy (%) by learning rate and compression (rows) and sparsity (columns), embed dim 384, "
        "num heads 3, epochs 40. Compression 0 is the baseline. One seed per cell: no single cell tells "
        "an effect from luck. Columns: sparsity.",
        "",
        "| learning rate | compression | 0.75 | 0.8 |",
        "| ---: | ---: | :--- | :--- |",
        "| 0.005 | 0 | 77.41 | 77.27 |",
        "| 0.005 | 0.2 | 77.72 | 77.59 |",
        "| 0.005 | 0.4 | 78.19 | 77.32 |",
        "| 0.005 | 0.6 | 77.79 | 77.35 |",
        "| 0.005 | 0.8 | 77.56 | 77.26 |",
        "| 0.01 | 0 | 78.02 | 77.75 |",
        "| 0.01 | 0.2 | 78.35 | 77.93 |",
        "| 0.01 | 0.4 | 78.23 | 77.57 |",
        "| 0.01 | 0.6 | 78.20 | 78.28 |",
        "| 0.01 | 0.8 | 77.37 | 77.01 |",
    ]


def test_own_numbers_stand_beside_the_published_ones(small, published):
    own = small.assign(accuracy=small["accuracy"] - 1.5).drop(index=3)
    own.loc[5, "accuracy"] = np.nan
    (table,) = accuracy_tables(own, published)
    assert "own minus published: mean −1.50 points" in table.caption
    assert "48 of 50 cells have both" in table.caption
    assert "–: no accuracy (2 cells)" in table.caption
    lines = table.to_markdown().splitlines()
    assert lines[4].startswith("| 0.005 | 0 | 75.91 (77.41) | 75.77 (77.27) | 75.33 (76.83) | – (76.84) |")
    assert "-- (76.84)" in table.to_latex()
    flat = pd.read_csv(io.StringIO(table.to_csv()))
    assert list(flat.columns[:4]) == ["learning_rate", "compression", "0.75", "0.8"]
    assert flat["0.75 published"][0] == 77.41
    assert flat["0.75"][0] == pytest.approx(75.91)
    assert np.isnan(flat["0.9"][0])


def test_published_values_that_own_settings_do_not_have_are_dashes(small, published):
    (table,) = accuracy_tables(small.assign(embed_dim=192), published)
    assert "published values; no cell has both" in table.caption
    assert "77.41 (–)" in table.to_markdown()


def test_seeds_are_averaged_and_counted(small):
    seeds = pd.concat([small.assign(seed=i, accuracy=small["accuracy"] + i) for i in range(3)]).iloc[:-1]
    (table,) = accuracy_tables(seeds)
    assert "Mean over seeds (n = 2–3)." in table.caption
    assert table.accuracies.loc[(0.005, 0.0), 0.75] == pytest.approx(78.41)


def test_any_settings(small):
    plain = small[small["learning_rate"] == 0.005].drop(columns=[*ONE, "learning_rate"])
    (table,) = accuracy_tables(plain, blocks=())
    assert table.accuracies.shape == (5, 5)
    assert r"sparsity & 0.75 & 0.8 & 0.85 & 0.9 & 0.95 \\" in table.to_latex()
    text = pd.concat([small.assign(opt_name=name) for name in ("sgd_m", "adam")])
    (table,) = accuracy_tables(text, blocks=("opt_name", "learning_rate"))
    assert r"opt name & \multicolumn{5}{c}{adam} & \multicolumn{5}{c}{sgd\_m} \\" in table.to_latex()
    assert "adam / 0.75" in table.to_markdown()


def test_latex_is_booktabs_and_escaped(published):
    text = accuracy_tables(published)[0].to_latex(label="tab:one")
    for part in (
        r"\toprule",
        r"\midrule",
        r"\bottomrule",
        r"\label{tab:one}",
        r"accuracy (\%)",
        r"\multicolumn{10}{c}{3}",
    ):
        assert part in text
    assert "_" not in text
    assert text.count(r"\\") == 20 + 4


def test_settings_that_cannot_be_matched_are_an_error(small, published):
    with pytest.raises(InputError, match="no column width, so cells cannot be matched"):
        accuracy_tables(small.rename(columns={"embed_dim": "width"}), published, blocks=("width",))


@pytest.mark.parametrize("suffix", ["csv", "md", "tex"])
def test_suffix_decides(small, tmp_path, suffix):
    (table,) = accuracy_tables(small)
    printed = {"csv": table.to_csv, "md": table.to_markdown, "tex": table.to_latex}[suffix]()
    assert table.save(tmp_path / f"t.{suffix}").read_text(encoding="utf-8") == printed
    with pytest.raises(InputError, match=r"unknown table format '\.xlsx'"):
        table.save(tmp_path / "t.xlsx")


def test_differences_with_intervals(published):
    effect = compression_effect(published, stable_only=True)
    table = difference_table(effect)
    assert list(table.columns) == [
        "scope",
        "ratio",
        "won",
        "tied",
        "lost",
        "mean difference",
        "ci_low",
        "ci_high",
        "p_adjusted",
        "blocks",
    ]
    last = "| stable blocks | 0.8 | 52 | 2 | 86 | −0.178 | −0.305 | −0.0522 | 0.0669 | 28 |"
    assert to_markdown(table).splitlines()[-1] == last
    assert "mean difference" in to_latex(table)
