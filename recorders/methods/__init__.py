"""Ways to choose which weights a network keeps while it trains, by name. A new one is one small class."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
