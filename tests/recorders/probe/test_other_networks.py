"""The probe on networks of other kinds: token ids, dict outputs, any convolution, attention's projections."""

from __future__ import annotations

import re
from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from recorders.contract import QUANTILES, InputError
from recorders.networks.layers import prunable_parameters
from recorders.probe.mask_probe import MaskProbe

LABELS = torch.arange(10) % 3


def masks_of(model: nn.Module, share: float = 0.4) -> dict[str, torch.Tensor]:
    return {n: torch.rand(p.shape) > share for n, p in prunable_parameters(model).items()}


class Text(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.hidden, self.head = nn.Embedding(20, 8), nn.Linear(8, 5), nn.Linear(5, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.hidden(self.embedding(ids)).relu().mean(1))


@pytest.mark.parametrize("kind", [torch.int64, torch.int32])
def test_token_ids_are_looked_up(kind: torch.dtype) -> None:
    torch.manual_seed(0)
    model, ids = Text(), torch.randint(0, 20, (10, 4), dtype=kind)
    old, new = masks_of(model), masks_of(model)
    with pytest.warns(UserWarning, match="is NaN") as caught:
        probe = MaskProbe(model, ids, LABELS)
    assert [str(w.message) for w in caught] == [
        "layer_* of 'embedding.weight' is NaN: the output of Embedding is not known to be linear in it",
        "load_* of 'embedding' is NaN: the rows of its weight are no units of Embedding",
    ]
    found = probe.at(dict(model.named_parameters())).look(old, new)
    p = {n: t.detach().double().numpy() for n, t in model.named_parameters()}

    def output(masks: dict[str, torch.Tensor]) -> np.ndarray:
        w = {n: p[n] * m.numpy() for n, m in masks.items()}
        hidden = np.maximum(w["embedding.weight"][ids.numpy()] @ w["hidden.weight"].T + p["hidden.bias"], 0)
        scores = np.exp(hidden.mean(1) @ w["head.weight"].T + p["head.bias"])
        return scores / scores.sum(1, keepdims=True)

    target = np.eye(3)[LABELS.numpy()]
    fit, change = ((target - output(old)) ** 2).sum() / 10, ((output(old) - output(new)) ** 2).sum() / 10
    assert float(found["fit"][0]) == pytest.approx(fit, rel=1e-9)
    assert float(found["compensation"][0]) == pytest.approx(change, rel=1e-9)
    assert found["layer_fit"].isnan().tolist() == [True, False, False]
    assert found["load_activation"].isnan().all(1).tolist() == [True, False]


def test_whole_numbers_that_are_pixels_stay_pixels() -> None:
    model, pixels = nn.Linear(6, 3), torch.randint(0, 255, (10, 6), dtype=torch.uint8)
    old, new, weights = masks_of(model), masks_of(model), dict(model.named_parameters())
    found, floats = (MaskProbe(model, x, LABELS).at(weights).look(old, new) for x in (pixels, pixels.float()))
    assert all(torch.equal(found[name], floats[name]) for name in ("fit", "compensation", "layer_fit"))


class Wrapped(nn.Module):
    def __init__(self, wrap: object) -> None:
        super().__init__()
        self.head, self.wrap = nn.Linear(6, 3), wrap

    def forward(self, x: torch.Tensor) -> object:
        return self.wrap(self.head(x))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda y: {"logits": y, "hidden": y * 2},
        lambda y: {"out": y},
        lambda y: SimpleNamespace(logits=y, loss=None),
        lambda y: (y,),
    ],
    ids=["named", "only one", "object", "tuple"],
)
def test_logits_are_found_in_what_a_model_returns(wrap: object) -> None:
    model, x = Wrapped(wrap), torch.randn(10, 6)
    old, new, weights = masks_of(model), masks_of(model), dict(model.named_parameters())
    plain = Wrapped(lambda y: y)
    expected = MaskProbe(plain, x, LABELS).at(weights).look(old, new)
    found = MaskProbe(model, x, LABELS).at(weights).look(old, new)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize(
    ("model", "inputs", "message"),
    [
        (Wrapped(lambda y: (y, y)), torch.randn(10, 6), r"returned tuple with \(10, 3\), \(10, 3\): give it a model"),
        (Wrapped(lambda y: y.argmax(1)), torch.randn(10, 6), r"returned Tensor with \(10,\)"),
        (Wrapped(lambda y: y[:5]), torch.randn(10, 6), r"returned Tensor with \(5, 3\)"),
        (Wrapped(lambda y: None), torch.randn(10, 6), "returned NoneType with no tensor"),
        (nn.Linear(6, 3), torch.randn(10, 4, 6), r"returned Tensor with \(10, 4, 3\)"),
        (nn.Linear(6, 3), torch.randn(10, 7), r"cannot run a float64 copy of Linear on its batch, torch.float64"),
        (Text(), torch.randint(20, 30, (10, 4)), r"cannot run a float64 copy of Text on its batch, torch.int64"),
        (nn.Linear(6, 3), [torch.randn(6)] * 10, "images are a list: give one tensor"),
    ],
)
def test_what_it_cannot_use_is_one_line(model: nn.Module, inputs: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        MaskProbe(model, inputs, LABELS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "shape", "axis"),
    [
        (nn.Conv1d(1, 4, 3), (10, 1, 6), 1),  # as long as it has channels
        (nn.Conv1d(2, 4, 3, groups=2), (10, 2, 9), 1),
        (nn.Conv2d(1, 4, 3), (10, 1, 6, 7), 1),
        (nn.Conv3d(1, 4, 3), (10, 1, 5, 5, 6), 1),
        (nn.Conv3d(1, 4, 3), (10, 1, 6, 6, 6), 1),
        (nn.Linear(3, 4), (10, 4, 5, 3), -1),
        (nn.Linear(3, 4), (10, 4, 3), -1),
    ],
)
@pytest.mark.parametrize("activation", [nn.ReLU(), nn.Flatten()], ids=["ReLU", "alone"])
def test_the_load_is_of_the_layers_units(layer: nn.Module, shape: tuple, axis: int, activation: nn.Module) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape)
    layer = deepcopy(layer)
    model = nn.Sequential(layer, activation, nn.Flatten(), nn.Linear(layer(x)[0].numel(), 3))
    masks = masks_of(model)
    masks["0.weight"][1] = False
    with torch.no_grad():
        layer.bias[1] = 0
    copy = deepcopy(layer).double()
    copy.weight.data *= masks["0.weight"]
    output = copy(x.double()).detach().numpy()
    units = np.moveaxis(np.maximum(output, 0) if isinstance(activation, nn.ReLU) else output, axis, 0).reshape(4, -1)
    found = MaskProbe(model, x, LABELS).at(dict(model.named_parameters())).load(masks)
    np.testing.assert_allclose(found["load_activation"][0], np.quantile(np.abs(units).mean(1), QUANTILES), rtol=1e-9)
    assert int(found["dead_units"][0]) == (units == 0).all(1).sum() >= 1


