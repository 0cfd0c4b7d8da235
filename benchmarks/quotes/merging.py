"""What merging by likeness makes of two photographs (docs/token-merging.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_sample_images
from torch.nn.functional import interpolate

from recorders import TokenMerge, VisionTransformer


def token_map(_: Path) -> dict[str, Any]:
    """Count the source tokens of the largest token of each photograph, at ratio 0.4 in an untrained ViT."""
    images = torch.stack([_square(torch.from_numpy(i.copy())) for i in load_sample_images().images])
    images = (images - images.mean((0, 2, 3), keepdim=True)) / images.std((0, 2, 3), keepdim=True)
    model = VisionTransformer(224, embedding=768, heads=6, generator=torch.Generator().manual_seed(1))
    values = {}
    for metric in ("dot", "cosine"):
        merge = TokenMerge(0.4, metric=metric).eval()
        with torch.no_grad():
            merge(model.embed(images))
        left, right = merge.sizes.flatten(1).amax(1).int().tolist()
        values |= {f"{metric}.left": left, f"{metric}.right": right}
    return values


def _square(pixels: torch.Tensor) -> torch.Tensor:
    """Cut the middle square out and resize it to 224 pixels."""
    image = pixels.permute(2, 0, 1).float() / 255
    side = min(image.shape[1:])
    top, left = ((length - side) // 2 for length in image.shape[1:])
    return interpolate(
        image[None, :, top : top + side, left : left + side], size=(224, 224), mode="bilinear", antialias=True
    )[0]
