"""Puts token merging into a ViT, ours, torchvision's or timm's, between embedding and encoder."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn

from recorders.contract import InputError
from recorders.networks.token_merge import TokenMerge
from recorders.networks.vit import VisionTransformer

Model = TypeVar("Model", bound=nn.Module)


def merge_tokens(model: Model, merge: TokenMerge, *, proportional_pooling: bool = True) -> Model:
    """Merge the tokens of a ViT once, where its embedding (with positions) ends and its encoder begins.

    Parameters
    ----------
    model : nn.Module
        `recorders.VisionTransformer`, `torchvision.models.VisionTransformer` or a
        ``timm.models.vision_transformer.VisionTransformer`` (also with registers, without a class token, or with a norm
        before the encoder: that norm comes after the merge). Changed in place; names of parameters stay as they are, so
        pretrained weights load before and after.
    merge : TokenMerge
        What to put there.
    proportional_pooling : bool
        Whether a head that averages tokens (timm's ``global_pool="avg"`` and ``"avgmax"``) counts each as often as the
        source tokens it stands for, as in the MAE models of Bolya et al. 2023. The default: the mean over merged tokens
        is then what it is of, the mean over all patches. Off, every token left counts once.

    Returns
    -------
    nn.Module
        The same model.

    Raises
    ------
    InputError
        A model of another kind, one that merges already, other leading tokens than `merge` holds out, or proportional
        attention in a model whose attention takes no bias, or an averaging head that pools in a place of its own.
    """
    if any(isinstance(module, TokenMerge) for module in model.modules()):
        raise InputError("the model merges tokens already: make a new one")
    network: Any = model
    if isinstance(model, VisionTransformer):
        _check_leading(merge, 1)
        network.merge = merge
    elif _is_a(model, "torchvision.models.vision_transformer"):
        _check(merge, model, 1)
        network.encoder.dropout = _then(network.encoder.dropout, merge)
    elif _is_a(model, "timm.models.vision_transformer"):
        _check(merge, model, network.num_prefix_tokens)
        if proportional_pooling:
            _weigh_pooling(network, merge)
        network.patch_drop = _then(network.patch_drop, merge)
    else:
        raise InputError(
            f"cannot tell where the encoder of a {type(model).__name__} begins: call the TokenMerge on the tokens "
            "there in its forward (this function knows recorders', torchvision's and timm's VisionTransformer)"
        )
    return model


def _is_a(model: nn.Module, home: str) -> bool:
    """Whether it is a library's VisionTransformer or derived from it; without importing that library."""
    return any((kind.__module__, kind.__name__) == (home, "VisionTransformer") for kind in type(model).__mro__)


def _then(layer: nn.Module, merge: TokenMerge) -> nn.Module:
    # A replaced layer, no hook: copies of the model keep it. These layers have no parameters, so no name changes.
    return nn.Sequential(layer, merge)


def _weigh_pooling(model: Any, merge: TokenMerge) -> None:
    if hasattr(model, "pool"):
        model.pool = partial(_pool, model, merge)  # in place of the method: copies and files of the model keep it
    elif "avg" in model.global_pool:
        raise InputError("this timm averages tokens out of reach: update timm, or give proportional_pooling=False")


def _pool(model: Any, merge: TokenMerge, tokens: torch.Tensor, pool_type: str | None = None) -> torch.Tensor:
    """Pool as the model does, with means weighted by sizes."""
    pooled: torch.Tensor = type(model).pool(model, tokens, pool_type)
    kind = model.global_pool if pool_type is None else pool_type
    if model.attn_pool is not None or kind not in ("avg", "avgmax") or merge.sizes is None:
        return pooled
    first = 0 if getattr(model, "pool_include_prefix", False) else model.num_prefix_tokens
    sizes = merge.sizes[:, first:].unsqueeze(2)
    if sizes.shape[1] != tokens.shape[1] - first:
        raise InputError(
            f"cannot weigh {tokens.shape[1]} tokens by the sizes of {merge.sizes.shape[1]}: they are not those that "
            "were merged in the last pass"
        )
    weighted = tokens[:, first:] * (sizes / sizes.mean(1, keepdim=True))
    mean = weighted.mean(1).to(tokens.dtype)
    return mean if kind == "avg" else 0.5 * (tokens[:, first:].amax(1) + mean)


def _check(merge: TokenMerge, model: nn.Module, leading: int) -> None:
    if merge.proportional_attention:
        raise InputError(
            f"the attention of {type(model).__module__.partition('.')[0]}'s {type(model).__name__} takes no bias from "
            "outside: leave proportional_attention off, or use recorders.VisionTransformer"
        )
    _check_leading(merge, leading)


def _check_leading(merge: TokenMerge, leading: int) -> None:
    if merge.held_out == leading:
        return
    fit = f"class_token=True, registers={leading - 1}" if leading else "class_token=False"
    raise InputError(
        f"the model has {leading} leading token(s) that are no patches, the TokenMerge holds {merge.held_out} out: "
        f"make it with {fit}"
    )
