from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from recorders.measure.active_places import ActivePlaces
from recorders.measure.indicators import measure

Array = npt.NDArray[np.float64]


def oracle(weight: Array, gradient: Array, mask: Array) -> list[float]:
    n = mask.sum()
    g, w = gradient[mask > 0], weight[mask > 0]
    return [
        float(np.sqrt((g**2).sum())),
        float(np.sqrt((gradient**2).sum())),
        float(np.abs(g).sum() / n),
        float(np.sqrt((w**2).sum())),
        float(np.abs(w).sum() / n),
    ]


def test_indicators_by_hand() -> None:
    weight, gradient, mask = (
        torch.tensor([[3.0, 7.0, -4.0]]),
        torch.tensor([[1.0, 5.0, -1.0]]),
        torch.tensor([[1.0, 0, 1]]),
    )
    places = ActivePlaces([mask], stacked=False)
    assert places.counts.tolist() == [[2.0]]
    values = measure([weight], [gradient], places)
    assert values.shape == (5, 1, 1)
    np.testing.assert_allclose(values.flatten(), [2**0.5, 27**0.5, 1.0, 5.0, 3.5])


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_float32_indicators_agree_with_float64_numpy(scale: float) -> None:
    torch.manual_seed(0)
    shapes = [(300, 1024), (100, 300), (10, 100)]
    weights, gradients = ([torch.randn(s) * scale for s in shapes] for _ in range(2))
    masks = [(torch.rand(s) > 0.9).float() for s in shapes]
    values = measure(weights, gradients, ActivePlaces(masks, stacked=False))
    for i, (w, g, m) in enumerate(zip(weights, gradients, masks, strict=True)):
        np.testing.assert_allclose(
            values[:, 0, i], oracle(w.double().numpy(), g.double().numpy(), m.double().numpy()), 2e-6
        )


def test_a_stack_measures_each_run_by_itself() -> None:
    torch.manual_seed(0)
    stack = [[torch.randn(3, *s) for s in ((4, 5), (2, 3, 2))] for _ in range(2)]
    masks = [(torch.rand(3, *s) > 0.5).float() for s in ((4, 5), (2, 3, 2))]
    together = measure(*stack, ActivePlaces(masks, stacked=True))
    for run in range(3):
        mine = [m[run] for m in masks]
        alone = measure(*[[t[run] for t in ts] for ts in stack], ActivePlaces(mine, stacked=False))
        torch.testing.assert_close(together[:, run : run + 1], alone, rtol=1e-6, atol=0)


def test_an_emptied_tensor_has_no_mean_per_weight() -> None:
    weight = torch.ones(1, 2)
    values = measure([weight], [weight], ActivePlaces([0 * weight], stacked=False)).flatten()
    assert values[[0, 1, 3]].tolist() == [0.0, pytest.approx(2**0.5), 0.0]
    assert torch.isnan(values[[2, 4]]).all()
