"""The probe against a slow, obvious evaluation of the network under every mask."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot
from torchvision.models import VisionTransformer

from recorders.contract import PARTS, QUANTILES, TERMS, InputError
from recorders.networks.layers import prunable_parameters
from recorders.networks.mlp import mlp
from recorders.probe.decomposition import Outputs, parts, terms
from recorders.probe.mask_probe import MaskProbe
from recorders.probe.pieces import FixedInput

# Attention gives out no projection of its inputs.
pytestmark = pytest.mark.filterwarnings("ignore:load_.* is NaN. MultiheadAttention has no one weight")

Masks = dict[str, torch.Tensor]


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 6 * 6, 8), nn.Dropout(0.5), nn.Linear(8, 4)
    )


def transformer() -> nn.Module:
    model = VisionTransformer(8, 4, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=4)
    nn.init.normal_(model.heads.head.weight)  # torchvision starts it at 0
    return model


class Recurrent(nn.Module):
    """Its first layer gets the images and then its own output: it cannot be computed once and for all."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last = nn.Linear(64, 64), nn.Linear(64, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        once = self.inner(images.flatten(1)).relu()
        return self.last(self.inner(once).relu())


MODELS = {
    "mlp": lambda: mlp((1, 8, 8), 4, hidden=(9, 7)),
    "conv": convolutional,
    "vit": transformer,
    "recurrent": Recurrent,
}


def case(name: str, seed: int = 0) -> tuple[nn.Module, torch.Tensor, torch.Tensor, Masks, Masks]:
    torch.manual_seed(seed)
    model = MODELS[name]()
    images = torch.randn(20, 3 if name == "vit" else 1, 8, 8)
    images[:, :, 0] = 0.5  # a constant border
    shapes = {n: p.shape for n, p in prunable_parameters(model).items()}
    old, new = ({n: torch.rand(s) > 0.4 for n, s in shapes.items()} for _ in range(2))
    return model, images, torch.randint(0, 4, (20,)), old, new


def evaluated(model: nn.Module, images: torch.Tensor, masks: Masks | None) -> torch.Tensor:
    copy = deepcopy(model).double().eval()
    if masks is not None:
        for name, mask in masks.items():
            copy.get_parameter(name).data *= mask
    with torch.no_grad():
        return copy(images.double()).softmax(-1)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", range(3))
def test_outputs_agree_with_evaluating_the_network_under_every_mask(name: str, seed: int) -> None:
    model, images, labels, old, new = case(name, seed)
    found = MaskProbe(model, images, labels).at(dict(model.named_parameters())).look(old, new)
    masks = (old, new, {n: old[n] & new[n] for n in old}, {n: old[n] | new[n] for n in old})
    outputs = Outputs(*(evaluated(model, images, m) for m in masks))
    targets = (one_hot(labels, 4).double(), evaluated(model, images, None))
    expected = torch.stack([terms(outputs, t) for t in targets], dim=1)
    for term, row in zip(TERMS, expected, strict=True):
        torch.testing.assert_close(found[term], row, rtol=1e-9, atol=1e-14)
    for part, row in zip(PARTS, parts(outputs), strict=True):
        torch.testing.assert_close(found[part], row, rtol=1e-9, atol=1e-12)
    residual = found["fit"] + found["compensation"] + found["covariance"] - found["new_fit"]
    assert float((residual / found["new_fit"]).abs().max()) < 1e-9


def test_layers_agree_with_their_definition() -> None:
    model, images, labels, old, new = case("mlp")
    found = MaskProbe(model, images, labels).at(dict(model.named_parameters())).look(old, new)
    p = {n: t.detach().double().numpy() for n, t in model.named_parameters()}
    a = images.double().flatten(1).numpy()
    for i, layer in enumerate(("hidden1", "hidden2", "output")):
        w, m, k = p[f"{layer}.weight"], old[f"{layer}.weight"].numpy(), new[f"{layer}.weight"].numpy()
        missing, change, lost = a @ (w * ~m).T, a @ (w * m - w * k).T, a @ (w * (m & ~k)).T
        square = lambda v: (v**2).sum() / len(v)  # noqa: E731
        expected = {
            "fit": square(missing),
            "compensation": square(change),
            "covariance": 2 * (missing * change).sum() / len(a),
            "new_fit": square(a @ (w * ~k).T),
            "lost": square(lost),
            "recovered": 1 - square(change) / square(lost),
        }
        for name, value in expected.items():
            assert float(found[f"layer_{name}"][i]) == pytest.approx(value, rel=1e-9), (layer, name)
        a = np.maximum(a @ (w * m).T + p[f"{layer}.bias"], 0)


