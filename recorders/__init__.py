"""WRITE: instrumented training runs stream indicators into a zarr store.

Names are imported on first use: `import recorders.contract` must not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recorders.probe import MaskProbe as MaskProbe
    from recorders.recorder import Recorder as Recorder

_HOME = {"MaskProbe": "recorders.probe", "Recorder": "recorders.recorder"}

__all__ = ["MaskProbe", "Recorder"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
