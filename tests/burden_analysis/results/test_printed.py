from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burden_analysis import Comparison, compare_sparsities, compare_strategies
from burden_analysis.results.families import Family
from burden_analysis.results.printed import in_words, to_csv, to_latex, to_markdown
from burden_analysis.statistics import page_trend
from tests.burden_analysis.synthetic_comparison import in_memory


@pytest.fixture
def comparison() -> Comparison:
    return compare_strategies(in_memory(np.random.default_rng(0).normal(0, 1, (3, 3, 3))), scale="raw")


def test_csv_reads_back_at_full_precision(comparison: Comparison) -> None:
    back = pd.read_csv(io.StringIO(comparison.to_csv()))
    pd.testing.assert_frame_equal(back, in_words(comparison.table), check_exact=True, check_dtype=False)


def test_markdown_has_a_row_per_test(comparison: Comparison) -> None:
    lines = comparison.to_markdown().splitlines()
    assert len(lines) == 2 + len(comparison.table)
    assert len({line.count("|") for line in lines}) == 1
    assert "adjusted p" in lines[0]


def test_latex_is_booktabs_with_everything_escaped(comparison: Comparison) -> None:
    text = comparison.to_latex(caption="gradient_norm at 5 %", label="tab:c")
    assert text.count("\\\\") == 1 + len(comparison.table)
    for word in ("\\toprule", "\\bottomrule", "gradient\\_norm at 5 \\%", "\\label{tab:c}", "$\\times$", "optimal $-$"):
        assert word in text
    assert text.isascii()
    assert "nan" not in text.lower()


def test_a_notebook_shows_verdict_and_table(comparison: Comparison) -> None:
    page = comparison._repr_html_()
    assert "iterative &lt; optimal" in page
    assert page.count("<tr") == 1 + len(comparison.table)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(1, 6),
    st.sampled_from([-0.5, 0.0, 0.5]),
    st.sampled_from([0.01, 0.5]),
    st.integers(0, 99),
    st.booleans(),
)
def test_words_about_sparsities_say_the_numbers(n: int, rise: float, noise: float, seed: int, gap: bool) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 1, 2)) + rise * np.arange(3)[:, None] + rng.normal(0, noise, (n, 3, 2))
    if gap and n > 1:
        values[0, 1, 0] = np.nan
    c = compare_sparsities(in_memory(values))
    rising, slopes, falling = (
        c.table[c.table["family"] == name].set_index("scope") for name in (Family.RISING, Family.SLOPE, Family.FALLING)
    )
    assert c.verdict.lower().startswith(c.outcome.words)
    for k, strategy in enumerate(("iterative", "optimal")):
        told = next(part for part in c.verdict.split("; ") if f"{strategy}: " in part).partition(f"{strategy}: ")[2]
        full = values[np.isfinite(values[:, :, k]).all(axis=1), :, k]
        assert rising.loc[strategy, "p"] == pytest.approx(page_trend(full).p)
        slope = np.polyfit([0.7, 0.8, 0.9], full.T, 1)[0] * 0.1
        assert slopes.loc[strategy, "effect"] == pytest.approx(10 ** slope.mean(), rel=1e-6)
        assert f"+0.1 sparsity {slopes.loc[strategy, 'effect']:.3g}" in told
        missing = n - len(full)
        assert (
            f"{len(full)} seed{'' if len(full) == 1 else 's'}, {missing} seed{'' if missing == 1 else 's'} inc" in told
        )
        falls = len(full) > 1 and falling.loc[strategy, "p_adjusted"] <= 0.05
        assert told.startswith("significant fall") == falls
        if len(full) > 1 and not falls:
            assert told.startswith("significant (") == (rising.loc[strategy, "p_adjusted"] <= 0.05)
        assert ("no inference is possible" in told) == (len(full) == 1)
    assert (c.outcome == "contradicted") == bool((falling["p_adjusted"] <= 0.05).any())
    if c.outcome == "supported":
        assert (rising["p_adjusted"] <= 0.05).all()
    assert f"{len(c.excluded)} left out" in c.verdict or not c.excluded


def test_no_cell_of_a_csv_is_a_formula() -> None:
    texts = [
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-1",
        "@SUM(1)",
        "\t=1",
        "\n=1",
        "\N{FULLWIDTH EQUALS SIGN}1",
        "a=b",
        "",
        None,
    ]
    table = pd.DataFrame({"=strategy": texts, "effect": -np.arange(10.0), "n": -np.arange(10)})
    back = pd.read_csv(io.StringIO(to_csv(table)), keep_default_na=False)
    assert back.columns.tolist() == ["'=strategy", "effect", "n"]
    assert back["'=strategy"].tolist() == [f"'{text}" for text in texts[:7]] + ["a=b", "", ""]
    assert (back["effect"] == table["effect"]).all()
    assert back["n"].dtype == np.int64


def test_control_characters_are_written_as_numbers() -> None:
    table = pd.DataFrame({"run": ["a\x1b[2J\u202e|\r\nb"]})
    assert "| a\\u001b[2J\\u202e\\| b |" in to_markdown(table)
    assert "a\\textbackslash{}u001b[2J" in to_latex(table)
