"""Tells of every update of some weights just before it is made, whichever optimizer makes it."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

Optimizer = torch.optim.Optimizer


class OptimizerSteps:
    """Calls back once before each step of some optimizers: after `backward`, unscaling and clipping.

    With a closure it is at its first return, when the gradients of the step exist. A step inside another one (a
    subclass's ``super().step()``, the inner optimizer of a wrapper) is part of it. An optimizer that nobody named is
    told about at its first step, before it.

    Parameters
    ----------
    optimizers : sequence of Optimizer
        Hooked; they keep this object alive, so that a recorder lives as long as its optimizer.
    before : callable
        Called with the optimizer.
    after : callable
        Called with the optimizer when its step has returned.
    unknown : callable
        Called with an optimizer that was not named; answers whether it is to be hooked, too.
    """

    def __init__(
        self,
        optimizers: Sequence[Optimizer],
        before: Callable[[Optimizer], None],
        after: Callable[[Optimizer], None],
        unknown: Callable[[Optimizer], bool],
    ) -> None:
        self._before, self._after, self._unknown = before, after, unknown
        self._running: FrameType | None = None
        self._handles: dict[Optimizer, list[Any]] = {}
        self._strangers: weakref.WeakSet[Optimizer] = weakref.WeakSet()
        for optimizer in optimizers:
            self.follow(optimizer)
        own = weakref.ref(self)

        def notice(optimizer: Optimizer, *_: Any) -> None:
            if (listener := own()) is not None:
                listener._notice(optimizer)

        self._notices = register_optimizer_step_pre_hook(notice)
        weakref.finalize(self, self._notices.remove)

    @property
    def followed(self) -> list[Optimizer]:
        """The optimizers that are hooked."""
        return list(self._handles)

    def follow(self, optimizer: Optimizer) -> None:
        """Listen to one more optimizer."""
        self._handles[optimizer] = [
            optimizer.register_step_pre_hook(self._enter),
            optimizer.register_step_post_hook(self._leave),
        ]

    def drop(self, optimizer: Optimizer) -> None:
        """Stop listening to an optimizer."""
        for handle in self._handles.pop(optimizer):
            handle.remove()

    def close(self) -> None:
        """Stop listening."""
        self._running = None
        self._notices.remove()
        for optimizer in self.followed:
            self.drop(optimizer)

    def _notice(self, optimizer: Optimizer) -> None:
        if optimizer in self._handles or optimizer in self._strangers or self._inside():
            return
        if self._unknown(optimizer):
            self.follow(optimizer)  # torch calls an optimizer's own hooks after this one: this step counts already
        else:
            self._strangers.add(optimizer)

    def _enter(self, optimizer: Optimizer, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if self._inside():
            return None
        self._running = sys._getframe(1)
        place, closure = _closure(arguments, keywords)
        if closure is None:
            self._before(optimizer)
            return None
        waiting = True

        def measured() -> Any:
            nonlocal waiting
            loss = closure()
            if waiting:
                waiting = False
                self._before(optimizer)
            return loss

        if isinstance(place, int):
            return (*arguments[:place], measured, *arguments[place + 1 :]), keywords
        return arguments, {**keywords, place: measured}

    def _leave(self, optimizer: Optimizer, *_: Any) -> None:
        if self._running is sys._getframe(1):
            self._running = None
            self._after(optimizer)

    def _inside(self) -> bool:
        """Whether a step that was told about has not returned; one that raised is no longer on the stack."""
        frame: FrameType | None = sys._getframe(2) if self._running is not None else None
        while frame is not None:
            if frame is self._running:
                return True
            frame = frame.f_back
        return False


def _closure(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[int | str, Callable[[], Any] | None]:
    """Find the closure among the arguments of `step`, and its place."""
    for position, value in enumerate(arguments[1:], start=1):  # the first is the optimizer
        if callable(value):
            return position, value
    for name, value in keywords.items():
        if callable(value):
            return name, value
    return "", None
