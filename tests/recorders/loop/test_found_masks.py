"""Masks that a network carries by itself, and the sparsity that a run declares."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn
from torch.ao.pruning import WeightNormSparsifier
from torch.ao.pruning._experimental.pruner import SaliencyPruner
from torch.nn.functional import linear
from torch.nn.utils import parametrize, prune

from burden_analysis import open_study
from recorders import Recorder
from recorders.contract import InputError
from recorders.loop.description import sparsity_remark
from tests.recorders.own_loop import RUN, network, train

MASK = (torch.arange(108).reshape(9, 12) % 4 == 0).float()  # a quarter is kept


class Times(nn.Module):
    """A parametrization that multiplies with a mask."""

    def __init__(self, mask: torch.Tensor, name: str = "mask") -> None:
        super().__init__()
        self.register_buffer(name, mask)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        [mask] = self.buffers()
        return weight * mask


class Masked(nn.Linear):
    """A linear layer that keeps a mask beside its weight, one way or another."""

    def __init__(self, name: str, kept: str) -> None:
        super().__init__(12, 9)
        self.name = name
        if kept == "buffer":
            self.register_buffer(name, MASK.clone())
        elif kept == "parameter":
            setattr(self, name, nn.Parameter(MASK.clone(), requires_grad=False))
        else:
            setattr(self, name, MASK.bool())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return linear(x, self.weight * getattr(self, self.name), self.bias)


def with_first(layer: nn.Module) -> nn.Sequential:
    return nn.Sequential(layer, *list(network())[1:])


def of_prune() -> nn.Module:
    model = network()
    prune.custom_from_mask(model[0], "weight", MASK)
    return model


def of_parametrization(name: str = "mask") -> nn.Module:
    model = network()
    parametrize.register_parametrization(model[0], "weight", Times(MASK, name))
    return model


def recorded(store: Path, model: nn.Module, steps: int = 3, **options: object) -> xr.Dataset:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    with Recorder(store, model, optimizer, run=RUN | {"sparsity": 0.422}, interval=1, **options) as recorder:  # type: ignore[arg-type]
        train(model, optimizer, steps, recorder)
    return open_study(store).isel(run=0)


@pytest.mark.parametrize(
    ("make", "source"),
    [
        (of_prune, "torch.nn.utils.prune"),
        (of_parametrization, "parametrization"),
        (lambda: of_parametrization("my_mask"), "parametrization"),
        (lambda: with_first(Masked("mask", "buffer")), "tensor 'mask' beside the weight"),
        (lambda: with_first(Masked("weight_mask", "buffer")), "tensor 'weight_mask' beside the weight"),
        (lambda: with_first(Masked("mask", "parameter")), "tensor 'mask' beside the weight"),
        (lambda: with_first(Masked("mask", "attribute")), "tensor 'mask' beside the weight"),
    ],
)
def test_masks_are_found_wherever_they_are_kept(tmp_path: Path, make: Callable[[], nn.Module], source: str) -> None:
    dataset = recorded(tmp_path / "s.zarr", make())
    assert dataset.active_weights.values.tolist() == [[27, 63, 21]] * 3
    np.testing.assert_allclose(dataset.actual_sparsity, 81 / 192)
    assert dataset.mask_source.values.tolist() == [source, "", ""]
    assert dataset.remarks.item() == ""


def test_masks_of_torch_ao_are_followed(tmp_path: Path) -> None:
    model = network()
    sparsifier = WeightNormSparsifier(sparsity_level=0.75, sparse_block_shape=(1, 1))
    sparsifier.prepare(model, [{"tensor_fqn": "0.weight"}])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN | {"sparsity": 0.422}, interval=1) as recorder:
        train(model, optimizer, 2, recorder)
        sparsifier.step()
        train(model, optimizer, 2, recorder)
        sparsifier.squash_mask()  # writes the zeros into the weight and takes the mask away
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    assert dataset.active_weights[:, 0].values.tolist() == [108, 108, 27, 27]
    final = xr.open_zarr(tmp_path / "s.zarr", group=f"{recorder.name}/masks", consolidated=False)
    assert {name: int(mask.sum()) for name, mask in final.data_vars.items()} == {
        "0.parametrizations.weight.original": 27,
        "2.weight": 63,
        "4.weight": 21,
    }


def test_a_mask_of_whole_rows_is_spread_over_them(tmp_path: Path) -> None:
    model = network()
    pruner = SaliencyPruner({})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library
        pruner.prepare(model, [{"tensor_fqn": "0.weight", "sparsity_level": 0.3}])
    pruner.enable_mask_update = True
    pruner.step()
    rows = int(model[0].parametrizations.weight[0].mask.sum())
    assert 0 < rows < 9
    store, sparsity = tmp_path / "s.zarr", 1 - (12 * rows + 84) / 192
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(store, model, optimizer, run=RUN | {"sparsity": sparsity}, interval=1) as recorder:
        train(model, optimizer, 1, recorder)
    assert open_study(store).active_weights[0, 0, 0].item() == 12 * rows


def test_a_given_mask_comes_before_a_found_one(tmp_path: Path) -> None:
    given = {"0.weight": 1 - MASK, "2.weight": np.zeros((7, 9)) + (np.arange(9) < 9)}
    with pytest.warns(UserWarning, match="declared sparsity 0.422, measured 0.1406"):
        dataset = recorded(tmp_path / "s.zarr", of_prune(), masks=given)
    assert dataset.active_weights[0].values.tolist() == [81, 63, 21]
    assert dataset.mask_source.values.tolist() == ["masks= of the Recorder"] * 2 + [""]


def test_a_mask_that_could_be_of_two_weights_is_not_guessed(tmp_path: Path) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = nn.Parameter(torch.randn(12, 12)), nn.Parameter(torch.randn(12, 12))
            self.register_buffer("mask", torch.ones(12, 12))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.up @ self.down

    model = nn.Sequential(Two(), nn.Linear(12, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with (
        pytest.warns(UserWarning, match=r"Two.mask fits 2 weights: not used as a mask; pass masks="),
        Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1) as recorder,
    ):
        train(model, optimizer, 1, recorder)
    assert open_study(tmp_path / "s.zarr").mask_source.values.tolist() == [["", "", ""]]


def test_a_tied_weight_is_pruned_under_any_of_its_names(tmp_path: Path) -> None:
    embedding, output = nn.Embedding(8, 6), nn.Linear(6, 8, bias=False)
    output.weight = embedding.weight
    model = nn.Sequential(embedding, nn.Flatten(0, 1), output)
    prune.random_unstructured(output, "weight", amount=12)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN | {"sparsity": 0.25}, interval=1):
        model(torch.arange(4).reshape(2, 2)).square().mean().backward()
        optimizer.step()
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    assert dataset.parameter.values.tolist() == ["0.weight"]
    assert dataset.active_weights.values.tolist() == [[36]]


@pytest.mark.parametrize("interval", [1, 2])
def test_exact_zeros_count_where_it_is_asked_for(tmp_path: Path, interval: int) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    run = RUN | {"sparsity": 0.422}
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=run, interval=interval, masks="zeros") as recorder:
        for _ in range(4):
            with torch.no_grad():
                model[0].weight.mul_(MASK)
            train(model, optimizer, 1, recorder)  # after the last step the weights are no longer 0
            recorder.flush()
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    assert dataset.active_weights.values.tolist() == [[27, 63, 21]] * (4 // interval)
    assert dataset.mask_source.values.tolist() == ["weights that are exactly 0"] * 3
    final = xr.open_zarr(tmp_path / "s.zarr", group=f"{recorder.name}/masks", consolidated=False)
    assert int(final["0.weight"].sum()) == 27


def test_another_word_for_masks_is_refused(tmp_path: Path) -> None:
    model = network()
    with pytest.raises(InputError, match="unknown text for masks 'zero': choose from zeros"):
        Recorder(tmp_path / "s.zarr", model, torch.optim.SGD(model.parameters()), run=RUN, masks="zero")


def test_masks_that_were_made_permanent_at_the_end_are_the_final_ones(tmp_path: Path) -> None:
    model = of_prune()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN | {"sparsity": 0.422}, interval=1) as recorder:
        train(model, optimizer, 2, recorder)
        prune.remove(model[0], "weight")
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    final = xr.open_zarr(tmp_path / "s.zarr", group=f"{recorder.name}/masks", consolidated=False)
    np.testing.assert_array_equal(final["0.weight"][0], MASK.bool())
    assert int(dataset.updates_written) == 0


def test_weights_that_train_on_after_prune_remove_are_dense(tmp_path: Path) -> None:
    model = of_prune()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1) as recorder:
        train(model, optimizer, 2, recorder)
        prune.remove(model[0], "weight")
        train(model, optimizer, 2, recorder)
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    assert dataset.active_weights[:, 0].values.tolist() == [27, 27, 108, 108]
    assert dataset.regrown[0, 0].item() == 81


@pytest.mark.parametrize(
    ("declared", "active", "remark"),
    [
        (0.9, {"a": 10, "b": 10}, ""),
        (0.9, {"a": 10, "b": 11}, ""),  # one weight of 200
        (0.9, {"a": 10, "b": 13}, "declared sparsity 0.9, measured 0.885"),
        (0.89, {"a": 11, "b": 10}, ""),  # .895 to two digits
        (0.5, {"a": 100, "b": 100}, "declared sparsity 0.5, measured 0: no mask was found; pass masks=, or"),
        (0.0, {"a": 100, "b": 100}, ""),
        (0.0, {"a": 50, "b": 100}, "declared sparsity 0, measured 0.25"),
    ],
)
def test_a_declared_sparsity_is_held_against_the_measured_one(
    declared: float, active: dict[str, int], remark: str
) -> None:
    found = sparsity_remark(declared, active, {"a": 100, "b": 100})
    assert found.startswith(remark) if remark else not found


def test_a_sparsity_that_is_not_there_is_told_and_stored(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"mine-s0.422-seed0: declared sparsity 0.422, measured 0: no mask was found"):
        dataset = recorded(tmp_path / "s.zarr", network())
    assert dataset.remarks.item().startswith("declared sparsity 0.422, measured 0: no mask was found")


def test_the_digest_of_initial_weights_is_the_same_pruned_or_not(tmp_path: Path) -> None:
    pruned = network()
    for layer in (pruned[0], pruned[2]):
        prune.identity(layer, "weight")
        prune.identity(layer, "bias")
    dense = recorded(tmp_path / "dense.zarr", network(), steps=1, masks={"0.weight": MASK})
    assert recorded(tmp_path / "pruned.zarr", pruned, steps=1, masks={"0.weight": MASK}).initial_weights == (
        dense.initial_weights
    )
    other = network()
    with torch.no_grad():
        other[0].bias += 1
    changed = recorded(tmp_path / "other.zarr", other, steps=1, masks={"0.weight": MASK})
    assert changed.initial_weights != dense.initial_weights


def test_a_forgotten_checkpoint_is_noticed_also_when_the_model_was_pruned_meanwhile(tmp_path: Path) -> None:
    store, model = tmp_path / "s.zarr", network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    options: dict[str, Any] = {"run": RUN, "interval": 1, "total_steps": 8}
    with Recorder(store, model, optimizer, **options) as recorder:
        train(model, optimizer, 4, recorder)
    again = network()
    prune.identity(again[0], "weight")
    with pytest.raises(InputError, match="the model has the weights that the run began with"):
        Recorder(store, again, torch.optim.SGD(again.parameters()), **options, exist="resume", steps_done=4)


def test_masks_that_move_are_seen_at_once(tmp_path: Path) -> None:
    """Parametrized, unparametrized, put into another layer: not only when the next record is taken."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=20) as recorder:
        train(model, optimizer, 3, recorder)
        parametrize.register_parametrization(model[0], "weight", Times(MASK))
        train(model, optimizer, 3, recorder)
        parametrize.remove_parametrizations(model[0], "weight", leave_parametrized=False)
        train(model, optimizer, 3, recorder)
        masked = Masked("mask", "buffer")
        masked.weight = model[0].weight
        model[0] = masked
        train(model, optimizer, 3, recorder)
        model[0].mask = torch.ones(9, 12)
        train(model, optimizer, 3, recorder)
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    assert dataset.update_step.values.tolist()[:4] == [3, 6, 9, 12]
    assert dataset.pruned[:4, 0].values.tolist() == [81, 0, 81, 0]
    assert dataset.regrown[:4, 0].values.tolist() == [0, 81, 0, 81]


