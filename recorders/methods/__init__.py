"""Ways to choose which weights a network keeps while it trains, by name. A new one is one small class."""

from recorders.methods.method import Layers, Method, Shapes, Training
from recorders.methods.named import DPF_INTERVAL, METHODS, make_method
from recorders.methods.static import Static

__all__ = ["DPF_INTERVAL", "METHODS", "Layers", "Method", "Shapes", "Static", "Training", "make_method"]
