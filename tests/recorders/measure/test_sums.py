"""The sums behind the indicators: compiled in one pass, and in a few torch calls; both against float64."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from recorders import Recorder
from recorders.measure import fused_sums, indicators
from recorders.measure.active_places import ActivePlaces
from recorders.measure.indicators import measure, norms, totals
from recorders.measure.packed_sums import PackedSums
from tests.recorders.own_loop import RUN, network

SHAPES = [(3, 5), (1, 1), (300, 1024), (257, 3), (2, 3, 4, 5), (0, 4), (600, 700)]


@pytest.fixture(params=["numba", "torch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "torch":
        monkeypatch.setattr(indicators, "can_fuse", lambda *_: False)
    else:
        pytest.importorskip("numba")
        assert fused_sums.kernel() is not None
    return str(request.param)


def expected(weight: torch.Tensor, gradient: torch.Tensor, mask: torch.Tensor | None) -> list[float]:
    w, g = (
        t.detach().to(torch.complex128 if t.is_complex() else torch.float64).abs().numpy() for t in (weight, gradient)
    )
    on = np.ones(w.shape, bool) if mask is None else mask.numpy().astype(bool)
    return [
        float(x)
        for x in (
            np.sqrt((g[on] ** 2).sum()),
            np.sqrt((g**2).sum()),
            g[on].sum(),
            np.sqrt((w[on] ** 2).sum()),
            w[on].sum(),
        )
    ]


@pytest.mark.parametrize("density", [None, 0.0, 0.1, 0.5, 0.97])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_sums_of_any_shape_agree_with_float64(way: str, density: float | None, scale: float) -> None:
    torch.manual_seed(0)
    weights, gradients = ([torch.randn(shape) * scale for shape in SHAPES] for _ in range(2))
    drawn = [None if density is None else torch.rand(shape) < density for shape in SHAPES]
    masks = [torch.ones(()).expand(shape) if m is None else m for shape, m in zip(SHAPES, drawn, strict=True)]
    values = totals(weights, gradients, ActivePlaces(masks, stacked=False))
    for i, (w, g, m) in enumerate(zip(weights, gradients, drawn, strict=True)):
        np.testing.assert_allclose(values[:, 0, i], expected(w, g, m), rtol=3e-6, err_msg=str(SHAPES[i]))


def test_the_compiled_pass_neither_overflows_nor_underflows() -> None:
    pytest.importorskip("numba")
    for scale in (1e-30, 1e30):
        weight, gradient = torch.full((70, 70), scale), torch.full((70, 70), -2 * scale)
        values = totals([weight], [gradient], ActivePlaces([torch.ones(70, 70)], stacked=False)).flatten()
        np.testing.assert_allclose(values, expected(weight, gradient, None), rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_both_ways_agree_in_stacks_too(data: st.DataObject) -> None:
    pytest.importorskip("numba")
    runs = data.draw(st.sampled_from([1, 2, 5]))
    count = data.draw(st.integers(1, 4))
    shapes = [(runs, *data.draw(st.lists(st.integers(1, 40), min_size=2, max_size=3))) for _ in range(count)]
    draw = torch.Generator().manual_seed(data.draw(st.integers(0, 2**31)))
    weights, gradients = ([torch.randn(s, generator=draw) for s in shapes] for _ in range(2))
    density = data.draw(st.sampled_from([0.05, 0.5, 2.0]))
    masks = [torch.rand(s, generator=draw) < density for s in shapes]
    places = ActivePlaces(masks, stacked=True)
    fused = fused_sums.fused_sums(gradients, weights, range(count), places)
    packed = places.packed(range(count), torch.float32, torch.device("cpu")).add(gradients, weights)
    np.testing.assert_allclose(packed, fused, rtol=3e-6)
    for run in range(runs):
        for i in range(count):
            np.testing.assert_allclose(
                fused[:, run, i], expected(weights[i][run], gradients[i][run], masks[i][run]), rtol=1e-9
            )


def test_what_is_not_finite_at_a_masked_place_shows_in_the_dense_norm_alone(way: str) -> None:
    weight, gradient, mask = torch.ones(40, 40), torch.ones(40, 40), torch.ones(40, 40, dtype=torch.bool)
    gradient[0, 0], weight[0, 1], mask[0, :2] = torch.nan, torch.inf, False
    values = totals([weight], [gradient], ActivePlaces([mask], stacked=False)).flatten()
    n = 40 * 40 - 2
    np.testing.assert_allclose(values, [n**0.5, np.nan, n, n**0.5, n], rtol=1e-6)
    gradient[1, 1] = torch.nan
    assert totals([weight], [gradient], ActivePlaces([mask], stacked=False)).flatten()[[0, 2]].isnan().all()


@pytest.mark.parametrize(
    "made",
    [
        lambda t: t.half(),
        lambda t: t.bfloat16(),
        lambda t: t.double(),
        lambda t: torch.complex(t, t.flip(0)),
        lambda t: t.t().contiguous().t(),
        lambda t: torch.stack([t, t], -1)[..., 0],
        lambda t: t.to_sparse(),
    ],
    ids=["half", "bfloat16", "double", "complex", "transposed", "gaps", "sparse"],
)
def test_odd_tensors_are_measured_beside_plain_ones(way: str, made: Any) -> None:
    torch.manual_seed(1)
    plain, odd = torch.randn(30, 30), made(torch.randn(40, 50))
    masks = [torch.rand(30, 30) > 0.3, torch.rand(40, 50) > 0.6]
    dense = odd.to_dense() if odd.layout is torch.sparse_coo else odd
    places = ActivePlaces(masks, stacked=False)
    values = totals([plain, dense], [plain, odd], places)
    np.testing.assert_allclose(values[:, 0, 0], expected(plain, plain, masks[0]), rtol=3e-6)
    np.testing.assert_allclose(values[:, 0, 1], expected(dense, dense, masks[1]), rtol=3e-6)
    np.testing.assert_allclose(norms([plain, dense], places)[0], values[0, 0], rtol=1e-7)


class Calls(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen[str(function)] += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("masked", [False, True])
def test_torch_calls_do_not_grow_with_the_number_of_tensors(way: str, masked: bool) -> None:
    def calls(count: int) -> Counter[str]:
        weights, gradients = ([torch.randn(8, 8) for _ in range(count)] for _ in range(2))
        masks = [torch.eye(8) if masked else torch.ones(8, 8) for _ in range(count)]
        places = ActivePlaces(masks, stacked=False)
        measure(weights, gradients, places)  # lays the buffer out
        with Calls() as counted:
            measure(weights, gradients, places)
        return counted.seen

    few, many = calls(3), calls(300)
    assert few == many
    assert 0 < few.total() <= {"numba": 8, "torch": 60}[way]


@pytest.mark.parametrize("way", ["numba"], indirect=True)
def test_a_step_of_a_recorded_loop_makes_as_many_torch_calls_whatever_the_depth(tmp_path: Path, way: str) -> None:
    def extra(depth: int) -> int:
        counts = []
        for recorded in (False, True):
            model = torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(depth)))
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1, foreach=True)
            options: dict[str, Any] = {"run": RUN, "interval": 1000, "sample_every": 1, "total_steps": 1000}
            recorder = Recorder(tmp_path / f"{depth}.zarr", model, optimizer, **options) if recorded else None
            model(torch.randn(2, 4)).sum().backward()
            optimizer.step()
            with Calls() as counted:
                optimizer.step()
            counts.append(counted.seen.total())
            if recorder is not None:
                recorder.close("enough")
        return counts[1] - counts[0]

    assert extra(2) == extra(40) <= 20


def test_steps_that_are_not_measured_make_no_torch_call(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    options: dict[str, Any] = {"run": RUN, "interval": 1000, "sample_every": 1000, "total_steps": 1000}
    model(torch.randn(2, 12)).sum().backward()
    with Calls() as bare:
        optimizer.step()
    recorder = Recorder(tmp_path / "s.zarr", model, optimizer, **options)
    with Calls() as counted:
        optimizer.step()
    recorder.close("enough")
    assert counted.seen == bare.seen


def test_numba_that_does_not_work_is_said_once(monkeypatch: pytest.MonkeyPatch, fresh_kernel: None) -> None:
    monkeypatch.setitem(sys.modules, "recorders.measure.one_pass", SimpleNamespace())  # without what is imported
    monkeypatch.setattr(fused_sums, "find_spec", lambda _: object())
    with pytest.warns(UserWarning, match="numba is installed but does not work, recording takes longer: ImportError"):
        assert fused_sums.kernel() is None
    assert fused_sums.kernel() is None
    assert fused_sums.summed_by() == f"torch {torch.__version__}"


def test_without_numba_torch_adds_up(monkeypatch: pytest.MonkeyPatch, fresh_kernel: None) -> None:
    monkeypatch.setattr(fused_sums, "find_spec", lambda _: None)
    weight = torch.tensor([[3.0, -4.0]])
    values = totals([weight], [weight], ActivePlaces([torch.ones(1, 2)], stacked=False)).flatten()
    assert values.tolist() == [5.0, 5.0, 7.0, 5.0, 7.0]
    assert fused_sums.summed_by() == f"torch {torch.__version__}"


@pytest.fixture
def fresh_kernel() -> Iterator[None]:
    fused_sums.kernel.cache_clear()
    yield
    fused_sums.kernel.cache_clear()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("masked", [False, True])
def test_measuring_on_a_gpu_waits_for_nothing(masked: bool) -> None:
    weights, gradients = ([torch.randn(s, device="cuda") for s in SHAPES] for _ in range(2))
    masks = [torch.rand(s, device="cuda") < (0.5 if masked else 2) for s in SHAPES]
    places = ActivePlaces(masks, stacked=False)
    measure(weights, gradients, places)
    torch.cuda.set_sync_debug_mode("error")
    try:
        values = measure(weights, gradients, places)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for i, (w, g, m) in enumerate(zip(weights, gradients, masks, strict=True)):
        want = np.array(expected(w.cpu(), g.cpu(), m.cpu()))
        want[[2, 4]] /= float(m.sum())
        np.testing.assert_allclose(values[:, 0, i].cpu(), want, rtol=3e-6)


def test_what_has_no_memory_of_its_masks_size_is_not_read_by_address() -> None:
    weight, zeros = torch.ones(50, 50), torch._efficientzerotensor((50, 50))
    given_back = torch.ones(50, 50)
    given_back.untyped_storage().resize_(0)
    for odd in (zeros, given_back, torch.ones(49, 50)):
        assert not fused_sums.can_fuse(odd, weight, (50, 50))
        assert not fused_sums.can_fuse(weight, odd, (50, 50))
    values = totals([weight], [zeros], ActivePlaces([torch.eye(50)], stacked=False)).flatten()
    assert values.tolist() == [0, 0, 0, pytest.approx(50**0.5), 50]


def test_pieces_of_large_tensors_are_added_up() -> None:
    """A tensor that is larger than a batch, twice over, in a stack whose runs have masks of their own."""
    torch.manual_seed(2)
    shapes = [(2, 700, 901), (2, 3, 3)]
    tensors = [torch.randn(s) for s in shapes]
    masks = [torch.rand(s) < 0.2 for s in shapes]
    sums = PackedSums(shapes, masks, [0, 1], 2, stacked=True, dtype=torch.float32, device=torch.device("cpu"))
    values = sums.add(tensors, tensors)
    for run in range(2):
        for i in range(2):
            want = expected(tensors[i][run], tensors[i][run], masks[i][run])
            np.testing.assert_allclose(values[:, run, i], want, rtol=3e-6)
