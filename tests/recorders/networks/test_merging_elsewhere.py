"""Token merging under activation checkpointing, compilers and traces, and with tokens that are not finite."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter
from torch.utils.checkpoint import checkpoint

from recorders import TokenMerge, VisionTransformer, merge_tokens
from recorders.contract import InputError

METRICS = ["dot", "cosine", "mutual_information", "random"]
Call = Callable[..., torch.Tensor]


def direct(function: Call, *inputs: torch.Tensor) -> torch.Tensor:
    return function(*inputs)


WAYS: dict[str, Call] = {
    "non-reentrant": partial(checkpoint, use_reentrant=False),
    "reentrant": partial(checkpoint, use_reentrant=True),
    "no early stop": lambda f, *x: nested(f, *x),
}


def nested(function: Call, *inputs: torch.Tensor) -> torch.Tensor:
    with torch.utils.checkpoint.set_checkpoint_early_stop(enable=False):
        inner = partial(checkpoint, function, use_reentrant=False)
        return checkpoint(inner, *inputs, use_reentrant=False)


class Network(nn.Module):
    def __init__(self, metric: str = "random", dropout: float = 0.0) -> None:
        super().__init__()
        self.before, self.after = nn.Linear(6, 6), nn.Linear(6, 6)
        self.dropout, self.merge = nn.Dropout(dropout), TokenMerge(0.5, metric=metric)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.after(self.merge(self.dropout(self.before(tokens)))).square()


def together(call: Call, network: Network, batches: list[torch.Tensor]) -> None:
    """Backward through the sum of all passes, the last one first."""
    torch.stack([call(network, x).mean() for x in batches]).sum().backward()


def in_turn(call: Call, network: Network, batches: list[torch.Tensor]) -> None:
    """All forward passes, then the backward passes in the same order, as a pipeline has them."""
    for loss in [call(network, x).mean() for x in batches]:
        loss.backward()


def one_by_one(call: Call, network: Network, batches: list[torch.Tensor]) -> None:
    for x in batches:
        call(network, x).mean().backward()


def twice(call: Call, network: Network, batches: list[torch.Tensor]) -> None:
    for x in batches:
        loss = call(network, x).mean()
        loss.backward(retain_graph=True)
        loss.backward()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("passes", [together, in_turn, one_by_one, twice])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_checkpointing_leaves_gradients_and_the_count_of_steps_as_they_are(
    way: str, passes: Callable[..., None], dropout: float
) -> None:
    torch.manual_seed(0)
    network = Network(dropout=dropout).double()
    copies = [network, deepcopy(network)]
    batches = [torch.randn(2, 17, 6, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    gradients = []
    for call, each in zip((direct, WAYS[way]), copies, strict=True):
        torch.manual_seed(1)
        passes(call, each, batches)
        gradients.append([p.grad for p in each.parameters()])
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(checkpointed, plain, rtol=1e-12, atol=1e-15)
    assert [n.merge.steps for n in copies] == [3, 3]


@pytest.mark.parametrize("metric", METRICS)
def test_equal_tokens_in_two_passes_and_every_metric(metric: str) -> None:
    torch.manual_seed(0)
    network = Network(metric).double()
    copies = [network, deepcopy(network)]
    tokens = torch.randn(2, 17, 6, dtype=torch.float64)
    for call, each in zip((direct, WAYS["non-reentrant"]), copies, strict=True):
        together(call, each, [tokens, tokens])
        together(call, each, [tokens, tokens])
        assert each.merge.steps == 4
    for plain, checkpointed in zip(*(n.parameters() for n in copies), strict=True):
        torch.testing.assert_close(checkpointed.grad, plain.grad, rtol=1e-12, atol=1e-15)


def test_equal_tokens_with_backward_passes_of_their_own_are_a_warning() -> None:
    torch.manual_seed(0)
    network, tokens = Network(), torch.randn(2, 17, 6)
    losses = [WAYS["non-reentrant"](network, tokens).mean() for _ in range(2)]
    losses[0].backward()
    with pytest.warns(UserWarning, match="for forward passes with equal tokens: gradients are right only if"):
        losses[1].backward()


def test_equal_tokens_of_passes_without_a_backward_pass_or_in_turn_are_none() -> None:
    torch.manual_seed(0)
    network, tokens = Network(), torch.randn(2, 17, 6)
    for _ in range(3):
        WAYS["non-reentrant"](network, tokens)  # whose loss nobody asks for
        one_by_one(WAYS["non-reentrant"], network, [tokens, tokens])
    together(WAYS["non-reentrant"], network, [tokens, tokens])
    assert network.merge.steps == 11


def test_a_recomputation_with_other_tokens_is_one_line() -> None:
    torch.manual_seed(0)
    network = Network(dropout=0.5)
    loss = checkpoint(network, torch.randn(2, 17, 6), use_reentrant=False, preserve_rng_state=False).sum()
    torch.rand(1)
    with pytest.raises(InputError, match=r"which forward pass is recomputed.*preserve_rng_state=True") as caught:
        loss.backward()
    assert "\n" not in str(caught.value)


def test_copies_of_a_network_that_was_trained_remember_no_pass() -> None:
    network = Network()
    network(torch.randn(2, 17, 6)).sum().backward()
    for copy in (deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert copy.merge.steps == 1
        assert len(pickle.dumps(copy.merge._passes)) < 200


@pytest.fixture
def fresh_compiler() -> None:
    torch._dynamo.reset()


def vit(metric: str, **options: bool) -> VisionTransformer:
    model = VisionTransformer(32, patch=8, depth=1, embedding=12, heads=2, generator=torch.Generator().manual_seed(0))
    return merge_tokens(model, TokenMerge(0.4, metric=metric, seed=2, **options))


# torch's own, where a graph ends at a tensor that a gradient flows through.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize(("metric", "graphs"), [("dot", 3), ("cosine", 3), ("mutual_information", 3), ("random", 5)])
def test_twelve_compiled_steps_are_those_of_the_plain_network(metric: str, graphs: int, fresh_compiler: None) -> None:
    plain, model = vit(metric, proportional_attention=True), vit(metric, proportional_attention=True)
    counter, images = CompileCounter(), torch.randn(2, 3, 32, 32)
    compiled = torch.compile(model, backend=counter)
    for _ in range(12):
        assert torch.equal(compiled(images), plain(images))
        assert model.merge.steps == plain.merge.steps
    compiled(images).sum().backward()
    plain(images).sum().backward()
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(model.parameters(), plain.parameters(), strict=True))
    assert counter.frame_count <= graphs


def test_in_evaluation_mode_it_is_one_graph_and_a_second_one_for_any_number_of_tokens(fresh_compiler: None) -> None:
    counter, merge = CompileCounter(), TokenMerge(0.29).eval()
    compiled = torch.compile(merge, backend=counter, fullgraph=True)
    for tokens in (101, 201, 301, 157):
        x = torch.randn(2, tokens, 4)
        assert compiled(x).shape[1] == tokens - 29 * (tokens - 1) // 200
        assert torch.equal(compiled(x), merge(x))
    assert counter.frame_count == 2


def traced(model: nn.Module, images: torch.Tensor) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's: deprecation, and that a trace is of one number of tokens
        return torch.jit.trace(model, images)


@pytest.mark.parametrize("metric", METRICS[:-1])
def test_a_trace_computes_the_same_for_any_batch(metric: str) -> None:
    model = vit(metric).eval()
    trace = traced(model, torch.randn(2, 3, 32, 32))
    for batch in (1, 2, 5):
        images = torch.randn(batch, 3, 32, 32)
        torch.testing.assert_close(trace(images), model(images))


def test_a_trace_of_random_merging_is_refused() -> None:
    with pytest.raises(InputError, match="random merging cannot be traced"):
        traced(vit("random").eval(), torch.randn(2, 3, 32, 32))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("ratio", [0.4, 1.0])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_token_that_is_not_finite_stays_one(metric: str, ratio: float, value: float) -> None:
    torch.manual_seed(0)
    for place in (0, 3, 4, 15):  # class token, A, B, A
        tokens = torch.randn(2, 17, 6, dtype=torch.float64)
        tokens[1, place, 2] = value
        merge = TokenMerge(ratio, metric=metric)
        out = merge(tokens)
        expected = torch.zeros_like(out)
        for sample, places in enumerate(merge.source.tolist()):
            for token, goal in zip(tokens[sample], places, strict=True):
                expected[sample, goal] += token / merge.sizes[sample, goal]
        torch.testing.assert_close(out, expected, equal_nan=True)
        spoiled = ~out.isfinite().all(2)
        assert spoiled.nonzero().tolist() == [[1, int(merge.source[1, place])]]


def test_a_token_of_nan_is_nobodys_most_similar_one() -> None:
    tokens = torch.randn(1, 17, 6)
    tokens[0, 4] = torch.nan  # of B: every similarity to it is NaN
    merge = TokenMerge(0.8)
    merge(tokens)
    assert merge.sizes[0, merge.source[0, 4]] == 1


def test_opposite_infinities_cancel_to_nan() -> None:
    tokens = torch.zeros(1, 3, 2)
    tokens[0, 1], tokens[0, 2] = torch.inf, -torch.inf
    assert TokenMerge(1)(tokens)[0, 1].isnan().all()


def test_gradients_pass_a_nan_by() -> None:
    tokens = torch.randn(1, 17, 6)
    tokens[0, 3] = torch.nan
    tokens.requires_grad_()
    merge = TokenMerge(0.5)
    out = merge(tokens)
    out[out.isfinite()].sum().backward()
    goal = merge.source[0]
    expected = 1 / merge.sizes[0][goal]
    expected[goal == goal[3]] = 0
    torch.testing.assert_close(tokens.grad[0], expected.unsqueeze(1).expand(-1, 6))
