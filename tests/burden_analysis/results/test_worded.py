"""Words are for readers: whatever they are, programs choose the same rows and print the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from burden_analysis import check_claims, compare_strategies, compression_effect, detectable_effect, published_tables
from burden_analysis.comparison.power import spread
from burden_analysis.results.families import Family
from burden_analysis.results.outcome import Outcome
from burden_analysis.results.tests import Test as NamedTest
from tests.burden_analysis.synthetic_comparison import in_memory

# log10 by seed, sparsity, strategy: ordered, with a spread between seeds
LEVELS = np.arange(3.0) + np.sin(np.arange(30.0)).reshape(5, 2, 3) / 20


def found() -> list[object]:
    comparison = compare_strategies(in_memory(LEVELS))
    effect = compression_effect(published_tables())
    return [
        detectable_effect(comparison).to_numpy().tolist(),
        spread(comparison),
        comparison.table["p_adjusted"].tolist(),
        (comparison.outcome, comparison.reason),
        (effect.outcome, effect.reason),
        len(effect.verdict.split(". ")),
        [claim.outcome for claim in check_claims(in_memory(LEVELS), published=False).claims],
    ]


def test_rewording_every_name_changes_no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    before = found()
    assert before[0]
    for number, member in enumerate([*Family, *NamedTest, *Outcome]):
        monkeypatch.setattr(member, "words", f"other words {number}")
    np.testing.assert_equal(found(), before)


@pytest.mark.parametrize("kind", [Family, NamedTest, Outcome])
def test_values_are_single_words_and_words_are_distinct(kind: type[Family | NamedTest | Outcome]) -> None:
    assert all(member.value.replace("_", "").isalpha() and member.value.islower() for member in kind)
    assert len({member.words for member in kind}) == len(kind)
