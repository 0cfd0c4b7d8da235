from __future__ import annotations

import numpy as np
import pytest

from recorders.contract import InputError
from reports import accuracy_curves
from tests.reports.synthetic_tables import LOST, build


def test_the_curves_are_the_accuracies_of_complete_runs(half):
    drawn = accuracy_curves(half)
    runs = drawn.data[drawn.data["quantity"] == "run"]
    assert runs["run"].nunique() == 35
    assert LOST not in set(runs["run"])
    one = runs[runs["run"] == "tables-lr0.003/iterative-s0.95-seed2-compression=0.8"]
    here = (half["recording"] == "tables-lr0.003") & (half["run_id"] == "iterative-s0.95-seed2-compression=0.8")
    recorded = 100 * half["accuracy"].to_numpy()[here.to_numpy()][0]
    assert one["value"].tolist() == pytest.approx(recorded[1:])
    assert one["epoch"].tolist() == [2, 3, 4, 5, 6]
    means = drawn.data[(drawn.data["quantity"] == "mean") & (drawn.data["epoch"] == 6)]
    expected = runs[runs["epoch"] == 6].groupby(["sparsity", "ratio"])["value"].mean()
    assert means["value"].tolist() == pytest.approx(expected.tolist())
    assert "(n = 5–6); bold lines: arithmetic mean" in drawn.caption
    assert f"({LOST.partition('/')[2]}" not in drawn.caption
    assert "Left out: 1 run that did not complete" in drawn.caption
    assert f"{expected.loc[0.95, 0.8]:.2f} % at ratio 0.8" in drawn.description


def test_a_mean_is_drawn_only_where_every_run_was_evaluated():
    dataset = build(rates=(0.001,), axes=())
    dataset["accuracy"][0, 3] = np.nan  # sparsity 0.8, ratio 0, epoch 4
    data = accuracy_curves(dataset).data
    means = data[data["quantity"] == "mean"].groupby(["sparsity", "ratio"])["epoch"].apply(list)
    assert means[0.8, 0.0] == [2, 3, 5, 6]
    assert means[0.8, 0.4] == means[0.95, 0.0] == [2, 3, 4, 5, 6]


def test_few_runs_are_drawn_one_by_one():
    drawn = accuracy_curves(build(rates=(0.001,), axes=(), seeds=2))
    lines = [line for ax in drawn.figure.axes for line in ax.get_lines()]
    assert len(lines) == 2 * 3 * 2
    assert "fewer than 5 runs per line: no mean is drawn" in drawn.caption


def test_labels_of_the_curves_are_not_cut(half):
    figure = accuracy_curves(half).figure
    renderer = figure.canvas.get_renderer()
    texts = [t for t in figure.findobj(lambda a: hasattr(a, "get_fontsize")) if t.get_visible() and t.get_text()]
    assert {"ratio 0", "ratio 0.4", "ratio 0.8", "epochs"} <= {t.get_text() for t in texts}
    for text in texts:
        assert 5.0 <= text.get_fontsize() <= 7.0
        box = text.get_window_extent(renderer)
        if box.width:
            assert figure.bbox.x0 <= box.x0 + 1, text
            assert box.x1 <= figure.bbox.x1 + 1, text


def test_too_many_ratios_to_tell_apart():
    with pytest.raises(InputError, match=r"7 ratios .* do not fit the 6"):
        accuracy_curves(build(rates=(0.001,), ratios=tuple(np.linspace(0, 0.9, 7)), seeds=1))
