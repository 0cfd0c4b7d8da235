"""A question to a study: built and checked once, passed on whole."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from burden_analysis.arrangement.cells import Cells, cells
from burden_analysis.arrangement.runs import complete_runs
from burden_analysis.indicators.endpoints import check_endpoint, endpoint
from burden_analysis.statistics.holm import check_alpha

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr


@dataclass(frozen=True)
class Question:
    """What is asked of a study.

    Attributes
    ----------
    indicator : str
        What is compared.
    order : tuple of str
        The claim, from the lowest to the highest: strategies, or sparsities.
    window : float
        Share of each run's last records that makes its endpoint.
    scale : {"log", "raw"}
        Endpoints and effects on log₁₀ (ratios of geometric means) or raw values (mean differences).
    alpha : float
        Level of every family; intervals cover 1 − alpha.
    paired_by : str
        Coordinate whose equal values are paired.

    Raises
    ------
    InputError
        No level, no share of the records, or an unknown scale.
    """

    indicator: str
    order: tuple[str, ...]
    window: float
    scale: str
    alpha: float
    paired_by: str = "seed"

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        check_alpha(self.alpha)
        check_endpoint(self.window, self.scale)

    @property
    def level(self) -> float:
        """What intervals cover."""
        return 1 - self.alpha

    @property
    def neutral(self) -> float:
        """Effect of no difference: the ratio 1 or the difference 0."""
        return 1.0 if self.scale == "log" else 0.0

    @property
    def contrasts(self) -> list[str]:
        """Names of the contrasts of neighbours in the claimed order."""
        return [self.contrast(lower, higher) for lower, higher in pairwise(self.order)]

    def contrast(self, lower: str, higher: str) -> str:
        """Name a contrast, ``"higher / lower"`` or ``"higher − lower"``: above `neutral` in the claimed direction."""
        return f"{higher} {'/' if self.scale == 'log' else '−'} {lower}"


def arranged(
    dataset: xr.Dataset,
    asked: Question,
    measured: Callable[[xr.Dataset, str, float, str], xr.DataArray] = endpoint,
) -> tuple[Cells, tuple[str, ...]]:
    """Arrange what is asked about, one value per complete run, by seed, sparsity and strategy."""
    kept, unfinished = complete_runs(dataset, asked.order)
    found = cells(kept, measured(kept, asked.indicator, asked.window, asked.scale), asked.order, asked.paired_by)
    return found, unfinished + found.excluded
