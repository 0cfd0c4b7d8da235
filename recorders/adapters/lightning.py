"""Recording a Lightning Trainer's training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import torch

from recorders.contract import InputError
from recorders.loop.mask_source import MaskArgument
from recorders.loop.recorder import Recorder
from recorders.measure.own_indicators import Indicator
from recorders.probe.mask_probe import MaskProbe
from recorders.store.writer import Durability

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError as error:
    raise InputError("LightningRecorder needs lightning: pip install 'burden-analysis[lightning]'") from error


class LightningRecorder(Callback):
    """Callback that records a Trainer's training; parameters as those of `recorders.Recorder`.

    Every step of every optimizer is recorded, with automatic and with manual optimization, after accumulation,
    unscaling and clipping, with the training loss of its last batch. A checkpoint of the Trainer holds where the
    recording was: ``trainer.fit(..., ckpt_path=…)`` goes on from there (its step must be a multiple of `interval`).

    Parameters
    ----------
    store : path
        Folder of the study.
    run : mapping
        ``strategy``, ``sparsity``, ``seed`` and further settings.
    interval, sample_every, total_steps, masks, probe, exist, indicators, lock, durability
        See `recorders.Recorder`.

    Attributes
    ----------
    recorder : Recorder or None
        While the Trainer trains.
    """

    def __init__(
        self,
        store: str | PathLike[str],
        *,
        run: Mapping[str, Any],
        interval: int = 50,
        sample_every: int | None = None,
        total_steps: int | None = None,
        masks: MaskArgument = None,
        probe: MaskProbe | None = None,
        exist: str = "error",
        indicators: Sequence[Indicator | str] = (),
        lock: bool = True,
        durability: Durability = "process",
    ) -> None:
        self._store, self._exist = store, exist
        self._settings: dict[str, Any] = {"run": run, "interval": interval, "total_steps": total_steps}
        self._settings |= {"masks": masks, "probe": probe, "indicators": indicators, "lock": lock}
        self._settings["durability"] = durability
        self._settings["sample_every"] = sample_every
        self._steps_done: int | None = None
        self.recorder: Recorder | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin, or go on where the Trainer's checkpoint was saved."""
        how: dict[str, Any] = {"exist": self._exist}
        if self._steps_done is not None:
            how = {"exist": "resume", "steps_done": self._steps_done}
        self.recorder = Recorder(self._store, pl_module, trainer.optimizers, **self._settings, **how)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: torch.Tensor) -> None:
        """Log the training loss; the Trainer has divided it by the batches it accumulates, and scaled it in fp16."""
        if self.recorder is None or loss.numel() != 1:
            return
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        unscaled = loss.detach() if scaler is None else loss.detach() / scaler.get_scale()
        self.recorder.log(loss=unscaled * trainer.accumulate_grad_batches)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the run."""
        if self.recorder is not None:
            self.recorder.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """End the run as interrupted or failed."""
        if self.recorder is not None:
            self.recorder.__exit__(type(exception), exception, None)

    def state_dict(self) -> dict[str, Any]:
        """Say where the recording is, for the Trainer's checkpoint; all records until here are written first."""
        if self.recorder is None:
            return {}
        self.recorder.flush()
        return {"steps_done": self.recorder.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take from a checkpoint where to go on."""
        self._steps_done = state_dict.get("steps_done")
