from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from recorders.contract import InputError
from recorders.methods.masks import magnitude_masks, random_masks
from recorders.networks.mlp import mlp
from recorders.seeding import with_seeded_weights
from recorders.settings.settings import Settings, TrainingSettings
from recorders.training.cohort import Cohort
from recorders.training.optimiser import make_optimiser
from tests.recorders.effective import effective_weights

CPU = torch.device("cpu")
SHAPES = {"hidden1.weight": (6, 16), "hidden2.weight": (5, 6), "output.weight": (3, 5)}
SETTINGS = {
    "adam": Settings(training=TrainingSettings(weight_decay=0.01)),
    "sgd": Settings(training=TrainingSettings(optimizer="sgd", learning_rate=0.05, weight_decay=0.01)),
}


def network(seed: int = 0) -> nn.Module:
    return with_seeded_weights(seed, lambda: mlp((1, 4, 4), 3, hidden=(6, 5)))


def batches(runs: int, steps: int = 5) -> list[tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(1)
    return [(torch.randn(runs, 8, 1, 4, 4), torch.randint(0, 3, (runs, 8))) for _ in range(steps)]


def prune(cohort: Cohort, sparsity: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Prune the first run by magnitude."""
    return cohort.set_masks({0: magnitude_masks(cohort.run_layers(0).weights, sparsity)})


def step(cohort: Cohort, optimiser: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    losses = cohort.backward(x, y, activations=True)
    cohort.hand_over_gradients()
    optimiser.step()
    optimiser.zero_grad()
    cohort.refresh()
    return losses


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_dense_run_is_plain_training_bit_for_bit(name: str) -> None:
    plain, cohort = network(), Cohort([network()], [None], CPU)
    optimiser = make_optimiser(list(plain.parameters()), SETTINGS[name])
    own = make_optimiser(cohort.trainable, SETTINGS[name])
    for x, y in batches(1):
        cross_entropy(plain(x[0]), y[0]).backward()
        optimiser.step()
        optimiser.zero_grad()
        step(cohort, own, x, y)
    trained = effective_weights(cohort, 0)
    assert all(torch.equal(p, trained[n]) for n, p in plain.named_parameters())


def test_dpf_applies_the_dense_gradient_at_the_masked_weights_to_the_dense_weights() -> None:
    """One step of the study's eq. 9 against autograd on a detached w̃ = m ⊙ w."""
    cohort, reference = Cohort([network()], [None], CPU), network()
    prune(cohort, 0.6)
    masks = cohort.run_masks(0)
    dense = {n: p.detach().clone() for n, p in reference.named_parameters()}
    for name, parameter in reference.named_parameters():
        if name in masks:
            parameter.data *= masks[name]
    x, y = batches(1)[0]
    cross_entropy(reference(x[0]), y[0]).backward()
    optimiser = torch.optim.SGD(cohort.trainable, lr=0.1)
    step(cohort, optimiser, x, y)
    pruned_moved = 0
    for name, weight in zip(cohort.names, cohort.dense, strict=True):
        gradient = reference.get_parameter(name).grad
        torch.testing.assert_close(weight.detach(), dense[name] - 0.1 * gradient)
        pruned_moved += int((weight.detach() != dense[name])[~masks[name]].sum())
        assert bool((effective_weights(cohort, 0)[name][~masks[name]] == 0).all())
    assert pruned_moved > 0  # a pruned weight keeps moving, and can come back


def test_pruning_counts_what_left_and_what_came_back() -> None:
    cohort = Cohort([network()], [None], CPU)
    with torch.no_grad():
        for w in cohort.dense:
            w.copy_(torch.arange(w.numel()).view_as(w) + 1.0)
    regrown, pruned = prune(cohort, 0.5)
    assert regrown.sum() == 0
    assert int(pruned.sum()) == 141 - round(0.5 * 141)
    before = cohort.run_masks(0)
    with torch.no_grad():
        for w in cohort.dense:
            w.copy_(w.flip(1))
    regrown, pruned = prune(cohort, 0.5)
    after = cohort.run_masks(0)
    assert [int((after[n] & ~before[n]).sum()) for n in cohort.names] == regrown[0].int().tolist()
    assert [int((before[n] & ~after[n]).sum()) for n in cohort.names] == pruned[0].int().tolist()
    assert regrown.sum() > 0


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_static_masks_stay_exactly_zero_under_momentum_and_weight_decay(name: str) -> None:
    masks = random_masks(SHAPES, 0.7, "global", seed=0)
    cohort = Cohort([network()], [masks], CPU)
    optimiser = make_optimiser(cohort.trainable, SETTINGS[name])
    for x, y in batches(1, steps=20):
        step(cohort, optimiser, x, y)
    for weight, effective, mask in zip(cohort.dense, cohort.effective, masks.values(), strict=True):
        assert bool((weight[~mask] == 0).all())
        assert torch.equal(weight, effective)
        assert bool((weight[mask] != 0).all())


def test_a_stack_trains_each_run_as_if_alone() -> None:
    static = random_masks(SHAPES, 0.5, "global", seed=0)
    starts: list[dict[str, torch.Tensor] | None] = [None, static, None]
    data = batches(3)
    together = Cohort([network(s) for s in range(3)], list(starts), CPU)
    optimiser = make_optimiser(together.trainable, SETTINGS["sgd"])
    alone = [Cohort([network(s)], [starts[s]], CPU) for s in range(3)]
    optimisers = [make_optimiser(c.trainable, SETTINGS["sgd"]) for c in alone]
    for i, (x, y) in enumerate(data):
        if i == 2:
            prune(together, 0.8)
            prune(alone[0], 0.8)
        losses = step(together, optimiser, x, y)
        for r in range(3):
            torch.testing.assert_close(losses[r : r + 1], step(alone[r], optimisers[r], x[r : r + 1], y[r : r + 1]))
            torch.testing.assert_close(together.mean_squares[r : r + 1], alone[r].mean_squares)
    for r in range(3):
        mine, other = effective_weights(together, r), effective_weights(alone[r], 0)
        for name in mine:
            torch.testing.assert_close(mine[name], other[name])
        assert all(torch.equal(together.run_masks(r)[n], alone[r].run_masks(0)[n]) for n in static)
    images, labels = data[0][0].flatten(0, 1), data[0][1].flatten()
    expected = torch.cat([c.accuracy([(images, labels)]) for c in alone])
    torch.testing.assert_close(together.accuracy([(images, labels)]), expected)
    assert together.digests == [c.digests[0] for c in alone]


def test_every_strategy_starts_from_the_same_weights_bit_for_bit() -> None:
    static = random_masks(SHAPES, 0.5, "global", seed=0)
    assert not bool(static["hidden1.weight"].all())
    initial = dict(network().named_parameters())
    for cohort in (
        Cohort([network(), network(), network(1)], [None, static, None], CPU),
        Cohort([network()], [static], CPU),
        Cohort([network()], [None], CPU),
    ):
        for run in range(min(cohort.runs, 2)):
            masked = not bool(cohort.run_masks(run)["hidden1.weight"].all())
            for name, weight in effective_weights(cohort, run).items():
                expected = initial[name] * static[name] if masked and name in static else initial[name]
                assert torch.equal(weight, expected), name


def test_accuracy_against_numpy() -> None:
    cohort, (x, y) = Cohort([network()], [None], CPU), batches(1)[0]
    predicted = network()(x[0]).argmax(1).numpy()
    assert cohort.accuracy([(x[0], y[0])]).item() == pytest.approx(np.mean(predicted == y[0].numpy()))


def test_networks_with_buffers_cannot_be_stacked() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))

    Cohort([make()], [None], CPU)
    with pytest.raises(InputError, match="buffers cannot be trained as a stack"):
        Cohort([make(), make()], [None, None], CPU)