@pytest.mark.parametrize(
    ("layer", "inputs", "load", "split"),
    [
        (nn.ConvTranspose1d(2, 5, 3), (10, 2, 6), "the rows of its weight are no units", "is not known to be linear"),
        (
            nn.ConvTranspose2d(4, 4, 3),
            (10, 4, 4, 4),
            "the rows of its weight are no units",
            "is not known to be linear",
        ),
        (nn.Sequential(nn.Linear(6, 8), nn.GLU()), (10, 6), r"output of shape \(10, 4\) has no 8 units", None),
        (weight_norm(nn.Linear(6, 4)), (10, 6), "its weight is parametrized", "it is parametrized"),
        (nn.Bilinear(6, 6, 4), (10, 6), None, "is not known to be linear"),
    ],
    ids=["transposed 1d", "transposed 2d", "gated", "weight_norm", "bilinear"],
)
def test_what_cannot_be_told_is_nan_with_its_reason(
    layer: nn.Module, inputs: tuple, load: str | None, split: str | None, recwarn: pytest.WarningsRecorder
) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = deepcopy(layer), nn.LazyLinear(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            given = (x, x) if isinstance(self.layer, nn.Bilinear) else (x,)
            return self.head(self.layer(*given).flatten(1))

    torch.manual_seed(0)
    model, x = Model(), torch.randn(inputs)
    model(x)
    masks, newer = masks_of(model), masks_of(model)
    probe = MaskProbe(model, x, LABELS)
    said = " ".join(str(w.message) for w in recwarn)
    found = probe.at(dict(model.named_parameters())).look(masks, newer)
    assert bool(found["load_activation"][0].isnan().all()) == (load is not None) == bool(probe.missing["load"])
    assert bool(found["layer_fit"][0].isnan()) == (split is not None) == bool(probe.missing["layer"])
    assert not found["layer_fit"][-1].isnan()
    assert not found["fit"].isnan().any()
    for what, reason in (("load", load), ("layer", split)):
        if reason:
            assert re.search(rf"{what}_\* of '.*' is NaN: .*{reason}", said)


class Attending(nn.Module):
    def __init__(self, *, named: bool, **options: object) -> None:
        super().__init__()
        self.named = named
        self.attention, self.head = nn.MultiheadAttention(8, 2, batch_first=True, **options), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        keys = x if self.attention.kdim == 8 else x[..., : self.attention.kdim]
        given = {"key": keys, "value": x, "need_weights": False}
        mixed, _ = self.attention(query=x, **given) if self.named else self.attention(x, keys, x)
        return self.head(mixed.mean(1))


def by_hand(model: Attending, x: torch.Tensor, masks: dict[str, torch.Tensor]) -> torch.Tensor:
    """What attention's output projection gets: softmax(q k' / 2) v, two heads of four."""
    p = {n: t.detach().double() for n, t in model.attention.named_parameters()}
    p |= {n: t * masks[f"attention.{n}"] for n, t in p.items() if f"attention.{n}" in masks}
    weights = p["in_proj_weight"].chunk(3) if "in_proj_weight" in p else [p[f"{n}_proj_weight"] for n in "qkv"]
    keys = x[..., : model.attention.kdim]
    bias = p["in_proj_bias"].chunk(3)
    q, k, v = (
        (given @ w.T + b).unflatten(-1, (2, 4)).transpose(1, 2)
        for given, w, b in zip((x, keys, x), weights, bias, strict=True)
    )
    return ((q @ k.transpose(-1, -2) / 2).softmax(-1) @ v).transpose(1, 2).flatten(2)


@pytest.mark.parametrize("named", [False, True], ids=["by position", "by name"])
@pytest.mark.parametrize("options", [{}, {"kdim": 5}], ids=["joint", "separate"])
@pytest.mark.filterwarnings(
    "ignore:load_.* is NaN. MultiheadAttention has no one weight", "ignore:layer_.* not the same"
)
def test_attentions_projections_are_split(named: bool, options: dict) -> None:
    torch.manual_seed(0)
    model, x = Attending(named=named, **options), torch.randn(10, 5, 8)
    nn.init.normal_(model.attention.in_proj_bias)
    old, new = masks_of(model), masks_of(model)
    found = MaskProbe(model, x, LABELS).at(dict(model.named_parameters())).look(old, new)
    wide = x.double()
    inputs = {"attention.out_proj.weight": by_hand(model, wide, old)}
    if options:
        inputs |= {f"attention.{n}_proj_weight": g for n, g in zip("qkv", (wide, wide[..., :5], wide), strict=True)}
    for name, given in inputs.items():
        place = list(old).index(name)
        weight = model.get_parameter(name).detach().double()
        rows = given.flatten(0, 1)
        missing = rows @ (weight * ~old[name]).T
        change = rows @ (weight * old[name]).T - rows @ (weight * new[name]).T
        assert float(found["layer_fit"][place]) == pytest.approx(float((missing**2).sum()) / 50, rel=1e-9), name
        assert float(found["layer_compensation"][place]) == pytest.approx(float((change**2).sum()) / 50, rel=1e-9)
    assert not found["layer_fit"].isnan().any()
    projection = deepcopy(model.attention.out_proj).double().requires_grad_(requires_grad=False)
    projection.weight.data *= new["attention.out_proj.weight"]
    units = projection(by_hand(model, wide, new)).abs().mean((0, 1))
    np.testing.assert_allclose(found["load_activation"][-1], np.quantile(units.numpy(), QUANTILES), rtol=1e-9)


def test_cross_attention_has_its_reason() -> None:
    class Cross(Attending):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.attention(x, x.flip(1), x.flip(1))[0].mean(1))

    with pytest.warns(UserWarning, match="is NaN") as caught:
        probe = MaskProbe(Cross(named=False), torch.randn(10, 5, 8), LABELS)
    assert "query, key and value are not the same tokens" in str(caught[0].message)
    assert list(probe.missing["layer"]) == ["attention.in_proj_weight"]
