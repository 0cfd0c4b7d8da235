from .presets import PRESETS as PRESETS
from .presets import STUDIES as STUDIES
from .presets import preset as preset
from .settings import Settings as Settings

__all__ = [
    "PRESETS",
    "STUDIES",
    "Settings",
    "preset",
]
