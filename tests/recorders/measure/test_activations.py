"""Mean squares of hidden layers' outputs: whose output, of which calls, and what becomes of unusual ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from burden_analysis import open_study
from recorders import Recorder
from recorders.measure.activations import Activations
from tests.recorders.own_loop import RUN, network, train

X = torch.linspace(-2, 2, 48).reshape(4, 12)


def mean_square(tensor: torch.Tensor) -> float:
    return float(tensor.detach().abs().double().square().mean())


@pytest.mark.parametrize("wrap", [parametrizations.weight_norm, parametrizations.spectral_norm, nn.utils.parametrize])
def test_a_parametrized_layer_has_its_output_measured_not_its_weight(wrap: Any) -> None:
    model = network()
    if wrap is nn.utils.parametrize:
        wrap.register_parametrization(model[0], "weight", nn.Softplus())
    else:
        wrap(model[0])
    caught = Activations(model)
    assert caught.layers == ["0", "2"]
    seen: list[float] = []  # spectral_norm changes the weight at every call: an independent look at the same call
    for layer in (model[1], model[3]):
        layer.register_forward_hook(lambda *call: seen.append(mean_square(call[2])))
    model(X)
    np.testing.assert_allclose(caught.take(X), seen, rtol=1e-5)
    assert abs(seen[0] / mean_square(model[0].weight) - 1) > 0.1


@pytest.mark.parametrize("inplace", [False, True])
def test_a_shared_activation_function_is_measured_for_the_layer_before_it(inplace: bool) -> None:
    act = nn.ReLU(inplace=inplace)
    model = nn.Sequential(nn.Linear(12, 9), act, nn.Linear(9, 7), act, nn.Linear(7, 3), act)
    caught = Activations(model)
    model(X)
    first = torch.relu(X @ model[0].weight.T + model[0].bias)
    second = torch.relu(first @ model[2].weight.T + model[2].bias)
    np.testing.assert_allclose(caught.take(X), [mean_square(first), mean_square(second)], rtol=1e-5)
    assert caught.sources == dict.fromkeys(["0", "2"], "output of the ReLU after it")
    act(torch.full((5,), 100.0))  # of no layer
    assert caught.take(X).isnan().all()


def test_all_calls_of_a_step_count_by_their_size() -> None:
    model = network()
    caught = Activations(model)
    for part in (X[:1], X[1:]):  # micro-batches of 1 and 3
        model(part)
    whole = torch.relu(X @ model[0].weight.T + model[0].bias)
    np.testing.assert_allclose(caught.take(X)[0], mean_square(whole), rtol=1e-5)


class Returning(nn.Module):
    """A layer with a weight of its own that wraps its output."""

    def __init__(self, wrap: Callable[[torch.Tensor], Any], dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.w, self.wrap = nn.Parameter(torch.linspace(-1, 1, 108).reshape(12, 9).to(dtype)), wrap

    def forward(self, x: torch.Tensor) -> Any:
        return self.wrap(x.to(self.w.dtype) @ self.w)


@dataclass
class Answer:
    """What a library might return."""

    count: int
    hidden: torch.Tensor


@pytest.mark.parametrize(
    ("wrap", "word"),
    [
        (lambda h: (h, h * 2), "tuple"),
        (lambda h: [None, h], "list"),
        (lambda h: {"ids": torch.arange(3), "h": h}, "dict"),
        (lambda h: Answer(3, h), "Answer"),
        (lambda h: ((torch.tensor([True]), {"deep": [h]}),), "tuple"),
        (lambda h: PackedSequence(h, torch.tensor([4])), "PackedSequence"),
        (lambda h: torch.nested.nested_tensor(list(h), layout=torch.jagged), "Tensor"),
        (lambda h: h.to_sparse(), "Tensor"),
    ],
)
def test_the_first_floating_tensor_of_an_output_is_measured(wrap: Callable[[torch.Tensor], Any], word: str) -> None:
    model = nn.ModuleList([Returning(wrap), nn.Linear(9, 3)])
    caught = Activations(model)
    model[0](X)
    assert caught.take(X).item() == pytest.approx(mean_square(X @ model[0].w), rel=1e-5)
    expected = f"first floating tensor of the output of the layer ({word})"
    assert caught.sources == {"0": expected if word != "Tensor" else "output of the layer"}


@pytest.mark.parametrize(
    "wrap", [lambda h: None, lambda h: "text", lambda h: [h > 0], lambda h: {}, lambda h: h.long()]
)
def test_an_output_without_a_floating_tensor_is_nan_with_its_reason(wrap: Callable[[torch.Tensor], Any]) -> None:
    model = nn.ModuleList([Returning(wrap), nn.Linear(9, 3)])
    caught = Activations(model)
    output = model[0](X)
    assert caught.take(X).isnan().all()
    reason = f"the output ({type(output).__name__}) holds no floating tensor"
    assert caught.missing == {"0": f"none: {reason}"}
    with pytest.warns(UserWarning, match=r"activation_rms of '0' is NaN: the output \(\w+\) holds no floating tensor"):
        caught.warn()
    caught.warn()  # once


def test_complex_and_empty_outputs() -> None:
    model = nn.ModuleList([Returning(lambda h: h, torch.complex64), nn.Linear(9, 3)])
    caught = Activations(model)
    model[0](X)
    model[0](X[:0])
    assert caught.take(X).item() == pytest.approx(mean_square(X.to(torch.complex64) @ model[0].w), rel=1e-5)


def test_attention_has_the_output_of_its_projection() -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.head = nn.MultiheadAttention(12, 2, batch_first=True), nn.Linear(12, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.head(self.attention(x, x, x)[0])
            return out

    model = Attending()
    caught = Activations(model)
    assert caught.layers == ["attention", "attention.out_proj"]
    x = X.reshape(2, 2, 12)
    output = model.attention(x, x, x)[0]
    caught.take(x)
    model(x)
    np.testing.assert_allclose(caught.take(x), [mean_square(output)] * 2, rtol=1e-5)
    assert set(caught.sources.values()) == {"first floating tensor of the output of the MultiheadAttention (tuple)"}


def test_a_recurrent_layer_fed_with_packed_sequences_is_recorded(tmp_path: Path) -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(3, 5, batch_first=True), nn.Linear(5, 3)
            self.squares: list[float] = []

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            lengths = torch.arange(len(x)) % 4 + 1
            packed = pack_padded_sequence(x.reshape(-1, 4, 3), lengths, batch_first=True, enforce_sorted=False)
            out, last = self.rnn(packed)
            self.squares.append(mean_square(out.data))
            return self.head(last[-1])  # type: ignore[no-any-return]

    torch.manual_seed(0)
    model = Recurrent()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1) as recorder:
        train(model, optimizer, 3, recorder)  # type: ignore[arg-type]
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    np.testing.assert_allclose(dataset.activation_rms[:, 0], np.sqrt(model.squares), rtol=1e-5)
    assert dataset.activation_source.values.tolist() == ["first floating tensor of the output of the layer (tuple)"]


def test_layers_that_are_never_called_are_named_once_and_stored(tmp_path: Path) -> None:
    class Partly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused, self.rest = nn.Linear(3, 3), network()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.rest(x)  # type: ignore[no-any-return]

    model = Partly()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with (
        pytest.warns(UserWarning, match="activation_rms of 'unused' is NaN: not called in training mode") as told,
        Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1) as recorder,
    ):
        train(model, optimizer, 3, recorder)
    assert len(told) == 1
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    assert dataset.activation_source.values.tolist()[:2] == [
        "none: not called in training mode",
        "output of the ReLU after it",
    ]


@pytest.mark.parametrize("earlier", ["nothing", "an unrecorded run", "the model itself"])
def test_a_compiled_model_is_measured_whatever_was_compiled_before(tmp_path: Path, earlier: str) -> None:
    torch._dynamo.reset()
    model = network()
    compiled = torch.compile(model, backend="eager")
    if earlier == "an unrecorded run":
        torch.compile(network(), backend="eager")(X)
    if earlier == "the model itself":
        compiled(X)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    squares = []

    def spy(x: torch.Tensor, *_: torch.Tensor) -> None:
        squares.append(mean_square(torch.relu(x @ model[0].weight.T + model[0].bias)))

    with Recorder(tmp_path / "s.zarr", compiled, optimizer, run=RUN, interval=1) as recorder:
        train(compiled, optimizer, 4, recorder, spy)  # type: ignore[arg-type]
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    np.testing.assert_allclose(dataset.activation_rms[:, 0], np.sqrt(squares), rtol=1e-5)


def test_what_is_called_under_vmap_or_on_the_meta_device_has_no_value_and_crashes_nothing(tmp_path: Path) -> None:
    model = network()
    weights = {name: p.detach() for name, p in model.named_parameters()}
    matrices = [name for name, w in weights.items() if w.ndim > 1]

    def loss(own: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(model, own, (x,)).square().mean()  # type: ignore[no-any-return]

    with Recorder(tmp_path / "s.zarr", model, [], run=RUN, interval=1) as recorder:
        each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, X)
        own = {n: weights[n] for n in matrices}, {n: each[n].mean(0) for n in matrices}
        with pytest.warns(UserWarning, match="activation_rms of '0', '2' is NaN: called under vmap"):
            recorder.observe(*own)
    on_meta = network().to("meta")
    caught = Activations(on_meta)
    on_meta(X.to("meta"))
    assert caught.take(X).isnan().all()
    assert set(caught.missing.values()) == {"none: called on the meta device"}


def test_later_evaluations_of_a_closure_are_of_no_step(tmp_path: Path) -> None:
    model, squares = network(), []
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1):
        for _ in range(3):
            squares.append(mean_square(torch.relu(X @ model[0].weight.T + model[0].bias)))

            def closure() -> torch.Tensor:
                optimizer.zero_grad()
                loss = model(X).square().mean()
                loss.backward()
                return loss  # type: ignore[no-any-return]

            optimizer.step(closure)
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    np.testing.assert_allclose(dataset.activation_rms[:, 0], np.sqrt(squares), rtol=1e-5)
