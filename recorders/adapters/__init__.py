"""Recorders for trainers of other libraries: each only translates the trainer's events."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
