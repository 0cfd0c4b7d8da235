"""Pruning methods: exact counts, and the property that defines each of them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from burden_analysis import open_study
from recorders.contract import InputError
from recorders.methods.allocation import active_count, erk, uniform
from recorders.methods.gmp import GMP
from recorders.methods.masks import magnitude_masks
from recorders.methods.method import Layers, Training
from recorders.methods.registry import METHODS, make_method
from recorders.methods.rigl import RigL
from recorders.methods.schedule import CubicSchedule
from recorders.methods.set import SET
from recorders.networks.mlp import mlp
from recorders.seeding import with_seeded_weights
from recorders.settings.settings import Settings
from recorders.study.record import record_study
from recorders.study.resources import Resources
from recorders.training.cohort import Cohort

SHAPES = {"a.weight": (12, 20), "b.weight": (5, 12), "c.weight": (3, 5)}
SPREADS = {"a.weight": 0.1, "b.weight": 0.2, "c.weight": 0.3}
SIZE = 12 * 20 + 5 * 12 + 3 * 5


def layers(seed: int, masks: list[torch.Tensor] | None = None) -> Layers:
    torch.manual_seed(seed)
    weights = [torch.randn(s) for s in SHAPES.values()]
    masks = masks or [torch.ones(s, dtype=torch.bool) for s in SHAPES.values()]
    return Layers(weights, [torch.randn(s) for s in SHAPES.values()], masks)


def training(sparsity: float = 0.8) -> Training:
    return Training(SHAPES, SPREADS, sparsity, 0.0, total=400, per_epoch=50, interval=0, end=1.0, seed=3)


def run(name: str, sparsity: float = 0.8) -> list[list[torch.Tensor]]:
    """Masks after the start and after each update, with weights that random steps move."""
    method = make_method(name, training(sparsity))
    start = method.start()
    masks = [start[n] for n in SHAPES] if start else [torch.ones(s, dtype=torch.bool) for s in SHAPES.values()]
    weights = layers(0).weights
    history = [masks]
    with torch.no_grad():
        for step in method.updates():
            torch.manual_seed(step)
            for weight, mask in zip(weights, history[-1], strict=True):
                weight += 0.3 * torch.randn_like(weight) * (mask if method.masks_gradients else 1)
            now = Layers(weights, [torch.randn_like(w) for w in weights], history[-1])
            method.learn(now) if method.learns else None
            history.append(method.update(now, step))
    return history


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("sparsity", [0.5, 0.8, 0.95])
def test_the_sparsity_at_the_end_is_exact(name: str, sparsity: float) -> None:
    history = run(name, sparsity)
    assert sum(int(m.sum()) for m in history[-1]) == active_count(sparsity, SIZE)
    assert all(m.dtype == torch.bool for m in history[-1])
    assert len(history) > 2


@pytest.mark.parametrize(("name", "revives"), [("iterative", True), ("gmp", False), ("set", True), ("rigl", True)])
def test_who_revives(name: str, revives: bool) -> None:
    history = run(name)
    came_back = [
        bool((new & ~old).any())
        for before, after in itertools.pairwise(history)
        for old, new in zip(before, after, strict=True)
    ]
    assert any(came_back) is revives


def test_gmp_prunes_every_layer_alike_and_keeps_its_largest() -> None:
    method = GMP(CubicSchedule(0.0, 0.8, 0, 100, 10), SHAPES)
    now = layers(1)
    masks = method.update(now, 100)
    for name, weight, mask in zip(SHAPES, now.weights, masks, strict=True):
        assert int(mask.sum()) == uniform(SHAPES, 0.8)[name]
        assert weight[mask].abs().min() >= weight[~mask].abs().max()


def test_gmp_asks_no_layer_for_more_than_it_has() -> None:
    masks = [torch.ones(s, dtype=torch.bool) for s in SHAPES.values()]
    masks[1][1:] = False
    masks[1][0, 6:] = False  # 6 weights left, 12 wanted
    found = GMP(CubicSchedule(0.0, 0.8, 0, 100, 10), SHAPES).update(layers(1, masks), 100)
    assert int(found[1].sum()) == 6
    assert not bool((found[1] & ~masks[1]).any())
    assert sum(int(m.sum()) for m in found) == active_count(0.8, SIZE)


def test_rigl_drops_the_smallest_and_grows_where_the_gradient_is_largest() -> None:
    method = RigL(SHAPES, 0.5, interval=10, end=100, seed=0, fraction=0.4)
    start = method.start()
    now = layers(2, [start[n] for n in SHAPES])
    for weight, mask in zip(now.weights, now.masks, strict=True):
        weight *= mask
    before = [w.clone() for w in now.weights]
    with torch.no_grad():
        found = method.update(now, 50)  # the cosine is at half: a share of 0.2
    for old, weight, gradient, mask, new in zip(before, now.weights, now.gradients, now.masks, found, strict=True):
        moved = int(0.2 * int(mask.sum()))
        order = np.argsort(np.where(mask, old.abs(), np.inf).ravel(), kind="stable")
        kept = mask.numpy().copy().ravel()
        kept[order[:moved]] = False
        scores = np.where(kept, -1, gradient.abs().numpy().ravel())
        expected = kept.copy()
        expected[np.argsort(-scores, kind="stable")[:moved]] = True
        assert np.array_equal(new.numpy().ravel(), expected)
        assert not bool(weight[new & ~mask].any())  # new weights start at 0
        assert torch.equal(weight[mask], old[mask])
    assert {n: int(m.sum()) for n, m in zip(SHAPES, found, strict=True)} == erk(SHAPES, 0.5)


def test_rigl_rewires_less_and_less_and_stops_at_three_quarters() -> None:
    steps = make_method("rigl", training()).updates()
    assert list(steps) == [100, 200]
    history = run("rigl")
    moved = [
        int((new & ~old).sum()) for old, new in zip((h[0] for h in history), (h[0] for h in history[1:]), strict=False)
    ]
    assert moved[0] > moved[-1]


def test_set_drops_what_is_near_zero_of_each_sign_and_grows_at_random() -> None:
    method = SET(SHAPES, SPREADS, 0.5, interval=50, last=350, seed=0)
    start = method.start()
    now = layers(4, [start[n] for n in SHAPES])
    for weight, mask in zip(now.weights, now.masks, strict=True):
        weight *= mask
    before = [w.clone() for w in now.weights]
    with torch.no_grad():
        found = method.update(now, 50)
    grown = []
    for name, old, weight, mask, new in zip(SHAPES, before, now.weights, now.masks, found, strict=True):
        for sign in (old > 0, old < 0):
            candidates = old[mask & sign].abs().sort().values
            count = int(0.3 * len(candidates))
            survivors = old[mask & sign & new & (weight == old)].abs()
            if 0 < count < len(candidates) and int((~mask).sum()) > 0.3 * int(mask.sum()):  # else less is rewired
                assert survivors.min() >= candidates[count]
        fresh = weight[new & ~mask]
        assert bool((fresh.abs() <= np.sqrt(3) * SPREADS[name]).all())
        assert bool((fresh != 0).all())
        assert int(new.sum()) == int(mask.sum())
        grown.append(new & ~mask)
    again = layers(4, [start[n] for n in SHAPES])
    with torch.no_grad():
        other = method.update(again, 100)
    assert any(not torch.equal(g, o & ~m) for g, o, m in zip(grown, other, again.masks, strict=True))


def test_set_leaves_the_last_epoch_alone() -> None:
    assert list(make_method("set", training()).updates()) == [50, 100, 150, 200, 250, 300, 350]


def test_gumbel_learns_which_weights_matter() -> None:
    """Weights whose removal would lower the loss get smaller logits: their gradient times weight is positive."""
    method = make_method("gumbel", training(0.5))
    now = layers(5)
    good = [torch.rand(s) > 0.5 for s in SHAPES.values()]
    gradients = [torch.where(g, -1.0, 1.0) * w.sign() for g, w in zip(good, now.weights, strict=True)]
    with torch.no_grad():
        for _ in range(50):
            method.learn(Layers(now.weights, gradients, now.masks))
        masks = method.update(now, 400)
    flat, chosen = torch.cat([g.reshape(-1) for g in good]), torch.cat([m.reshape(-1) for m in masks])
    assert int((flat & chosen).sum()) == min(int(flat.sum()), int(chosen.sum()))


def test_gumbel_noise_is_reproducible_and_gone_at_the_end() -> None:
    first, second = (make_method("gumbel", training(0.5)) for _ in range(2))
    now = layers(6)
    assert all(torch.equal(a, b) for a, b in zip(first.update(now, 96), second.update(now, 96), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(first.update(now, 96), first.update(now, 112), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first.update(now, 400), second.update(now, 400), strict=True))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    stores = {}
    for kind in ("apart", "stacked"):
        stores[kind] = tmp_path_factory.mktemp(kind) / "study.zarr"
        settings = Settings().with_values(
            strategies=("iterative", "gmp", "set", "rigl", "gumbel", "random"),
            sparsities=(0.8,),
            seeds=(0,),
            epochs=15,
            hidden=(40, 20),
            pruning_interval=12,
        )
        using = Resources(torch.device("cpu"), workers=1, stacked=kind == "stacked")
        outcomes = record_study(settings, stores[kind], using=using)
        assert [o.reason for o in outcomes] == [""] * 6
    return stores


@pytest.mark.parametrize("kind", ["apart", "stacked"])
def test_every_method_trains_and_is_recorded_alike(recorded: dict[str, Path], kind: str) -> None:
    with open_study(recorded[kind]) as dataset:
        dataset = dataset.load()
    by_name = {str(s): dataset.sel(run=dataset["strategy"] == s).isel(run=0) for s in dataset["strategy"].to_numpy()}
    for name, one in by_name.items():
        last = int(one["records_written"]) - 1
        assert float(one["actual_sparsity"][last]) == pytest.approx(0.8, abs=0.03), name
        if name == "random":
            continue
        assert float(one["accuracy"].dropna("record")[-1]) > 0.3, name  # chance is 0.1
        assert float(one["compensation"].sum()) > 0, name
        residual = one["fit"] + one["compensation"] + one["covariance"] - one["new_fit"]
        assert float((abs(residual) / one["new_fit"]).max()) < 1e-9, name
        finite = one["overlap"].dropna("update")
        assert float(finite[-1]) == 1.0, name
    counts = {n: float(one["regrown"].sum()) for n, one in by_name.items()}
    assert counts["gmp"] == 0
    assert counts["iterative"] > 0
    assert counts["set"] > 0
    assert counts["rigl"] > 0


def test_a_stack_prunes_as_single_runs_do(recorded: dict[str, Path]) -> None:
    with open_study(recorded["apart"]) as alone, open_study(recorded["stacked"]) as together:
        for name in ("iterative", "gmp", "set", "rigl", "gumbel"):
            one, other = (d.sel(run=d["strategy"] == name).isel(run=0) for d in (alone, together))
            own, among = (np.flatnonzero(d["update_step"].notnull()) for d in (one, other))
            assert np.array_equal(one["update_step"][own], other["update_step"][among]), name
            first = slice(0, 2)  # float order differs, and pruning magnifies it
            for count in ("pruned", "regrown"):
                ours, theirs = one[count].transpose("update", ...)[own], other[count].transpose("update", ...)[among]
                np.testing.assert_allclose(ours[first], theirs[first], atol=3, err_msg=f"{name} {count}")
                assert np.nansum(ours) == pytest.approx(np.nansum(theirs), rel=0.1, abs=3), (name, count)
            np.testing.assert_allclose(one["loss"][:8], other["loss"][:8], rtol=0.02)


@pytest.mark.parametrize("name", ["set", "rigl", "gmp"])
def test_masked_weights_do_not_move_and_forget_their_momentum(name: str) -> None:
    network = with_seeded_weights(0, lambda: mlp((1, 4, 4), 3, hidden=(6, 5)))
    cohort = Cohort([network], [None], torch.device("cpu"), masked=[make_method(name, training()).masks_gradients])
    optimiser = torch.optim.SGD(cohort.trainable, lr=0.1, momentum=0.9)
    x, y = torch.randn(1, 8, 1, 4, 4), torch.randint(0, 3, (1, 8))

    def step() -> None:
        cohort.backward(x, y, activations=False)
        cohort.hand_over_gradients()
        optimiser.step()
        optimiser.zero_grad()
        cohort.refresh()

    for _ in range(3):
        step()
    old = cohort.run_layers(0)
    masks = magnitude_masks(old.weights, 0.6)
    cohort.set_masks({0: masks})
    cohort.forget(optimiser, 0, [a ^ b for a, b in zip(old.masks, masks, strict=True)])
    before = [w.detach().clone() for w in cohort.dense]
    for _ in range(3):
        step()
    for then, now, mask in zip(before, cohort.dense, masks, strict=True):
        assert torch.equal(then[~mask], now[~mask])
        assert not torch.equal(then[mask], now[mask])


def test_looking_ahead_leaves_no_trace() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3))

    cohort = Cohort([with_seeded_weights(0, make)], [None], torch.device("cpu"))
    x, y = torch.randn(1, 8, 1, 4, 4), torch.randint(0, 3, (1, 8))
    buffers, state = [b.clone() for b in cohort.network.buffers()], torch.random.get_rng_state()
    with cohort.look_ahead(x, y):
        assert any(bool(g.any()) for g in cohort.run_layers(0).gradients)
    assert all(torch.equal(a, b) for a, b in zip(buffers, cohort.network.buffers(), strict=True))
    assert torch.equal(state, torch.random.get_rng_state())
    assert not any(bool(g.any()) for g in cohort.run_layers(0).gradients)


def test_a_training_too_short_for_a_method_is_refused(tmp_path: Path) -> None:
    settings = Settings().with_values(strategies=("rigl",), sparsities=(0.8,), seeds=(0,), epochs=1)
    with pytest.raises(InputError, match="rigl has no mask update in 12 steps: train longer, or pass a shorter"):
        record_study(settings, tmp_path / "s.zarr", using=Resources(torch.device("cpu"), 1))


def test_the_method_of_the_docs_works() -> None:
    page = (Path(__file__).parents[3] / "docs" / "methods.md").read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": __name__}  # dataclasses look their module up
    exec(page.partition("```python\n")[2].partition("```")[0], names)
    method = names["RandomPruning"](CubicSchedule(0.0, 0.8, 0, 40, 10), seed=1)  # type: ignore[operator]
    now = layers(0)
    for step in method.updates():
        masks = method.update(now, step)
        assert all(not bool((new & ~old).any()) for new, old in zip(masks, now.masks, strict=True))
        now = Layers(now.weights, now.gradients, masks)
    assert sum(int(m.sum()) for m in now.masks) == active_count(0.8, SIZE)
