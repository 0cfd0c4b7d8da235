"""Data sets, decoded once and kept as one tensor."""

from recorders.data.dataset import DataSet
from recorders.data.feed import Feed
from recorders.data.load import NAMES, load

__all__ = ["NAMES", "DataSet", "Feed", "load"]
