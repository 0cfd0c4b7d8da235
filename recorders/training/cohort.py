"""A stack of R networks of one architecture that train at once; R = 1 takes the same path without `vmap`.

A pruned network is trained as in DPF (Lin et al. 2020; the study's eq. 9): the forward pass uses w̃ = m ⊙ w, the
gradient ∂L/∂w̃ is dense and is applied to the dense w. So w̃ is a leaf tensor of its own, refreshed after every update:
autograd through ``w * m`` would give m ⊙ g.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn.functional import cross_entropy

from recorders.contract import InputError
from recorders.measure.activations import Activations
from recorders.methods.masks import Masks
from recorders.methods.method import Layers
from recorders.networks.layers import prunable_parameters
from recorders.networks.token_merge import TokenMerge
from recorders.seeding import weights_digest
from recorders.training.profile import UNPROFILED, Profile

Tensors = list[torch.Tensor]


class Cohort:
    """R networks, their masks and their optimisers' parameters.

    Parameters
    ----------
    models : sequence of nn.Module
        One freshly initialised network per run, all of one architecture.
    starts : sequence of mapping or None
        Masks that the runs start with, by parameter name; None for runs that start dense.
    device : torch.device
        Where to train.
    masked : sequence of bool, optional
        Runs whose pruned weights do not learn; by default those that start with a mask.
    precision : {"float32", "bfloat16"}
        Of forward and backward passes; with ``bfloat16`` under autocast.

    Raises
    ------
    InputError
        A stack of networks with buffers (batch norm's running statistics).
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        starts: Sequence[Masks | None],
        device: torch.device,
        masked: Sequence[bool] | None = None,
        precision: str = "float32",
    ) -> None:
        self.digests = [weights_digest(m.parameters()) for m in models]
        self.stacked = len(models) > 1
        self._model = models[0].to(device)
        if self.stacked and any(True for _ in self._model.buffers()):
            raise InputError("networks with buffers cannot be trained as a stack: pass --stacked no")
        self._cast = partial(torch.autocast, device.type, torch.bfloat16, enabled=precision == "bfloat16")
        self._activations = Activations(self._model, stacked=self.stacked)
        self.layers = self._activations.layers
        self.activation_sources = self._activations.sources
        self.names = list(prunable_parameters(self._model))
        parameters = self._stack(models, device)
        self.effective = [parameters[name] for name in self.names]  # w̃: what the forward pass uses
        self._forward_parameters = parameters
        self._factors = [self._mask(name, starts) for name in self.names]  # 0 or 1; on a CPU bool multiplies slowly
        self.masks = [factor.bool() for factor in self._factors]
        self._masked = [start is not None for start in starts] if masked is None else list(masked)
        self._gradient_masks = [factor.clone() for factor in self._factors] if any(self._masked) else None
        with torch.no_grad():
            # Runs with a mask start from m ⊙ w and, with masked gradients, masked weights stay exactly 0.
            self.dense = [(w * m).requires_grad_() for w, m in zip(self.effective, self._factors, strict=True)]
        self._others = [p for name, p in parameters.items() if name not in set(self.names)]
        self.refresh()

    @property
    def trainable(self) -> Tensors:
        """What the optimiser updates: the dense weights and every parameter that is never pruned."""
        return [*self.dense, *self._others]

    @property
    def gradients(self) -> Tensors:
        """Dense gradients ∂L/∂w̃ of the last backward pass, one per prunable tensor."""
        return [_gradient(w) for w in self.effective]

    def backward(
        self, images: torch.Tensor, labels: torch.Tensor, *, activations: bool, profile: Profile = UNPROFILED
    ) -> torch.Tensor:
        """Run forward and backward on one batch per run.

        Parameters
        ----------
        images : Tensor, shape (run, batch, ...)
            One batch per run.
        labels : Tensor of int64, shape (run, batch)
            Its classes.
        activations : bool
            Whether to keep the hidden layers' mean squares of this pass, see `mean_squares`.
        profile : Profile
            Times the two passes.

        Returns
        -------
        Tensor, shape (run,)
            Cross-entropy of each run.
        """
        self._activations.arm(activations)
        if not self.stacked:
            with profile("forward"), self._cast():
                loss = cross_entropy(self._model(images[0]), labels[0])
            with profile("backward"):
                loss.backward()
            losses = loss.unsqueeze(0)
            if activations:
                self.mean_squares = self._activations.take(loss.detach()).unsqueeze(0)
            else:
                self._activations.forget()  # what is compiled is measured at every call
        else:
            try:
                with profile("forward"), self._cast():
                    losses, self.mean_squares = vmap(self._loss)(self._forward_parameters, images, labels)
            except RuntimeError as error:
                if "randomness" not in str(error):
                    raise
                raise InputError("networks with dropout cannot be trained as a stack: pass --stacked no") from error
            with profile("backward"):
                losses.sum().backward()
            self.mean_squares = self.mean_squares.detach()
        return losses.detach()

    def hand_over_gradients(self) -> None:
        """Give the gradients of w̃ to the dense weights; masked where the mask is static."""
        for i, (dense, effective) in enumerate(zip(self.dense, self.effective, strict=True)):
            gradient = _gradient(effective)
            dense.grad = gradient if self._gradient_masks is None else gradient * self._gradient_masks[i]
            effective.grad = None

    def refresh(self) -> None:
        """Set w̃ = m ⊙ w after the dense weights or the masks changed."""
        with torch.no_grad():
            for effective, dense, factor in zip(self.effective, self.dense, self._factors, strict=True):
                torch.mul(dense, factor, out=effective)

    def run_layers(self, run: int) -> Layers:
        """Show the prunable tensors of one run; the weights are views that may be written in place."""
        return Layers(
            weights=[self._of(w, run).detach() for w in self.dense],
            gradients=[self._of(_gradient(w), run).detach() for w in self.effective],
            masks=[self._of(m, run).clone() for m in self.masks],
        )

    @contextmanager
    def look_ahead(self, images: torch.Tensor, labels: torch.Tensor) -> Iterator[None]:
        """Have the gradients of a batch at hand; afterwards nothing shows that it was seen.

        Buffers, random generators and what a merging layer counts are as before, the gradients are gone.
        """
        buffers = [(b, b.clone()) for b in self._model.buffers()]
        counted = [(m, m.steps) for m in self._model.modules() if isinstance(m, TokenMerge)]
        devices = [images.device] if images.is_cuda else []
        with torch.random.fork_rng(devices=devices):
            self.backward(images, labels, activations=False)
        try:
            yield
        finally:
            for parameter in (*self.effective, *self._others):
                parameter.grad = None
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)
            for merge, steps in counted:
                merge.steps = steps

    @torch.no_grad()
    def set_masks(self, fresh: Mapping[int, Sequence[torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Change the masks of some runs.

        Parameters
        ----------
        fresh : mapping of int to sequence of Tensor of bool
            New masks by position of the run.

        Returns
        -------
        regrown, pruned : Tensor, shape (run, parameter)
            Weights that came back and weights that were masked; NaN for the other runs.
        """
        counts = torch.full((2, self.runs, len(self.names)), torch.nan, device=self.masks[0].device)
        for run, masks in fresh.items():
            for i, (mask, new) in enumerate(zip(self.masks, masks, strict=True)):
                old = self._of(mask, run)
                changed = new ^ old
                counts[0, run, i] = (changed & new).count_nonzero()
                counts[1, run, i] = (changed & old).count_nonzero()
                old.copy_(new)
                self._of(self._factors[i], run).copy_(new)
                if self._masked[run] and self._gradient_masks is not None:
                    self._of(self._gradient_masks[i], run).copy_(new)
        self.refresh()
        return counts[0], counts[1]

    @torch.no_grad()
    def forget(self, optimiser: torch.optim.Optimizer, run: int, changed: Sequence[torch.Tensor]) -> None:
        """Clear what an optimiser remembers of some weights of one run (momentum, second moments)."""
        for dense, places in zip(self.dense, changed, strict=True):
            for memory in optimiser.state[dense].values():
                if isinstance(memory, torch.Tensor) and memory.shape == dense.shape:
                    self._of(memory, run)[places] = 0

    def accuracy(self, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        """Share of the images in batches of (images, labels) that each run classifies right, in evaluation mode."""
        self._model.eval()
        right, seen = torch.zeros(self.runs, device=self.masks[0].device), 0
        with torch.no_grad(), self._cast():
            for x, y in batches:
                right += (self._outputs(x).argmax(-1) == y).sum(-1)
                seen += len(y)
        self._model.train()
        return right / seen

    def run_masks(self, run: int) -> Masks:
        """Masks of one run, boolean, by parameter name."""
        return {name: self._of(mask, run).clone() for name, mask in zip(self.names, self.masks, strict=True)}

    def run_dense(self, run: int) -> dict[str, torch.Tensor]:
        """Return dense weights, pruned ones included, other parameters and buffers of one run, by name."""
        dense = dict(zip(self.names, self.dense, strict=True))
        weights = {name: self._of(dense.get(name, p), run).detach() for name, p in self._forward_parameters.items()}
        return weights | dict(self._model.named_buffers())  # stacks have none

    def is_finite(self, run: int) -> bool:
        """Whether all dense weights of one run are finite."""
        return all(bool(self._of(w, run).isfinite().all()) for w in self.dense)

    @property
    def network(self) -> nn.Module:
        """The network that all runs share; the parameters of a stack are not in it."""
        return self._model

    @property
    def runs(self) -> int:
        """Number of runs in the stack."""
        return len(self.digests)

    def _of(self, tensor: torch.Tensor, run: int) -> torch.Tensor:
        return tensor[run] if self.stacked else tensor

    def _stack(self, models: Sequence[nn.Module], device: torch.device) -> dict[str, torch.Tensor]:
        if not self.stacked:
            return dict(self._model.named_parameters())
        named = [dict(m.named_parameters()) for m in models]
        return {name: torch.stack([n[name].detach().to(device) for n in named]).requires_grad_() for name in named[0]}

    def _mask(self, name: str, starts: Sequence[Masks | None]) -> torch.Tensor:
        like = self._forward_parameters[name]
        mask = torch.ones_like(like, requires_grad=False)
        for run, masks in enumerate(starts):
            if masks is not None:
                self._of(mask, run).copy_(masks[name])
        return mask

    def _loss(
        self, parameters: Mapping[str, torch.Tensor], images: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        loss = cross_entropy(functional_call(self._model, dict(parameters), (images,)), labels)
        return loss, self._activations.take(loss)

    def _outputs(self, images: torch.Tensor) -> torch.Tensor:
        if not self.stacked:
            outputs: torch.Tensor = self._model(images)
            return outputs.unsqueeze(0)

        def forward(parameters: dict[str, torch.Tensor], batch: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = functional_call(self._model, parameters, (batch,))
            return result

        stacked: torch.Tensor = vmap(forward, in_dims=(0, None))(self._forward_parameters, images)
        return stacked


def _gradient(tensor: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
