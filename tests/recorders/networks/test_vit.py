from __future__ import annotations

import pytest
import torch
from torch.func import functional_call
from torch.nn.functional import gelu, layer_norm

from recorders import TokenMerge, VisionTransformer, merge_tokens
from recorders.contract import InputError
from recorders.methods.masks import magnitude_masks
from recorders.networks.layers import hidden_layers, prunable_parameters
from recorders.seeding import with_seeded_weights
from recorders.training.cohort import Cohort


def small(**options: object) -> VisionTransformer:
    settings = {"image_size": 12, "channels": 2, "classes": 3, "patch": 4, "depth": 2, "embedding": 8, "heads": 2}
    return VisionTransformer(**settings | options)


def test_the_network_of_the_study() -> None:
    model = VisionTransformer()
    shapes = {name: tuple(p.shape) for name, p in prunable_parameters(model).items()}
    expected = {"patch_embedding.weight": (384, 3, 16, 16)}
    for i in range(4):
        expected |= {
            f"blocks.{i}.attention.qkv.weight": (1152, 384),
            f"blocks.{i}.attention.output.weight": (384, 384),
            f"blocks.{i}.mlp.0.weight": (1536, 384),
            f"blocks.{i}.mlp.2.weight": (384, 1536),
        }
    assert shapes == expected | {"head.weight": (10, 384)}
    assert model.position.shape == (1, 197, 384)
    assert list(hidden_layers(model)) == list(shapes_without_suffix(expected))
    assert hidden_layers(model)["blocks.0.mlp.0"] is model.blocks[0].mlp[1]  # after the GELU


def shapes_without_suffix(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    return [name.removesuffix(".weight") for name in shapes]


def test_the_forward_pass_written_out() -> None:
    model = small(depth=1, generator=torch.Generator().manual_seed(0)).double()
    images = torch.randn(2, 2, 12, 12, dtype=torch.float64)
    weights = model.state_dict()
    patches = images.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).reshape(2, 9, 32)
    x = patches @ weights["patch_embedding.weight"].flatten(1).T + weights["patch_embedding.bias"]
    x = torch.cat([weights["class_token"].expand(2, 1, 8), x], 1) + weights["position"]
    q, k, v = (layer_norm(x, [8], eps=1e-6) @ weights["blocks.0.attention.qkv.weight"].T).split(8, dim=2)
    heads = [torch.softmax(q[..., s] @ k[..., s].mT / 4**0.5, dim=2) @ v[..., s] for s in (slice(0, 4), slice(4, 8))]
    x = x + torch.cat(heads, dim=2) @ weights["blocks.0.attention.output.weight"].T
    hidden = gelu(layer_norm(x, [8], eps=1e-6) @ weights["blocks.0.mlp.0.weight"].T)
    x = x + hidden @ weights["blocks.0.mlp.2.weight"].T
    torch.testing.assert_close(model(images), layer_norm(x[:, 0], [8], eps=1e-6) @ weights["head.weight"].T)


def test_weights_are_a_function_of_the_seed_and_leave_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    models = [small(generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    seeded = [with_seeded_weights(seed, small) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    for first, second, other in (models, seeded):
        for name, weight in first.state_dict().items():
            assert torch.equal(weight, second.state_dict()[name])
            if weight.ndim > 1:
                assert not torch.equal(weight, other.state_dict()[name]), name
    study = VisionTransformer(generator=torch.Generator().manual_seed(0))
    every = torch.cat([p.detach().flatten() for p in study.parameters() if p.ndim > 1])
    assert float(every.std()) == pytest.approx(0.02, rel=0.01)
    assert all((p == 0).all() for name, p in models[0].named_parameters() if name.endswith("bias"))


def test_masked_weights_through_functional_call() -> None:
    model = merge_tokens(small(), TokenMerge(0.5))
    images = torch.randn(2, 2, 12, 12)
    weights = dict(model.named_parameters())
    names = list(prunable_parameters(model))
    masks = dict(zip(names, magnitude_masks([weights[n] for n in names], 0.7), strict=True))
    masked = {n: (w * masks[n] if n in masks else w).detach() for n, w in weights.items()}
    outputs = functional_call(model, masked, (images,))
    model.load_state_dict(masked)
    assert torch.equal(outputs, model(images))


def test_it_trains_in_a_cohort_with_merging() -> None:
    model = merge_tokens(small(), TokenMerge(0.5))
    weights = prunable_parameters(model)
    masks = dict(zip(weights, magnitude_masks(list(weights.values()), 0.9), strict=True))
    assert all(bool(mask.any()) for mask in masks.values())  # a layer without a weight lets no gradient through
    cohort = Cohort([model], [masks], torch.device("cpu"))
    images, labels = torch.randn(1, 4, 2, 12, 12), torch.tensor([[0, 1, 2, 0]])
    cohort.backward(images, labels, activations=True)
    assert cohort.mean_squares.isfinite().all()
    assert all(g.abs().sum() > 0 for g in cohort.gradients)
    active = sum(int((w != 0).sum()) for w in cohort.effective)
    assert active == round(0.1 * sum(w.numel() for w in cohort.effective))


def test_bfloat16() -> None:
    model = merge_tokens(small(), TokenMerge(0.5, proportional_attention=True))
    images = torch.randn(2, 2, 12, 12)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = model(images)
    assert outputs.dtype == torch.bfloat16
    torch.testing.assert_close(outputs.float(), model(images), atol=0.02, rtol=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 30}, "image_size 30 is not divisible by patch 4: choose 28 or 32"),
        ({"image_size": 3}, "image_size 3 is not divisible by patch 4: choose 4"),
        ({"heads": 3}, "3 heads do not divide embedding 8: choose 6"),
        ({"patch": 0}, "must be positive, got 12, 0, 8 and 2"),
        ({"depth": 0}, "must be positive, got 2, 3, 0 and 4"),
        ({"mlp_ratio": 0}, "must be positive, got 2, 3, 2 and 0"),
    ],
)
def test_bad_shapes(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small(**options)