def test_a_mask_made_in_inference_mode_is_followed(tmp_path: Path) -> None:
    model = network()
    with torch.inference_mode():
        mask = MASK.clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    run = RUN | {"sparsity": 0.422}
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=run, interval=1, masks={"0.weight": mask}) as recorder:
        train(model, optimizer, 1, recorder)
        with torch.inference_mode():
            mask[0] = 1
        train(model, optimizer, 1, recorder)
        with torch.inference_mode():
            mask.copy_(MASK)
    assert open_study(tmp_path / "s.zarr").active_weights[0, :, 0].values.tolist() == [27, 36]


def test_pruning_between_a_checkpoint_and_the_next_step_is_an_update_of_the_resumed_run(tmp_path: Path) -> None:
    store, model = tmp_path / "s.zarr", network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    options: dict[str, Any] = {"run": RUN | {"sparsity": 0.422}, "interval": 2, "total_steps": 8}
    prune.identity(model[0], "weight")
    with contextlib.suppress(KeyboardInterrupt), Recorder(store, model, optimizer, **options) as recorder:
        train(model, optimizer, 4, recorder)
        prune.custom_from_mask(model[0], "weight", MASK)
        recorder.flush()
        raise KeyboardInterrupt
    with Recorder(store, model, optimizer, **options, exist="resume", steps_done=4) as recorder:
        train(model, optimizer, 4, recorder)
    dataset = open_study(store).isel(run=0)
    assert dataset.update_step.values.tolist() == [4]
    assert dataset.pruned[0, 0].item() == 81
    assert dataset.active_weights[:, 0].values.tolist() == [108, 108, 27, 27]
