"""Ways to choose which weights a network keeps while it trains, by name. A new one is one small class."""

from recorders.methods.method import Layers, Method, Shapes, Training
from recorders.methods.named import make_method
from recorders.methods.static import Static

__all__ = ["Layers", "Method", "Shapes", "Static", "Training", "make_method"]
