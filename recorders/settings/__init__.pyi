from .presets import PRESETS as PRESETS
from .presets import STUDIES as STUDIES
from .presets import preset as preset
from .settings import DataSettings as DataSettings
from .settings import NetworkSettings as NetworkSettings
from .settings import ProbeSettings as ProbeSettings
from .settings import PruningSettings as PruningSettings
from .settings import RecordingSettings as RecordingSettings
from .settings import Settings as Settings
from .settings import TrainingSettings as TrainingSettings

__all__ = [
    "PRESETS",
    "STUDIES",
    "DataSettings",
    "NetworkSettings",
    "ProbeSettings",
    "PruningSettings",
    "RecordingSettings",
    "Settings",
    "TrainingSettings",
    "preset",
]
