"""`burden claims`: the claims of the study, judged."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from recorders.contract import InputError, printable

if TYPE_CHECKING:
    from burden_analysis.cli.arguments import Claims


def claims(asked: Claims, _: str) -> int:
    """Print the sentence of each claim, or all evidence."""
    from burden_analysis import check_claims, open_study

    if asked.store is None and not asked.published:
        raise InputError("burden claims needs a STORE, or --published for the claim about compression")
    found = check_claims(open_study(asked.store) if asked.store else None, published=asked.published)
    sentences = "\n\n".join(claim.sentence for claim in found.claims)
    sys.stdout.write(printable(f"{found.to_json() if asked.json else sentences}\n"))
    return 0
