from .allocation import active_count as active_count
from .method import Layers as Layers
from .method import Method as Method
from .method import Shapes as Shapes
from .method import Training as Training
from .registry import METHODS as METHODS
from .registry import STATIC as STATIC
from .registry import make_method as make_method
from .schedule import CubicSchedule as CubicSchedule
from .static import Static as Static

__all__ = [
    "METHODS",
    "STATIC",
    "CubicSchedule",
    "Layers",
    "Method",
    "Shapes",
    "Static",
    "Training",
    "active_count",
    "make_method",
]
