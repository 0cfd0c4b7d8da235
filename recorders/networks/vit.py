"""The vision transformer of the Tables 1 and 2 study: pre-norm encoder blocks on patches, read out at a class token."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from recorders.contract import InputError
from recorders.networks.token_merge import TokenMerge

_DEVIATION = 0.02  # of initial weights; BERT's value, which ViTs took over


class VisionTransformer(nn.Module):
    """A ViT (Dosovitskiy et al. 2021) for square images.

    Learned positions, a class token, GELU, layer norm before attention, MLP and head; no dropout. Weights start as
    truncated normals with deviation 0.02, biases at 0.

    Parameters
    ----------
    image_size : int
        Pixels a side.
    channels : int
        Channels of an image.
    classes : int
        Number of outputs.
    patch : int
        Pixels a side of a patch.
    depth : int
        Encoder blocks.
    embedding : int
        Width of a token.
    heads : int
        Attention heads; the study has 3 at embedding 384 and 6 at 768.
    mlp_ratio : float
        Hidden units of a block's MLP, as a multiple of the embedding.
    generator : torch.Generator, optional
        What initial weights are drawn from; torch's default generator when not given (see
        `recorders.seeding.with_seeded_weights`).

    Attributes
    ----------
    merge : nn.Module
        Between embedding and encoder; the identity until `merge_tokens` puts a `TokenMerge` there.

    Raises
    ------
    InputError
        Images not divisible by the patch, heads not dividing the embedding, or a number that is not positive.
    """

    def __init__(
        self,
        image_size: int = 224,
        channels: int = 3,
        classes: int = 10,
        *,
        patch: int = 16,
        depth: int = 4,
        embedding: int = 384,
        heads: int = 3,
        mlp_ratio: float = 4.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_shape(image_size, patch, embedding, heads)
        if min(channels, classes, depth) < 1 or mlp_ratio <= 0:
            raise InputError(
                "channels, classes, depth and mlp_ratio must be positive, "
                f"got {channels}, {classes}, {depth} and {mlp_ratio:g}"
            )
        with torch.random.fork_rng(devices=[]):  # the layers' own draws are overwritten below
            self.patch_embedding = nn.Conv2d(channels, embedding, patch, stride=patch)
            self.blocks = nn.ModuleList(_Block(embedding, heads, round(mlp_ratio * embedding)) for _ in range(depth))
            self.norm = nn.LayerNorm(embedding, eps=1e-6)
            self.head = nn.Linear(embedding, classes)
        self.class_token = nn.Parameter(torch.empty(1, 1, embedding))
        self.position = nn.Parameter(torch.empty(1, (image_size // patch) ** 2 + 1, embedding))
        self.merge: nn.Module = nn.Identity()
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                nn.init.trunc_normal_(parameter, std=_DEVIATION, generator=generator)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Classify (batch, channels, image_size, image_size); returns logits, (batch, classes)."""
        tokens = self.merge(self.embed(images))
        bias = self.merge.attention_bias if isinstance(self.merge, TokenMerge) else None
        for block in self.blocks:
            tokens = block(tokens, bias)
        return cast("torch.Tensor", self.head(self.norm(tokens[:, 0])))

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Turn images into a class token and patch tokens with positions, (batch, 1 + N, embedding)."""
        patches = self.patch_embedding(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(patches.shape[0], -1, -1), patches], dim=1)
        return tokens + self.position


class _Block(nn.Module):
    """An encoder block: x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, embedding: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embedding, eps=1e-6)
        self.attention = _Attention(embedding, heads)
        self.norm2 = nn.LayerNorm(embedding, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(embedding, hidden), nn.GELU(), nn.Linear(hidden, embedding))

    def forward(self, tokens: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        tokens = tokens + self.attention(self.norm1(tokens), bias)
        return cast("torch.Tensor", tokens + self.mlp(self.norm2(tokens)))


class _Attention(nn.Module):
    def __init__(self, embedding: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.qkv = nn.Linear(embedding, 3 * embedding)
        self.output = nn.Linear(embedding, embedding)

    def forward(self, tokens: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        query, key, value = self.qkv(tokens).unflatten(-1, (3, self._heads, -1)).permute(2, 0, 3, 1, 4)
        mask = None if bias is None else bias.to(query.dtype)
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return cast("torch.Tensor", self.output(mixed.transpose(1, 2).flatten(2)))


def check_shape(image_size: int, patch: int, embedding: int, heads: int) -> None:
    """Refuse images that patches do not tile and embeddings that heads do not share out."""
    if min(image_size, patch, embedding, heads) < 1:
        raise InputError(
            "image_size, patch, embedding and heads must be positive, "
            f"got {image_size}, {patch}, {embedding} and {heads}"
        )
    if image_size % patch:
        near = image_size // patch * patch
        sizes = f"{near} or {near + patch}" if near else f"{patch}"
        raise InputError(f"image_size {image_size} is not divisible by patch {patch}: choose {sizes}")
    if embedding % heads:
        raise InputError(f"{heads} heads do not divide embedding {embedding}: choose {embedding // heads * heads}")
