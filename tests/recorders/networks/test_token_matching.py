from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from recorders.contract import InputError
from recorders.networks.token_matching import Merged, bipartite_soft_matching, merge_count, size_histogram
from recorders.networks.token_similarity import mutual_information

Array = npt.NDArray[np.float64]
SIMILARITY = {
    "dot": lambda a, b: float(a @ b),
    "cosine": lambda a, b: float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) or 1)),
}


def slow_merge(tokens: Array, merges: int, held_out: int, metric: str) -> tuple[Array, list[int], list[int]]:
    """One sequence, the obvious way: lists, loops and the definition of docs/token-merging.md."""
    patches = list(range(held_out, len(tokens)))
    a_side, b_side = patches[::2], patches[1::2]
    pairs = []
    for a in a_side if b_side else []:
        scores = [SIMILARITY[metric](tokens[a], tokens[b]) for b in b_side]
        best = max(range(len(b_side)), key=lambda j: (scores[j], -j))
        pairs.append((scores[best], a, b_side[best]))
    chosen = sorted(pairs, key=lambda pair: (-pair[0], pair[1]))[:merges]
    goes_to = {a: b for _, a, b in chosen}
    leaders = [*range(held_out), *(a for a in a_side if a not in goes_to), *b_side]
    groups = [[t for t in range(len(tokens)) if goes_to.get(t, t) == leader] for leader in leaders]
    source = [next(k for k, group in enumerate(groups) if t in group) for t in range(len(tokens))]
    return np.array([tokens[g].mean(axis=0) for g in groups]), [len(g) for g in groups], source


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, int, int]:
    """Random tokens, or small integers: many tied similarities, and arithmetic without rounding."""
    batch, patches, dim = draw(st.integers(1, 3)), draw(st.integers(2, 15)), draw(st.integers(1, 5))
    held_out = draw(st.integers(0, 2))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (batch, held_out + patches, dim)
    tokens = random.normal(size=shape) if draw(st.booleans()) else random.integers(-1, 2, shape).astype(float)
    return tokens, draw(st.integers(1, (patches + 1) // 2)), held_out


@given(cases())
@settings(max_examples=150, deadline=None)
def test_it_is_what_the_slow_definition_gives(case: tuple[Array, int, int]) -> None:
    tokens, merges, held_out = case
    merged = bipartite_soft_matching(torch.from_numpy(tokens), merges, held_out=held_out)
    for i, sequence in enumerate(tokens):
        expected, sizes, source = slow_merge(sequence, merges, held_out, "dot")
        np.testing.assert_allclose(merged.tokens[i].numpy(), expected, rtol=1e-12, atol=1e-12)
        assert merged.sizes[i].tolist() == sizes
        assert merged.source[i].tolist() == source


@pytest.mark.parametrize("seed", range(5))
def test_cosine_is_what_the_slow_definition_gives(seed: int) -> None:
    tokens = np.random.default_rng(seed).normal(size=(2, 12, 4)) * np.arange(1, 13)[:, None]
    merged = bipartite_soft_matching(torch.from_numpy(tokens), 4, held_out=1, metric="cosine")
    for i, sequence in enumerate(tokens):
        expected, sizes, source = slow_merge(sequence, 4, 1, "cosine")
        np.testing.assert_allclose(merged.tokens[i].numpy(), expected, rtol=1e-12)
        assert (merged.sizes[i].tolist(), merged.source[i].tolist()) == (sizes, source)


def test_by_hand() -> None:
    # Class token C, then A and B in turn. a0 and a2 both choose b1 (1 · 5 and 3 · 5), a1 chooses b0 (1 · 1).
    tokens = torch.tensor([[[9.0, 9], [1, 0], [0, 1], [0, 1], [5, 0], [3, 0], [0, 0]]])
    merged = bipartite_soft_matching(tokens, 2, held_out=1)
    assert merged.tokens.tolist() == [[[9, 9], [0, 1], [0, 1], [3, 0], [0, 0]]]  # C, a1 | b0, b1, b2
    assert merged.sizes.tolist() == [[1, 1, 1, 3, 1]]
    assert merged.source.tolist() == [[0, 3, 2, 1, 3, 3, 4]]  # C, a0, b0, a1, b1, a2, b2


def test_of_equal_pairs_the_first_merge_and_of_equal_partners_the_first_is_chosen() -> None:
    merged = bipartite_soft_matching(torch.ones(1, 8, 3), 2)
    assert merged.source.tolist() == [[2, 2, 2, 3, 0, 4, 1, 5]]
    assert merged.sizes.tolist() == [[1, 1, 3, 1, 1, 1]]


def test_no_merge_gives_the_tokens_back() -> None:
    tokens = torch.randn(2, 7, 3, dtype=torch.bfloat16)
    merged = bipartite_soft_matching(tokens, 0, held_out=1)
    assert merged.tokens is tokens
    assert merged.sizes.tolist() == [[1.0] * 7] * 2
    assert merged.source.tolist() == [list(range(7))] * 2


@pytest.mark.parametrize("metric", ["dot", "cosine", "mutual_information", "random"])
@pytest.mark.parametrize("tokens", [2, 3, 14, 15])
def test_mass_is_conserved_and_source_map_and_sizes_agree(metric: str, tokens: int) -> None:
    x = torch.randn(3, tokens + 1, 6, dtype=torch.float64)
    draw = torch.Generator().manual_seed(0)
    merged = bipartite_soft_matching(x, tokens // 2, held_out=1, metric=metric, generator=draw)
    assert merged.tokens.shape == (3, tokens + 1 - tokens // 2, 6)
    torch.testing.assert_close((merged.tokens * merged.sizes.unsqueeze(2)).sum(1), x.sum(1))
    for source, sizes in zip(merged.source, merged.sizes, strict=True):
        assert torch.bincount(source, minlength=len(sizes)).tolist() == sizes.tolist()
    assert torch.equal(merged.tokens[:, 0], x[:, 0])
    assert (merged.source[:, 0] == 0).all()


def test_tokens_of_an_earlier_pass_weigh_as_much_as_they_stand_for() -> None:
    x = torch.randn(2, 16, 4, dtype=torch.float64)
    first = bipartite_soft_matching(x, 5)
    second = bipartite_soft_matching(first.tokens, 4, sizes=first.sizes)
    source = second.source.gather(1, first.source)
    for i in range(2):
        assert torch.bincount(source[i]).tolist() == second.sizes[i].tolist()
        for k in range(7):
            torch.testing.assert_close(second.tokens[i, k], x[i, source[i] == k].mean(0))


def test_gradients_flow_through_the_means() -> None:
    x = torch.randn(2, 9, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: bipartite_soft_matching(t, 3, held_out=1).tokens, (x,))


def test_it_can_run_in_a_stack() -> None:
    x = torch.randn(4, 2, 9, 3)

    def merge(tokens: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(bipartite_soft_matching(tokens, 3, held_out=1))

    stacked = torch.vmap(merge)(x)
    for i in range(4):
        for mine, alone in zip(stacked, merge(x[i]), strict=True):
            torch.testing.assert_close(mine[i], alone)


def test_half_precision_is_summed_in_full() -> None:
    x = torch.ones(1, 600, 2, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        merged = bipartite_soft_matching(x, 300)
    assert merged.tokens.dtype == torch.bfloat16
    assert merged.sizes[0, 0].tolist() == 301  # bfloat16 knows no odd numbers there
    assert (merged.tokens == 1).all()


def test_a_metric_of_ones_own() -> None:
    x = torch.tensor([[[1.0], [5.0], [4.0], [1.0]]])

    def nearest(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return -torch.cdist(a, b)

    assert bipartite_soft_matching(x, 1, metric=nearest).source.tolist() == [[2, 1, 0, 2]]
    assert bipartite_soft_matching(x, 1, metric="dot").source.tolist() == [[0, 1, 1, 2]]
    with pytest.raises(InputError, match=r"returned shape \(1, 2\) .* it must return \(1, 2, 2\)"):
        bipartite_soft_matching(x, 1, metric=lambda a, b: (a * b).sum(-1))


def test_random_draws_every_partner_and_is_repeatable() -> None:
    x = torch.randn(4000, 8, 2)

    def draw(seed: int) -> Merged:
        return bipartite_soft_matching(x, 2, metric="random", generator=torch.Generator().manual_seed(seed))

    before = torch.get_rng_state()
    source = draw(0).source
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(source, draw(0).source)
    assert not torch.equal(source, draw(1).source)
    merged = source[:, ::2] >= 2  # A's tokens that are no longer by themselves
    assert merged.double().mean(0).tolist() == pytest.approx([0.5] * 4, abs=0.04)
    partners = (source[:, ::2][merged] - 2).bincount() / merged.sum()
    assert partners.tolist() == pytest.approx([0.25] * 4, abs=0.03)
    with pytest.raises(InputError, match="needs a generator"):
        bipartite_soft_matching(x, 2, metric="random")


def test_mutual_information_is_the_textbook_histogram_estimate() -> None:
    a, b = torch.randn(2, 3, 60, dtype=torch.float64), torch.randn(2, 4, 60, dtype=torch.float64)
    a[0, 0] = b[0, 1] ** 3
    a[1, 2] = 7.0

    def bins(token: torch.Tensor) -> Array:
        counts, edges = np.histogram(token.numpy(), 5)
        return np.clip(np.searchsorted(edges, token.numpy(), side="right") - 1, 0, len(counts) - 1)

    found = mutual_information(a, b, bins=5)
    for n, i, j in np.ndindex(2, 3, 4):
        assert float(found[n, i, j]) == pytest.approx(mutual_info_score(bins(a[n, i]), bins(b[n, j])), abs=1e-12)
    assert found[1, 2].tolist() == pytest.approx([0] * 4, abs=1e-12)  # a constant token tells nothing


@pytest.mark.parametrize(("ratio", "left"), [(0, 196), (0.2, 177), (0.4, 157), (0.6, 138), (0.8, 118), (1, 98)])
def test_tokens_left_of_196(ratio: float, left: int) -> None:
    assert 196 - merge_count(ratio, 196) == left


@pytest.mark.parametrize(("ratio", "tokens", "merges"), [(0.29, 200, 29), (0.57, 200, 57), (1, 7, 3), (1, 1, 0)])
def test_the_written_decimal_counts(ratio: float, tokens: int, merges: int) -> None:
    assert merge_count(ratio, tokens) == merges


def test_size_histogram() -> None:
    sizes = torch.tensor([[1.0, 1, 1, 3], [1, 2, 4, 9]])
    assert size_histogram(sizes, 3).tolist() == [2.0, 0.5, 1.5]


@pytest.mark.parametrize("ratio", [-0.1, 1.01, float("nan")])
def test_ratios_outside_are_refused(ratio: float) -> None:
    with pytest.raises(InputError, match=r"outside \[0, 1\]"):
        merge_count(ratio, 196)


def test_bad_input() -> None:
    x = torch.zeros(1, 8, 2)
    with pytest.raises(InputError, match="4 merges were asked for, but one pass over 6 tokens allows 0 to 3"):
        bipartite_soft_matching(x, 4, held_out=2)
    with pytest.raises(InputError, match=r"1 merges .* over 1 tokens allows 0 to 0"):
        bipartite_soft_matching(x, 1, held_out=7)
    with pytest.raises(InputError, match="-1 merges"):
        bipartite_soft_matching(x, -1)
    with pytest.raises(InputError, match="cannot hold 9 of 8 tokens out"):
        bipartite_soft_matching(x, 1, held_out=9)
    with pytest.raises(InputError, match=r"of shape \(batch, tokens, dim\), got torch.float32 \(8, 2\)"):
        bipartite_soft_matching(x[0], 1)
    with pytest.raises(InputError, match=r"floating point .*, got torch.int64 \(1, 8, 2\)"):
        bipartite_soft_matching(x.long(), 1)
    with pytest.raises(InputError, match=r"unknown metric 'cosin': .*did you mean 'cosine'"):
        bipartite_soft_matching(x, 1, metric="cosin")
    with pytest.raises(InputError, match=r"sizes have shape \(1, 7\), the tokens \(1, 8, 2\)"):
        bipartite_soft_matching(x, 1, sizes=torch.ones(1, 7))
