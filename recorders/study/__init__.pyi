from .record import record_study as record_study
from .resources import Resources as Resources

__all__ = [
    "Resources",
    "record_study",
]
