from __future__ import annotations

import pickle
from copy import deepcopy

import pytest
import timm
import torch
import torchvision
from torch import nn

from recorders import TokenMerge, VisionTransformer, bipartite_soft_matching, merge_tokens
from recorders.contract import InputError
from recorders.networks.layers import prunable_parameters

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def ours() -> VisionTransformer:
    return VisionTransformer(32, patch=8, depth=2, embedding=12, heads=2, generator=torch.Generator().manual_seed(0))


def of_torchvision() -> torchvision.models.VisionTransformer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = torchvision.models.VisionTransformer(
            32, 8, num_layers=2, num_heads=2, hidden_dim=12, mlp_dim=24, num_classes=5
        )
        nn.init.normal_(model.heads.head.weight)  # torchvision starts the head at 0
        return model


def of_timm(**options: object) -> timm.models.VisionTransformer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        settings = {"img_size": 32, "patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 2, "num_classes": 5}
        return timm.models.VisionTransformer(**settings | options)


def by_hand_torchvision(model: torchvision.models.VisionTransformer, merges: int) -> torch.Tensor:
    patches = model.conv_proj(IMAGES).flatten(2).transpose(1, 2)
    tokens = torch.cat([model.class_token.expand(2, -1, -1), patches], 1) + model.encoder.pos_embedding
    tokens = bipartite_soft_matching(tokens, merges, held_out=1).tokens
    for layer in model.encoder.layers:
        tokens = layer(tokens)
    return model.heads(model.encoder.ln(tokens)[:, 0])


def by_hand_timm(model: timm.models.VisionTransformer, merges: int) -> torch.Tensor:
    tokens = model.norm_pre(
        bipartite_soft_matching(
            model._pos_embed(model.patch_embed(IMAGES)), merges, held_out=model.num_prefix_tokens
        ).tokens
    )
    for block in model.blocks:
        tokens = block(tokens)
    return model.forward_head(model.norm(tokens))


def by_hand_timm_pooled(model: timm.models.VisionTransformer, merges: int) -> torch.Tensor:
    merged = bipartite_soft_matching(model._pos_embed(model.patch_embed(IMAGES)), merges)
    tokens = model.norm_pre(merged.tokens)
    for block in model.blocks:
        tokens = block(tokens)
    weights = merged.sizes / merged.sizes.mean(1, keepdim=True)
    return model.head(model.fc_norm((model.norm(tokens) * weights.unsqueeze(2)).mean(1)))


def by_hand_ours(model: VisionTransformer, merges: int) -> torch.Tensor:
    tokens = bipartite_soft_matching(model.embed(IMAGES), merges, held_out=1).tokens
    for block in model.blocks:
        tokens = block(tokens, None)
    return model.head(model.norm(tokens[:, 0]))


FAMILIES = {
    "ours": (ours, by_hand_ours, {}),
    "torchvision": (of_torchvision, by_hand_torchvision, {}),
    "timm": (of_timm, by_hand_timm, {}),
    "timm, norm before the encoder": (lambda: of_timm(pre_norm=True), by_hand_timm, {}),
    "timm, registers": (lambda: of_timm(reg_tokens=2), by_hand_timm, {"registers": 2}),
    "timm, no class token": (
        lambda: of_timm(class_token=False, global_pool="avg"),
        by_hand_timm_pooled,
        {"class_token": False},
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_it_plugs_into_any_vit_and_changes_the_outputs_by_exactly_the_merge(family: str) -> None:
    make, by_hand, options = FAMILIES[family]
    plain, merging = make().eval(), merge_tokens(make(), TokenMerge(0.5, **options)).eval()
    expected = by_hand(plain, 4)
    assert torch.equal(merging(IMAGES), expected)
    assert not torch.allclose(plain(IMAGES), expected)
    assert torch.equal(merge_tokens(make(), TokenMerge(0, **options)).eval()(IMAGES), plain(IMAGES))


@pytest.mark.parametrize("family", FAMILIES)
def test_names_stay_and_copies_keep_the_merge(family: str) -> None:
    make, _, options = FAMILIES[family]
    plain, merging = make(), merge_tokens(make(), TokenMerge(0.5, **options))
    assert list(merging.state_dict()) == list(plain.state_dict())
    assert list(prunable_parameters(merging)) == list(prunable_parameters(plain))
    expected = merging.eval()(IMAGES)
    assert torch.equal(deepcopy(merging)(IMAGES), expected)
    assert torch.equal(pickle.loads(pickle.dumps(merging))(IMAGES), expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_reach_every_weight(family: str) -> None:
    make, _, options = FAMILIES[family]
    model = merge_tokens(make(), TokenMerge(1, **options))
    model(IMAGES).square().sum().backward()
    for name, parameter in prunable_parameters(model).items():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_layer_alone() -> None:
    merge = TokenMerge(0.4)
    tokens = torch.randn(3, 197, 8)
    out = merge(tokens)
    expected = bipartite_soft_matching(tokens, 39, held_out=1)
    assert out.shape == (3, 158, 8)
    assert torch.equal(out, expected.tokens)
    assert merge.sizes is not None
    assert torch.equal(merge.sizes, expected.sizes)
    assert torch.equal(merge.source, expected.source)
    histogram = merge.size_histogram(4)
    assert float(histogram.sum()) == pytest.approx(157)
    assert float(merge.sizes[:, 1:].sum()) == 3 * 196
    assert not list(merge.parameters())
    assert not list(merge.buffers())
    assert not merge.state_dict()


def test_what_it_remembers_holds_no_graph() -> None:
    merge = TokenMerge(0.4)
    merge(torch.randn(1, 9, 4, requires_grad=True))
    assert merge.sizes is not None
    assert merge.source is not None
    assert not merge.sizes.requires_grad
    assert not merge.source.requires_grad


def test_random_matching_is_a_function_of_seed_and_step() -> None:
    tokens = torch.randn(2, 41, 4)

    def train(merge: TokenMerge, steps: int, *, evaluate: bool = False) -> list[torch.Tensor]:
        maps = []
        for _ in range(steps):
            merge.train()(tokens)
            maps.append(merge.source)
            if evaluate:
                merge.eval()(tokens)
        return maps

    before = torch.get_rng_state()
    maps = train(TokenMerge(0.5, metric="random", seed=3), 4)
    again = train(TokenMerge(0.5, metric="random", seed=3), 4, evaluate=True)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(maps, again, strict=True))
    assert len({tuple(m.flatten().tolist()) for m in maps}) == 4
    resumed = TokenMerge(0.5, metric="random", seed=3)
    resumed.steps = 2
    assert torch.equal(train(resumed, 1)[0], maps[2])
    assert not torch.equal(train(TokenMerge(0.5, metric="random", seed=4), 1)[0], maps[0])
    merge = TokenMerge(0.5, metric="random", seed=3).eval()
    evaluated = merge(tokens)
    merge.train()(tokens)
    assert torch.equal(merge.eval()(tokens), evaluated)


def test_proportional_attention_counts_a_token_as_often_as_its_sources() -> None:
    # Two equal patches merged into one must attend and be attended to as if they were still two.
    model = ours().double().eval()
    embedded = model.embed(IMAGES.double()).detach()
    embedded[:, 2::2] = embedded[:, 1::2]  # every b equals its a
    plain = embedded
    for block in model.blocks:
        plain = block(plain, None)
    for proportional in (True, False):
        merge = TokenMerge(1, metric=lambda a, b: torch.eye(8).expand(2, -1, -1), proportional_attention=proportional)
        tokens = merge(embedded)
        for block in model.blocks:
            tokens = block(tokens, merge.attention_bias)
        assert torch.allclose(tokens[:, 0], plain[:, 0], atol=1e-12) == proportional
    model.merge = TokenMerge(0, proportional_attention=True)
    assert torch.equal(model(IMAGES.double()), ours().double().eval()(IMAGES.double()))


def test_proportional_attention_reaches_our_encoder() -> None:
    outputs = [merge_tokens(ours(), TokenMerge(0.8, proportional_attention=flag))(IMAGES) for flag in (False, True)]
    assert not torch.allclose(*outputs)


@pytest.mark.parametrize(("make", "who"), [(of_torchvision, "torchvision's"), (of_timm, "timm's")])
def test_proportional_attention_is_refused_where_it_cannot_be(make: object, who: str) -> None:
    with pytest.raises(InputError, match=f"attention of {who} VisionTransformer takes no bias"):
        merge_tokens(make(), TokenMerge(0.5, proportional_attention=True))


def test_bad_input() -> None:
    with pytest.raises(InputError, match=r"compression ratio 1.2 is outside \[0, 1\]"):
        TokenMerge(1.2)
    with pytest.raises(InputError, match="unknown metric 'dots'"):
        TokenMerge(0.5, metric="dots")
    with pytest.raises(InputError, match="registers must not be negative"):
        TokenMerge(0.5, registers=-1)
    with pytest.raises(InputError, match="cannot hold 3 of 2 tokens out"):
        TokenMerge(0.5, registers=2)(torch.zeros(1, 2, 4))
    with pytest.raises(InputError, match="run the network first"):
        TokenMerge(0.5).size_histogram(3)
    with pytest.raises(InputError, match="where the encoder of a Linear begins"):
        merge_tokens(nn.Linear(2, 2), TokenMerge(0.5))
    with pytest.raises(InputError, match="merges tokens already"):
        merge_tokens(merge_tokens(of_timm(), TokenMerge(0.5)), TokenMerge(0.5))
    with pytest.raises(InputError, match=r"3 leading token.* holds 1 out: make it with class_token=True, registers=2"):
        merge_tokens(of_timm(reg_tokens=2), TokenMerge(0.5))
    with pytest.raises(InputError, match=r"0 leading token.* make it with class_token=False"):
        merge_tokens(of_timm(class_token=False, global_pool="avg"), TokenMerge(0.5))
    with pytest.raises(InputError, match=r"1 leading token.* holds 0 out"):
        merge_tokens(of_torchvision(), TokenMerge(0.5, class_token=False))
