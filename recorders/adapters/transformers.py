"""Recording a Hugging Face Trainer's training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from recorders.contract import InputError
from recorders.loop.mask_source import MaskArgument
from recorders.loop.recorder import Recorder
from recorders.measure.own_indicators import Indicator
from recorders.probe.mask_probe import MaskProbe
from recorders.store.writer import Durability

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise InputError("TransformersRecorder needs transformers: pip install 'burden-analysis[transformers]'") from error


class TransformersRecorder(TrainerCallback):
    """Callback that records a Trainer's training; parameters as those of `recorders.Recorder`.

    Every optimiser step is recorded, after accumulation and clipping. ``trainer.train(resume_from_checkpoint=…)`` goes
    on from the checkpoint's step, which must be a multiple of `interval`. An exception in `train` leaves the run
    ``interrupted``.

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
        self.recorder: Recorder | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin, or go on where the checkpoint was saved."""
        how: dict[str, Any] = {"exist": self._exist}
        if state.global_step:
            how = {"exist": "resume", "steps_done": state.global_step}
        self.recorder = Recorder(self._store, kwargs["model"], kwargs["optimizer"], **self._settings, **how)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write all records that the checkpoint must find."""
        if self.recorder is not None:
            self.recorder.flush()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End the run."""
        if self.recorder is not None:
            self.recorder.close()
