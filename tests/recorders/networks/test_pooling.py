"""Heads of timm that average tokens: a merged token counts as often as the tokens it stands for."""

from __future__ import annotations

import pickle
from copy import deepcopy

import pytest
import timm
import torch
from torch import nn

from recorders import TokenMerge, merge_tokens
from recorders.contract import InputError

IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def vit(**options: object) -> timm.models.VisionTransformer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        settings = {"img_size": 32, "patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 2, "num_classes": 5}
        return timm.models.VisionTransformer(**settings | options).double().eval()


def repeated(model: timm.models.VisionTransformer, merge: TokenMerge) -> torch.Tensor:
    """Tokens at the end of the encoder, each as often as the source tokens that went to it."""
    tokens = model.forward_features(IMAGES)
    return torch.stack([sample[places] for sample, places in zip(tokens, merge.source, strict=True)])


HEADS = {
    "avg": ({"global_pool": "avg", "class_token": False}, lambda x: x.mean(1)),
    "avg, class token": ({"global_pool": "avg"}, lambda x: x[:, 1:].mean(1)),
    "avg, class token pooled": ({"global_pool": "avg", "pool_include_prefix": True}, lambda x: x.mean(1)),
    "avg, registers": ({"global_pool": "avg", "reg_tokens": 2}, lambda x: x[:, 3:].mean(1)),
    "avgmax": ({"global_pool": "avgmax"}, lambda x: (x[:, 1:].mean(1) + x[:, 1:].amax(1)) / 2),
    "max": ({"global_pool": "max"}, lambda x: x[:, 1:].amax(1)),
    "token": ({"global_pool": "token"}, lambda x: x[:, 0]),
}


def merged(head: str, ratio: float = 0.7, **how: bool) -> tuple[timm.models.VisionTransformer, TokenMerge]:
    model = vit(**HEADS[head][0])
    merge = TokenMerge(ratio, class_token=model.has_class_token, registers=model.num_reg_tokens, metric="cosine")
    return merge_tokens(model, merge, **how).eval(), merge


@pytest.mark.parametrize("head", HEADS)
def test_a_pooled_feature_is_that_of_the_source_tokens(head: str) -> None:
    model, merge = merged(head)
    expected = model.head(model.fc_norm(HEADS[head][1](repeated(model, merge))))
    torch.testing.assert_close(model(IMAGES), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("head", HEADS)
def test_without_merging_or_without_weights_it_is_timms_own_to_the_last_bit(head: str) -> None:
    plain = vit(**HEADS[head][0])
    assert torch.equal(merged(head, ratio=0)[0](IMAGES), plain(IMAGES))
    model, _ = merged(head, proportional_pooling=False)
    assert torch.equal(model(IMAGES), plain.forward_head(model.forward_features(IMAGES)))
    assert torch.equal(merged(head)[0](IMAGES), model(IMAGES)) == (head in ("max", "token"))


def test_a_map_head_pools_by_attention_and_is_left_alone() -> None:
    model, plain = vit(global_pool="map"), vit(global_pool="map")
    merge_tokens(model, TokenMerge(0.7))
    assert torch.equal(model(IMAGES), plain.forward_head(model.forward_features(IMAGES)))


def test_copies_files_and_later_heads_weigh_too() -> None:
    model, _ = merged("avg")
    expected = model(IMAGES)
    for copy in (deepcopy(model), pickle.loads(pickle.dumps(model))):
        model(IMAGES[:1])  # a copy that read the sizes of the original would fail
        assert torch.equal(copy(IMAGES), expected)
    model, merge = merged("token")
    model.reset_classifier(5, global_pool="avg")
    model.double()
    expected = model.head(model.fc_norm(repeated(model, merge)[:, 1:].mean(1)))
    torch.testing.assert_close(model(IMAGES), expected, rtol=1e-12, atol=1e-12)


def test_gradients_compiled_and_half_precision() -> None:
    model, _ = merged("avg")
    torch._dynamo.reset()
    assert torch.equal(torch.compile(model, backend="eager")(IMAGES), model(IMAGES))
    model(IMAGES).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    half = model.to(torch.bfloat16)(IMAGES.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), merged("avg")[0](IMAGES), rtol=0.05, atol=0.05)


def test_tokens_of_another_pass_are_refused() -> None:
    model, _ = merged("avg")
    model(IMAGES)
    with pytest.raises(InputError, match="cannot weigh 9 tokens by the sizes of 11"):
        model.forward_head(torch.zeros(3, 9, 12, dtype=torch.float64))


def test_a_timm_that_pools_in_a_place_of_its_own_is_refused() -> None:
    old = type("VisionTransformer", (nn.Module,), {"__module__": "timm.models.vision_transformer"})()
    old.num_prefix_tokens, old.global_pool, old.patch_drop = 1, "avg", nn.Identity()
    with pytest.raises(InputError, match="averages tokens out of reach: update timm"):
        merge_tokens(old, TokenMerge(0.5))
    assert isinstance(merge_tokens(old, TokenMerge(0.5), proportional_pooling=False).patch_drop, nn.Sequential)
