from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from test_analysis_comparison import in_memory

from burden_analysis import Comparison, compare_strategies


@pytest.fixture
def comparison() -> Comparison:
    return compare_strategies(in_memory(np.random.default_rng(0).normal(0, 1, (3, 3, 3))), scale="raw")


def test_csv_reads_back_at_full_precision(comparison: Comparison) -> None:
    back = pd.read_csv(io.StringIO(comparison.to_csv()))
    pd.testing.assert_frame_equal(back, comparison.table, check_exact=True, check_dtype=False)


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
