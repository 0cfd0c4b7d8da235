"""WRITE: instrumented training runs stream indicators into a zarr store.

Names are imported on first use: `import recorders.contract` must not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recorders.attachment import merge_tokens as merge_tokens
    from recorders.merging import bipartite_soft_matching as bipartite_soft_matching
    from recorders.probe import MaskProbe as MaskProbe
    from recorders.recorder import Recorder as Recorder
    from recorders.token_merge import TokenMerge as TokenMerge
    from recorders.vit import VisionTransformer as VisionTransformer

_HOME = {
    "MaskProbe": "recorders.probe",
    "Recorder": "recorders.recorder",
    "TokenMerge": "recorders.token_merge",
    "VisionTransformer": "recorders.vit",
    "bipartite_soft_matching": "recorders.merging",
    "merge_tokens": "recorders.attachment",
}

__all__ = ["MaskProbe", "Recorder", "TokenMerge", "VisionTransformer", "bipartite_soft_matching", "merge_tokens"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
