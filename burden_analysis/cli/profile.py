"""``burden record --profile``: where the time of the runs went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from burden_analysis.results.words import counted

if TYPE_CHECKING:
    from recorders.study.assignment import Outcome


def profile_table(outcomes: Sequence[Outcome], whole: float) -> str:
    """Print seconds and share of every section, summed over runs.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of runs that were profiled.
    whole : float
        Seconds that recording the study took.

    Returns
    -------
    str
        The table and a line on what it is of.
    """
    if not outcomes:
        return "no run was trained, so there is nothing to profile\n"
    seconds = pd.DataFrame([outcome.seconds for outcome in outcomes]).sum()
    total = float(seconds.sum())
    table = pd.DataFrame({"section": [*seconds.index, "all"], "seconds": [*seconds, total]})
    table["share"] = (table["seconds"] / total).map("{:.1%}".format)
    printed = table.to_string(index=False, float_format="{:.2f}".format)
    return f"{printed}\n{counted(len(outcomes), 'run')} took {total:.1f} s, recording them {whole:.1f} s\n"
