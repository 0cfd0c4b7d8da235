from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from recorders.contract import InputError
from reports import save_table, to_csv, to_latex, to_markdown

TABLE = pd.DataFrame(
    {
        "question": ["a < b | c", "50% of x_1 & ~y^2 \\ {z}"],
        "p_adjusted": [0.000128, np.nan],
        "ci_high": [np.inf, -np.inf],
        "n": [5, 4],
        "excluded": ["", "run_7"],
    }
)


def test_csv_keeps_precision():
    pd.testing.assert_frame_equal(
        pd.read_csv(io.StringIO(to_csv(TABLE)), keep_default_na=False, na_values={"p_adjusted": [""]}), TABLE
    )


def test_markdown():
    lines = to_markdown(TABLE).splitlines()
    assert lines == [
        "| question | adjusted p | interval to | n | left out |",
        "| :--- | ---: | ---: | ---: | :--- |",
        "| a < b \\| c | 0.000128 | ∞ | 5 | – |",
        "| 50% of x_1 & ~y^2 \\ {z} | – | −∞ | 4 | run_7 |",
    ]


def test_latex_escapes_and_aligns():
    text = to_latex(TABLE, caption="All 100% of_it", label="tab:tests")
    assert r"\begin{tabular}{lSSSl}" in text
    assert r"a \textless{} b | c & 0.000128 & {$\infty$} & 5 & -- \\" in text
    assert r"50\% of x\_1 \& \textasciitilde{}y\textasciicircum{}2 \textbackslash{} \{z\} & {--} & {$-\infty$}" in text
    assert r"\caption{All 100\% of\_it}" in text
    assert r"\toprule" in text


def test_latex_without_caption_does_not_float():
    assert to_latex(TABLE).startswith(r"\begin{tabular}")


@pytest.mark.parametrize("suffix", [".csv", ".md", ".tex"])
def test_suffix_decides(tmp_path, suffix):
    printed = {".csv": to_csv, ".md": to_markdown, ".tex": to_latex}[suffix](TABLE)
    assert save_table(TABLE, tmp_path / f"t{suffix}").read_text(encoding="utf-8") == printed


def test_unknown_suffix(tmp_path):
    with pytest.raises(InputError, match=r"choose from \.csv, \.md, \.tex"):
        save_table(TABLE, tmp_path / "t.xlsx")
