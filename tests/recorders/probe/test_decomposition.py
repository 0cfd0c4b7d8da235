from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recorders.contract import ORDERS, PARTS, TERMS
from recorders.probe.decomposition import Outputs, parts, terms
from recorders.training.probing import MaskHistory

values = hnp.arrays(np.float64, (4, 3), elements=st.floats(-10, 10, allow_subnormal=False))


def outputs(old: object, new: object, both: object | None = None, either: object | None = None) -> Outputs:
    as_rows = [torch.tensor(v, dtype=torch.float64) for v in (old, new, both or old, either or old)]
    return Outputs(*as_rows)


@given(values, values, values)
def test_the_terms_add_up(target: np.ndarray, old: np.ndarray, new: np.ndarray) -> None:
    found = Outputs(*(torch.from_numpy(v) for v in (old, new, old, new)))
    fit, compensation, covariance, new_fit, burden = terms(found, torch.from_numpy(target)).tolist()
    scale = fit + compensation + abs(covariance)
    assert fit + compensation + covariance == pytest.approx(new_fit, rel=1e-9, abs=1e-12 * scale)
    assert fit == pytest.approx(((target - old) ** 2).sum() / 4)
    assert compensation == pytest.approx(((old - new) ** 2).sum() / 4)
    assert 0 <= burden <= 1


def test_two_units_by_hand() -> None:
    # Two samples, two outputs. e = (1, 0), (0, 2); δ = (0.5, 0), (0, -1).
    found = terms(outputs([[0.0, 0], [1, 0]], [[-0.5, 0], [1, 1]]), torch.tensor([[1.0, 0], [1, 2]]))
    expected = {"fit": 5 / 2, "compensation": 1.25 / 2, "covariance": 2 * (0.5 - 2) / 2, "new_fit": (2.25 + 1) / 2}
    assert dict(zip(TERMS, found.tolist(), strict=True)) == expected | {"burden": 0.2}


@pytest.mark.parametrize(
    ("old", "new", "both", "either", "lost", "regained", "recovered"),
    [
        ([[2.0, 1]], [[2.0, 1]], [[2.0, 1]], [[2.0, 1]], 0, 0, 0),  # nothing pruned, nothing back
        ([[2.0, 1]], [[0.0, 1]], [[0.0, 1]], [[2.0, 1]], 4, 0, 0),  # pruned, nothing back
        ([[2.0, 1]], [[2.0, 1]], [[0.0, 1]], [[4.0, 1]], 4, 4, 1),  # all that was lost came back
        ([[2.0, 1]], [[1.0, 1]], [[0.0, 1]], [[3.0, 1]], 4, 1, 0.75),
        ([[2.0, 1]], [[-3.0, 1]], [[0.0, 1]], [[-1.0, 1]], 4, 9, 1 - 25 / 4),  # what came back made it worse
        ([[2.0, 1]], [[3.0, 1]], [[2.0, 1]], [[3.0, 1]], 0, 1, np.nan),  # nothing lost, something back
    ],
)
def test_parts_by_hand(
    old: object, new: object, both: object, either: object, lost: float, regained: float, recovered: float
) -> None:
    found = dict(zip(PARTS, parts(outputs(old, new, both, either))[:, 0].tolist(), strict=True))
    np.testing.assert_equal(found, {"lost": lost, "regained": regained, "recovered": recovered})


@given(values, values, values)
def test_a_linear_split_does_not_depend_on_the_order(both: np.ndarray, lost: np.ndarray, back: np.ndarray) -> None:
    rows = (both + lost, both + back, both, both + lost + back)
    found = parts(Outputs(*(torch.from_numpy(v) for v in rows))).numpy()
    assert len(ORDERS) == found.shape[1]
    scale = 1 + (np.abs(both) ** 2).sum()
    np.testing.assert_allclose(found[:2, 0], found[:2, 1], rtol=1e-9, atol=1e-12 * scale)
    np.testing.assert_allclose(found[:2, 0], found[:2, 2], rtol=1e-9, atol=1e-12 * scale)


def test_the_mean_of_both_orders_is_the_mean_of_the_vectors() -> None:
    found = parts(outputs([[0.0, 1]], [[1.0, 0]], [[3.0, 0]], [[0.0, 5]]))
    # pruned first: lost (-3, 1), regained (-2, 0); returned first: lost (-1, 5), regained (0, 4).
    assert found[0].tolist() == [10, 26, 4 + 9]
    assert found[1].tolist() == [4, 16, 1 + 4]


@given(st.lists(hnp.arrays(bool, 12), min_size=2, max_size=8))
def test_overlap_agrees_with_keeping_every_mask(masks: list[np.ndarray]) -> None:
    history = MaskHistory({"a": torch.from_numpy(masks[0])})
    for mask in masks[1:]:
        before, after = history.advance({"a": torch.from_numpy(mask)})
        assert torch.equal(after["a"], torch.from_numpy(mask))
        assert before is not after
    final = masks[-1]
    union = [(m | final).sum() for m in masks[1:]]
    expected = [(m & final).sum() / u if u else 1.0 for m, u in zip(masks[1:], union, strict=True)]
    np.testing.assert_allclose(history.overlaps(), expected)