@pytest.mark.parametrize("name", ["conv", "vit"])
def test_convolutions_and_attention_are_split_like_linear_layers(name: str) -> None:
    model, images, labels, old, new = case(name)
    found = MaskProbe(model, images, labels).at(dict(model.named_parameters())).look(old, new)
    copy, inputs = deepcopy(model).double().eval(), {}
    for n, mask in old.items():
        copy.get_parameter(n).data *= mask
        owner = copy.get_submodule(n.rpartition(".")[0])
        if n.endswith("out_proj.weight"):
            continue  # attention does not call it: test_other_networks.py
        owner.register_forward_pre_hook(lambda _, given, n=n: inputs.update({n: given[0]}))
    with torch.no_grad():
        copy(images.double())
    split = {n: i for i, n in enumerate(old) if not found["layer_fit"][i].isnan()}
    assert set(split) == set(old)
    for n in inputs:
        i = split[n]
        layer = deepcopy(copy.get_submodule(n.rpartition(".")[0]))
        weight = model.get_parameter(n).detach().double()

        def under(mask: torch.Tensor | bool, n: str = n, weight: torch.Tensor = weight, layer: nn.Module = layer):
            if n.endswith("in_proj_weight"):
                return (inputs[n] @ (weight * mask).T).flatten(0, -2)
            layer.weight.data = weight * mask
            with torch.no_grad():
                y = layer(inputs[n])
            return y.permute(0, 2, 3, 1).flatten(0, -2) if y.ndim == 4 else y.flatten(0, -2)

        missing, change = under(True) - under(old[n]), under(old[n]) - under(new[n])
        lost = under(old[n]) - under(old[n] & new[n])
        expected = {
            "fit": (missing**2).sum(),
            "compensation": (change**2).sum(),
            "covariance": 2 * (missing * change).sum(),
            "new_fit": ((under(True) - under(new[n])) ** 2).sum(),
            "lost": (lost**2).sum(),
        }
        for term, value in expected.items():
            assert float(found[f"layer_{term}"][i]) == pytest.approx(float(value) / len(missing), rel=1e-9), (n, term)


def test_layers_that_are_not_known_to_be_linear_have_no_split() -> None:
    class Squared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.weight.T.square()

    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), Squared())
    images, labels = torch.randn(20, 1, 4, 4), torch.randint(0, 4, (20,))
    old, new = ({n: torch.rand(p.shape) > 0.4 for n, p in prunable_parameters(model).items()} for _ in range(2))
    with pytest.warns(UserWarning, match=r"layer_\* of '2.weight' is NaN: the output of Squared is not known"):
        probe = MaskProbe(model, images, labels)
    found = probe.at(dict(model.named_parameters())).look(old, new)
    assert found["layer_fit"].isnan().tolist() == [False, True]


def test_nothing_changed_is_zero_and_all_masks_agree() -> None:
    model, images, labels, old, _ = case("mlp")
    found = MaskProbe(model, images, labels).at(dict(model.named_parameters())).look(old, old)
    for name in ("compensation", "covariance", "burden", "lost", "regained", "recovered", "layer_lost", "layer_burden"):
        assert not found[name].any(), name
    torch.testing.assert_close(found["fit"], found["new_fit"], rtol=1e-12, atol=0)


