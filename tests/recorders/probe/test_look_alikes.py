"""Networks that look like what the probe takes short cuts for, and are not."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from timm.layers import StdConv2d, create_conv2d
from torch import nn
from transformers.pytorch_utils import Conv1D

from recorders import MaskProbe
from recorders.contract import QUANTILES, InputError
from recorders.networks.layers import prunable_parameters
from recorders.probe.snapshot import Snapshot

Masks = dict[str, torch.Tensor]
LABELS = torch.tensor([0, 1, 2, 1, 0, 2])
NAMES = ("fit", "compensation", "covariance", "new_fit")


def masks_of(model: nn.Module, share: float = 0.4) -> Masks:
    return {n: torch.rand(p.shape) > share for n, p in prunable_parameters(model).items()}


def snapshot(model: nn.Module, batch: torch.Tensor) -> Snapshot:
    return MaskProbe(model, batch, LABELS).at(dict(model.named_parameters()))


def terms_of(model: nn.Module, batch: torch.Tensor, *masks: Masks) -> list[float]:
    """Compute fit, compensation, covariance and new fit of two masks with NumPy, from the outputs of masked copies."""
    outputs = []
    for mask in masks:
        copy = deepcopy(model).double()
        for name, kept in mask.items():
            copy.get_parameter(name).data *= kept
        powers = np.exp(copy(batch.double()).detach().numpy())
        outputs.append(powers / powers.sum(1, keepdims=True))
    error, change = np.eye(3)[LABELS] - outputs[0], outputs[0] - outputs[1]
    return [float(v.sum() / len(batch)) for v in (error**2, change**2, 2 * error * change, (error + change) ** 2)]


def check_terms(found: Masks, expected: list[float]) -> None:
    assert [float(found[name][0]) for name in NAMES] == pytest.approx(expected, rel=1e-9)


class LowRank(nn.Linear):
    """A linear layer with a trained correction, as in LoRA."""

    def __init__(self) -> None:
        super().__init__(4, 5)
        self.left, self.right = nn.Parameter(torch.randn(5, 2)), nn.Parameter(torch.randn(2, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + x @ (self.left @ self.right).T


class Doubled(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


class Plain(nn.Linear):
    """Derived, and nothing more."""


@pytest.mark.filterwarnings("ignore:layer_. of '0.left', '0.right' is NaN", "ignore:.*Doubled does more than")
@pytest.mark.parametrize("first", [LowRank, lambda: Doubled(4, 5), lambda: Plain(4, 5)])
def test_a_first_layer_with_a_forward_of_its_own_is_called(first: type[nn.Linear]) -> None:
    torch.manual_seed(0)
    model, batch = nn.Sequential(first(), nn.ReLU(), nn.Linear(5, 3)), torch.randn(6, 4)
    old, new = masks_of(model), masks_of(model)
    at = snapshot(model, batch)
    check_terms(at.look(old, new), terms_of(model, batch, old, new))
    relaxed = at.relax(new, old)
    assert float(relaxed["relaxed_fit"][0]) == pytest.approx(terms_of(model, batch, new, old)[0], rel=1e-9)
    hidden = deepcopy(model).double()
    for name, kept in new.items():
        hidden.get_parameter(name).data *= kept
    mean = hidden[:2](batch.double()).detach().mean(0)
    np.testing.assert_allclose(at.load(new)["load_activation"][0], np.quantile(mean, QUANTILES), rtol=1e-9)


def derived(layer: nn.Module) -> tuple[nn.Module, torch.Tensor, Masks, Masks]:
    torch.manual_seed(0)
    assert type(layer).forward is not nn.Conv2d.forward
    model, batch = nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)), torch.randn(6, 3, 8, 8)
    model(batch)
    return model, batch, masks_of(model), masks_of(model)


def test_a_derived_layer_that_multiplies_by_its_weight_is_split() -> None:
    model, batch, old, new = derived(create_conv2d(3, 4, 3, padding="same", stride=2, bias=True))
    found = snapshot(model, batch).look(old, new)
    padded = nn.functional.pad(batch.double(), (0, 1, 0, 1))  # 8 pixels, kernels of 3, every second place: 4 places
    lost = model[0].weight.detach().double() * (old["0.weight"] & ~new["0.weight"])
    expected = nn.functional.conv2d(padded, lost, stride=2).square().sum() / (6 * 4 * 4)
    assert float(found["layer_lost"][0]) == pytest.approx(float(expected), rel=1e-9)


def test_a_derived_layer_that_does_more_has_no_split() -> None:
    model, batch, old, new = derived(StdConv2d(3, 4, 3))
    with pytest.warns(UserWarning, match=r"layer_\* of '0.weight' is NaN: StdConv2d does more than to multiply"):
        found = snapshot(model, batch).look(old, new)
    assert found["layer_fit"].isnan().tolist() == [True, False]


@pytest.mark.parametrize("width", [5, 7])
@pytest.mark.parametrize("inplace", [False, True])
def test_an_activation_function_that_layers_share_shows_each_ones_units(width: int, inplace: bool) -> None:
    torch.manual_seed(0)
    shared = nn.ReLU(inplace=inplace)
    model = nn.Sequential(nn.Linear(4, 5), shared, nn.Linear(5, width), shared, nn.Linear(width, 3)).double()
    batch, masks = torch.randn(6, 4, dtype=torch.float64), masks_of(model, share=-1)
    at = snapshot(model, batch)
    for found in (at.load(masks), at.load(masks), at.look(masks, masks)):
        for layer, depth in enumerate((2, 4)):
            output = model[:depth](batch).detach()
            np.testing.assert_allclose(
                found["load_activation"][layer], np.quantile(output.mean(0), QUANTILES), rtol=1e-12
            )
            assert int(found["dead_units"][layer]) == int((output == 0).all(0).sum())


class Own(nn.Module):
    """A module of one's own with a weight of 4 rows."""

    def __init__(self, product: str) -> None:
        super().__init__()
        self.weight, self._product = nn.Parameter(torch.randn(4, 3)), product

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum(self._product, x, self.weight)


