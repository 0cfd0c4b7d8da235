from .lightning import LightningRecorder as LightningRecorder
from .transformers import TransformersRecorder as TransformersRecorder

__all__ = [
    "LightningRecorder",
    "TransformersRecorder",
]