def test_relaxation_is_the_same_decomposition_with_later_weights() -> None:
    model, images, labels, old, new = case("mlp")
    later = {n: p + 0.1 for n, p in model.named_parameters()}
    probe = MaskProbe(model, images, labels)
    relaxed, again = probe.at(later).relax(old, new), probe.at(later).look(old, new)
    for term in TERMS:
        torch.testing.assert_close(relaxed[f"relaxed_{term}"], again[term], rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", MODELS)
def test_relaxation_is_the_same_where_a_look_did_its_work(name: str) -> None:
    model, images, labels, old, new = case(name)
    newer = {n: m & (torch.rand(m.shape) > 0.02) for n, m in new.items()}
    probe, weights = MaskProbe(model, images, labels), dict(model.named_parameters())
    after_look = probe.at(weights)
    after_look.look(new, newer)
    shared, alone = after_look.relax(old, new), probe.at(weights).relax(old, new)
    for key, value in alone.items():
        torch.testing.assert_close(shared[key], value, rtol=1e-9, atol=1e-14)


def test_the_load_by_brute_force() -> None:
    model, images, labels, _, new = case("mlp")
    new["hidden1.weight"][2] = False
    with torch.no_grad():
        model.hidden1.bias[2] = -1.0
    found = MaskProbe(model, images, labels).at(dict(model.named_parameters())).load(new)
    w, m = model.hidden1.weight.detach().double().numpy(), new["hidden1.weight"].numpy()
    hidden = np.maximum(
        images.double().flatten(1).numpy() @ (w * m).T + model.hidden1.bias.detach().double().numpy(), 0
    )
    np.testing.assert_allclose(found["load_inputs"][0], np.quantile(m.sum(1), QUANTILES))
    np.testing.assert_allclose(found["load_weight_norm"][0], np.quantile(np.linalg.norm(w * m, axis=1), QUANTILES))
    np.testing.assert_allclose(found["load_activation"][0], np.quantile(np.abs(hidden).mean(0), QUANTILES), rtol=1e-9)
    assert int(found["dead_units"][0]) == (hidden == 0).all(0).sum() >= 1


def test_the_network_its_mode_and_the_generators_are_left_alone() -> None:
    model, images, labels, old, new = case("conv")
    calls: list[int] = []
    model[0].register_forward_hook(lambda *_: calls.append(1))
    state, weights = torch.random.get_rng_state(), deepcopy(model.state_dict())
    MaskProbe(model, images, labels).at(dict(model.named_parameters())).look(old, new)
    assert torch.equal(state, torch.random.get_rng_state())
    assert model.training
    assert not calls
    assert all(torch.equal(a, b) for a, b in zip(weights.values(), model.state_dict().values(), strict=True))


@pytest.mark.parametrize("density", [0.0, 0.01, 0.05, 0.5, 1.0])
def test_sparse_and_dense_products_agree(density: float) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(30, 40, dtype=torch.float64)
    inputs[:, ::3] = 2.0
    weight, kept = torch.randn(25, 40, dtype=torch.float64), torch.rand(25, 40) < density
    found = FixedInput(inputs).product(weight, kept)
    torch.testing.assert_close(found, inputs @ (weight * kept).T, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "first", [nn.LayerNorm(16), nn.BatchNorm1d(16, affine=False)], ids=["learned", "running statistics"]
)
def test_what_is_trained_before_the_first_linear_layer_is_seen(first: nn.Module) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), first, nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))
    images, labels = torch.randn(20, 1, 4, 4), torch.randint(0, 4, (20,))
    probe = MaskProbe(model, images, labels)
    with torch.no_grad():
        for tensor in (*first.parameters(), *first.buffers()):
            if tensor.is_floating_point():
                tensor += 0.5
    shapes = {n: p.shape for n, p in prunable_parameters(model).items()}
    old, new = ({n: torch.rand(s) > 0.4 for n, s in shapes.items()} for _ in range(2))
    weights = dict(model.named_parameters()) | dict(model.named_buffers())
    early, late = probe.at(weights).look(old, new), MaskProbe(model, images, labels).at(weights).look(old, new)
    for name in TERMS:
        torch.testing.assert_close(early[name], late[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.zeros(1, dtype=torch.int64), r"20 images and 1 labels: give one label per image"),
        (torch.zeros(19, dtype=torch.int64), r"20 images and 19 labels"),
        (torch.zeros(0, dtype=torch.int64), r"20 images and 0 labels: .* at least one"),
        (torch.eye(4, dtype=torch.int64)[torch.zeros(20, dtype=torch.int64)], r"shape \(20, 4\) .* one class index"),
        (torch.zeros(20), r"type torch.float32: .* integers of shape \(sample,\)"),
        (torch.zeros(20, dtype=torch.bool), r"type torch.bool"),
        (torch.full((20,), -1), r"from -1 to -1, but the network has 4 outputs: give classes from 0 to 3"),
        (torch.arange(20), r"from 0 to 19"),
    ],
)
def test_labels_that_are_not_one_class_per_image_are_refused(labels: torch.Tensor, message: str) -> None:
    model, images, _, _, _ = case("mlp")
    with pytest.raises(InputError, match=message) as caught:
        MaskProbe(model, images, labels)
    assert "\n" not in str(caught.value)


def test_an_empty_batch_is_refused_and_any_kind_of_integer_is_taken() -> None:
    model, images, labels, old, new = case("mlp")
    with pytest.raises(InputError, match="0 images and 0 labels"):
        MaskProbe(model, images[:0], labels[:0])
    weights = dict(model.named_parameters())
    small, wide = (MaskProbe(model, images, y).at(weights).look(old, new)["fit"] for y in (labels.byte(), labels))
    torch.testing.assert_close(small, wide, rtol=0, atol=0)