@pytest.mark.filterwarnings("ignore:layer_. of '0.weight' is NaN. the output of Own")
@pytest.mark.parametrize(
    ("product", "shape", "axis"),
    [
        ("ni,ui->nu", (6, 3), 1),
        ("nti,ui->ntu", (6, 5, 3), 2),
        ("nit,ui->nut", (6, 3, 5), 1),
        ("nthi,ui->nthu", (6, 5, 2, 3), 3),
        ("nihw,ui->nuhw", (6, 3, 5, 2), 1),
        ("nti,ui->ntu", (6, 4, 3), None),  # 4 tokens, 4 units
        ("nihw,ui->nuhw", (6, 3, 5, 4), None),
    ],
)
def test_units_of_a_module_of_ones_own_are_on_the_one_axis_that_fits(
    product: str, shape: tuple[int, ...], axis: int | None
) -> None:
    torch.manual_seed(0)
    layer, batch = Own(product), torch.randn(shape)
    out = layer(batch)
    model = nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.Linear(out[0].numel(), 3))
    masks = {n: torch.ones_like(m) for n, m in masks_of(model).items()}
    if axis is None:
        with pytest.warns(UserWarning, match=r"load_\* of '0' is NaN: which axis .* has its 4 units cannot be told"):
            found = snapshot(model, batch).load(masks)
        assert all(value[0].isnan().all() for value in found.values())
    else:
        mean = out.detach().clamp(min=0).movedim(axis, 0).flatten(1).mean(1)
        found = snapshot(model, batch).load(masks)
        np.testing.assert_allclose(found["load_activation"][0], np.quantile(mean, QUANTILES), rtol=1e-5)


def test_a_square_weight_of_gpt2_has_columns_for_units() -> None:
    model = nn.Sequential(Conv1D(4, 4), nn.ReLU(), nn.Linear(4, 3))
    with pytest.warns(UserWarning, match="is NaN") as caught:
        probe = MaskProbe(model, torch.randn(6, 4), LABELS)
    assert "load_* of '0' is NaN: the rows of its weight are no units of Conv1D" in [str(w.message) for w in caught]
    found = probe.at(dict(model.named_parameters())).load(masks_of(model))
    assert all(value[0].isnan().all() for value in found.values())


@pytest.mark.filterwarnings("ignore:load_. of 'encoder.layers.0.self_attn' is NaN")
@pytest.mark.parametrize("padded", [False, True])
def test_an_encoder_of_torch_that_is_told_of_padding(padded: bool) -> None:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True)
            self.encoder, self.head = nn.TransformerEncoder(layer, 1), nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            padding = torch.zeros(x.shape[:2], dtype=torch.bool)
            padding[:, 3:] = padded
            return self.head(self.encoder(x, src_key_padding_mask=padding)[:, :3].mean(1))

    torch.manual_seed(0)
    model, batch = Encoder(), torch.randn(6, 5, 4)
    old, new = masks_of(model), masks_of(model)
    found = snapshot(model, batch).look(old, new)
    check_terms(found, terms_of(model, batch, old, new))  # in training mode, where torch takes no short cuts
    assert not found["layer_fit"].isnan().any()
    assert model.encoder.use_nested_tensor


def test_logits_in_float32_are_compared_in_float64() -> None:
    class Narrow(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).float()

    torch.manual_seed(0)
    model, batch = Narrow(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)), torch.randn(6, 4)
    old, new = masks_of(model), masks_of(model)
    found = snapshot(model, batch).look(old, new)
    expected = terms_of(nn.Sequential(*model), batch, old, new)
    assert [float(found[name][0]) for name in NAMES] == pytest.approx(expected, rel=1e-5)
    assert {value.dtype for value in found.values()} == {torch.float64}


def test_a_batch_of_no_dimension_is_refused() -> None:
    with pytest.raises(InputError, match="images are a Tensor: give one tensor, one sample a row"):
        MaskProbe(nn.Linear(4, 3), torch.tensor(1.0), LABELS)
