"""Tensors of every kind and name, recorded against float64, without a bit of the training changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from burden_analysis import open_study, series
from recorders import Recorder
from recorders.contract import magnitudes, owning_layer
from tests.recorders.own_loop import RUN

# Bare parameters and layers that some forward passes do not call.
pytestmark = pytest.mark.filterwarnings("ignore:activation_rms of:UserWarning")


def inputs(step: int) -> torch.Tensor:
    return torch.randn(8, 12, generator=torch.Generator().manual_seed(step))


def ids(step: int) -> torch.Tensor:
    return torch.randint(0, 20, (8, 6), generator=torch.Generator().manual_seed(step))  # with repetitions


class Bare(nn.Module):
    """A network of bare parameters that are multiplied one after the other."""

    def __init__(self, **weights: torch.Tensor) -> None:
        super().__init__()
        for name, weight in weights.items():
            self.register_parameter(name, nn.Parameter(weight))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for weight in self.parameters():
            x = x.to(weight.dtype)
            x = x @ weight if weight.ndim == 2 else torch.einsum("bi,kio->bo", x, weight)
        return x


def embedded(kind: type[nn.Embedding | nn.EmbeddingBag]) -> nn.Module:
    return nn.Sequential(kind(20, 5, sparse=True), nn.Flatten(1))


KINDS: dict[str, Callable[[], nn.Module]] = {
    "bfloat16": lambda: Bare(a=torch.randn(12, 7), b=torch.randn(7, 3)).bfloat16(),
    "float16": lambda: Bare(a=torch.randn(12, 7), b=torch.randn(7, 3)).half(),
    "float64": lambda: Bare(a=torch.randn(12, 7), b=torch.randn(7, 3)).double(),
    "complex64": lambda: Bare(a=torch.randn(12, 7, dtype=torch.complex64)),
    "complex128": lambda: Bare(a=torch.randn(12, 7, dtype=torch.complex128)),
    "(1, n, d)": lambda: Bare(a=torch.randn(1, 12, 7), b=torch.randn(7, 3)),
    "w and w_orig": lambda: Bare(w=torch.randn(12, 7), w_orig=torch.randn(7, 3)),
    "200 letters": lambda: Bare(**{"n" * 200: torch.randn(12, 7), "n" * 199 + "m": torch.randn(7, 3)}),
    "awkward names": lambda: nn.Sequential(
        nn.ModuleDict({"a/b": nn.Linear(12, 7), "__c": nn.Linear(12, 7), "é %": nn.Linear(12, 7)})
    ),
    "sparse embedding": lambda: embedded(nn.Embedding),
    "sparse bag": lambda: embedded(nn.EmbeddingBag),
    "weight_norm of (1, n, d)": lambda: nn.Sequential(
        nn.Unflatten(1, (4, 3)), nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 1, 3)), nn.Flatten()
    ),
}


def output(model: nn.Module, step: int) -> torch.Tensor:
    if isinstance(model[0] if isinstance(model, nn.Sequential) else model, (nn.Embedding, nn.EmbeddingBag)):
        return model(ids(step))  # type: ignore[no-any-return]
    if isinstance(model, nn.Sequential) and isinstance(model[0], nn.ModuleDict):
        return torch.stack([layer(inputs(step)) for layer in model[0].values()])
    return model(inputs(step))  # type: ignore[no-any-return]


def by_hand(parameter: nn.Parameter) -> list[float]:
    """The five indicators of a dense tensor, in double precision."""
    gradient = parameter.grad.to_dense() if parameter.grad is not None else torch.zeros_like(parameter)
    wide = torch.complex128 if parameter.is_complex() else torch.float64
    g, w = gradient.to(wide).abs().double(), parameter.detach().to(wide).abs().double()
    return [g.norm().item(), g.norm().item(), g.mean().item(), w.norm().item(), w.mean().item()]


@pytest.mark.parametrize("kind", KINDS)
def test_any_tensor_is_recorded_as_float64_sees_it(tmp_path: Path, kind: str) -> None:
    finals, expected = [], []
    for recorded in (False, True):
        torch.manual_seed(0)
        model = KINDS[kind]()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        recorder = Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1) if recorded else None
        for step in range(3):
            optimizer.zero_grad()
            output(model, step).abs().square().mean().backward()
            if recorder is None:
                expected.append([by_hand(p) for p in model.parameters() if p.ndim > 1])
            optimizer.step()
        if recorder is not None:
            recorder.close()
        finals.append([p.detach().clone() for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*finals, strict=True))
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    assert dataset.parameter.values.tolist() == [n for n, p in model.named_parameters() if p.ndim > 1]
    names = ["gradient_norm", "dense_gradient_norm", "gradient_mean_abs", "weight_norm", "weight_mean_abs"]
    for i, name in enumerate(names):
        np.testing.assert_allclose(dataset[name], np.array(expected)[:, :, i], rtol=2e-6, err_msg=name)


def test_final_masks_keep_any_name(tmp_path: Path) -> None:
    names = ["a/b", "c.d", "__e", "f" * 200, "f" * 199 + "g", "é %", "zarr"]
    model = nn.ModuleDict({name.replace(".", "-"): nn.Linear(3, 2) for name in names})
    masks = {f"{name}.weight": torch.rand(2, 3) > 0.5 for name in model}
    for mask in masks.values():
        mask[0, 0] = False
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sparsity = 1 - sum(int(mask.sum()) for mask in masks.values()) / (6 * len(names))
    run = RUN | {"sparsity": sparsity}
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=run, interval=1, masks=masks) as recorder:
        torch.stack([layer(torch.ones(3)) for layer in model.values()]).sum().backward()
        optimizer.step()
    final = xr.open_zarr(tmp_path / "s.zarr", group=f"{recorder.name}/masks", consolidated=False)
    stored = {variable.attrs["parameter"]: variable.values[0] for variable in final.data_vars.values()}
    assert stored.keys() == masks.keys()
    for name, mask in masks.items():
        np.testing.assert_array_equal(stored[name], mask)


def test_tensors_without_a_value_are_nan_and_no_divergence(tmp_path: Path) -> None:
    model = Bare(a=torch.randn(12, 0), b=torch.randn(0, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1):
        model(inputs(0)).sum().backward()
        optimizer.step()
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    assert dataset.status.item() == "complete"
    assert dataset.gradient_norm[0].values.tolist() == [0, 0]
    assert np.isnan(dataset.weight_mean_abs[0]).all()
    assert dataset.active_weights[0].values.tolist() == [0, 0]


def test_tokens_and_position_embeddings_are_named_as_not_recorded(tmp_path: Path) -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cls_token, self.pos_embed = nn.Parameter(torch.randn(1, 1, 12)), nn.Parameter(torch.randn(1, 3, 12))
            self.frozen, self.head = nn.Linear(12, 12), nn.Linear(12, 3)
            self.frozen.requires_grad_(False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.head(self.frozen(x + self.cls_token.sum(1) + self.pos_embed.sum(1)))
            return out

    model = Tokens()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1):
        model(inputs(0)).sum().backward()
        optimizer.step()
    study = open_study(tmp_path / "s.zarr")
    [recording] = study.attrs["recordings"].values()
    assert recording["config"]["not_recorded"] == ["cls_token", "pos_embed", "frozen.weight"]
    assert study.parameter.values.tolist() == ["head.weight"]


def test_magnitudes_of_weight_norm_are_no_weights_of_the_network(tmp_path: Path) -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(12, 7)), nn.Linear(7, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1):
        model(inputs(0)).sum().backward()
        optimizer.step()
    study = open_study(tmp_path / "s.zarr")
    assert study.parameter_layer.values.tolist() == ["0", "0", "1"]
    both = [layer.weight.detach().double().norm().item() for layer in (model[0], model[1])]
    assert series(study, "weight_norm").item() == pytest.approx(np.hypot(*both), rel=1e-6)
    assert study.actual_sparsity.item() == 0


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ({"0.weight": 6, "1.weight": 6}, []),
        ({"0.parametrizations.weight.original0": 2, "0.parametrizations.weight.original1": 6}, [0]),
        ({"parametrizations.weight.original0": 2, "parametrizations.weight.original1": 6}, [0]),
        ({"rnn.weight_hh_g": 2, "rnn.weight_hh_v": 6}, [0]),
        ({"w_g": 6, "w_v": 6}, []),  # as large as the other: no magnitude
        ({"w_g": 2}, []),
        ({"0.parametrizations.weight.original": 6}, []),
    ],
)
def test_magnitudes_are_told_by_name_and_size(sizes: dict[str, int], found: list[int]) -> None:
    assert magnitudes(sizes) == [list(sizes)[i] for i in found]


@pytest.mark.parametrize(
    ("parameter", "layer"),
    [
        ("weight", ""),
        ("a.b.weight", "a.b"),
        ("a.parametrizations.weight.original", "a"),
        ("parametrizations.weight.original1", ""),
        ("a.parametrizations.weight.0.scale", "a.parametrizations.weight.0"),  # of the parametrization itself
    ],
)
def test_a_parametrized_weight_belongs_to_its_layer(parameter: str, layer: str) -> None:
    assert owning_layer(parameter) == layer
