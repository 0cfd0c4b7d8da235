"""Lightning's Trainer, event by event, against gradients that a spy reads in float64."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from burden_analysis import open_study

lightning = pytest.importorskip("lightning")
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, ModelPruning  # noqa: E402
from lightning.pytorch.plugins import MixedPrecision  # noqa: E402

from recorders.adapters import LightningRecorder  # noqa: E402

RUN = {"strategy": "mine", "sparsity": 0.0, "seed": 0}
pytestmark = pytest.mark.filterwarnings("ignore")  # of the Trainer, about workers, loggers and hardware


class Net(lightning.LightningModule):
    def __init__(self, manual: bool = False) -> None:
        super().__init__()
        self.automatic_optimization = not manual
        self.net = nn.Sequential(nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 3))

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        loss = cross_entropy(self.net(batch[0]), batch[1])
        if not self.automatic_optimization:
            optimizer = self.optimizers()
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Spy(Callback):
    """The gradients that an update used, read right after it."""

    def __init__(self) -> None:
        self.norms: list[list[float]] = []

    def on_train_start(self, trainer: Any, module: Any) -> None:
        def read(*_: Any) -> None:
            self.norms.append([p.grad.double().norm().item() for p in module.parameters() if p.ndim > 1])

        trainer.optimizers[0].register_step_post_hook(read)


class Stop(Callback):
    def __init__(self, error: BaseException, step: int) -> None:
        self.error, self.step = error, step

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == self.step:
            raise self.error


def fit(*callbacks: Any, manual: bool = False, checkpoint: Any = None, **settings: Any) -> Net:
    torch.manual_seed(0)
    model, draw = Net(manual), torch.Generator().manual_seed(1)
    data = TensorDataset(torch.randn(64, 12, generator=draw), torch.randint(0, 3, (64,), generator=draw))
    kept = any(isinstance(callback, ModelCheckpoint) for callback in callbacks)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(
        **({"max_epochs": 1, "accelerator": "cpu", "devices": 1, "enable_checkpointing": kept} | quiet | settings),
        callbacks=list(callbacks),
    )
    trainer.fit(model, DataLoader(data, batch_size=8), ckpt_path=checkpoint)
    return model


def recorded(store: Path) -> xr.Dataset:
    return open_study(store).isel(run=0)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"manual": True},
        {"accumulate_grad_batches": 4, "gradient_clip_val": 0.1},
        {"precision": "bf16-mixed"},
    ],
    ids=["automatic", "manual", "accumulated and clipped", "bf16-mixed"],
)
def test_every_step_is_recorded_and_changes_nothing(tmp_path: Path, settings: dict[str, Any]) -> None:
    spy = Spy()
    plain = fit(spy, **settings)
    model = fit(LightningRecorder(tmp_path / "s.zarr", run=RUN, interval=1), **settings)
    dataset = recorded(tmp_path / "s.zarr")
    assert dataset.status.item() == "complete"
    assert dataset.parameter.values.tolist() == ["net.0.weight", "net.2.weight"]
    np.testing.assert_allclose(dataset.gradient_norm, spy.norms, rtol=2e-6)
    assert np.isfinite(dataset.loss).all()
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), model.parameters(), strict=True))


def test_the_loss_is_that_of_the_batch_also_where_it_is_accumulated(tmp_path: Path) -> None:
    for folder, batches in (("one", 1), ("four", 4)):
        fit(LightningRecorder(tmp_path / folder, run=RUN, interval=1), accumulate_grad_batches=batches, max_steps=1)
    draw = torch.Generator().manual_seed(1)
    x, y = torch.randn(64, 12, generator=draw), torch.randint(0, 3, (64,), generator=draw)
    torch.manual_seed(0)
    net = Net().net
    for folder, rows in (("one", slice(0, 8)), ("four", slice(24, 32))):
        expected = cross_entropy(net(x[rows]), y[rows]).item()
        assert recorded(tmp_path / folder).loss.item() == pytest.approx(expected, rel=1e-6)


def test_the_loss_that_a_scaler_multiplied_is_logged_as_it_was(tmp_path: Path) -> None:
    losses = []
    for folder, scaler in (("plain", None), ("scaled", torch.amp.GradScaler("cpu", init_scale=512.0))):
        plugin = MixedPrecision("bf16-mixed", "cpu")
        plugin.scaler = scaler
        fit(LightningRecorder(tmp_path / folder, run=RUN, interval=1), plugins=[plugin], max_steps=1)
        losses.append(recorded(tmp_path / folder).loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)


def test_a_checkpoint_of_the_trainer_goes_on(tmp_path: Path) -> None:
    spy = Spy()
    fit(spy, max_epochs=2)
    store = tmp_path / "s.zarr"
    keep = ModelCheckpoint(dirpath=tmp_path, filename="last", every_n_train_steps=4, save_top_k=-1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(RuntimeError, match="power cut"):
            fit(
                LightningRecorder(store, run=RUN, interval=2),
                keep,
                Stop(RuntimeError("power cut"), 11),
                max_epochs=2,
            )
    assert recorded(store).status.item() == "failed"
    checkpoint = sorted(tmp_path.glob("last*.ckpt"), key=lambda p: p.stat().st_mtime)[-1]
    fit(LightningRecorder(store, run=RUN, interval=2), max_epochs=2, checkpoint=checkpoint)
    dataset = recorded(store)
    assert dataset.status.item() == "complete"
    np.testing.assert_allclose(dataset.gradient_norm, spy.norms[1::2], rtol=2e-6)


def test_masks_of_its_pruning_are_found(tmp_path: Path) -> None:
    prune = ModelPruning(
        "l1_unstructured", amount=0.5, use_lottery_ticket_hypothesis=False, make_pruning_permanent=False
    )
    fit(LightningRecorder(tmp_path / "s.zarr", run=RUN, interval=1), prune, max_epochs=2)
    dataset = recorded(tmp_path / "s.zarr")
    np.testing.assert_allclose(dataset.actual_sparsity[[0, -1]], [0.0, 0.5], atol=0.01)


@pytest.mark.parametrize(("error", "status"), [(ValueError("no"), "failed"), (KeyboardInterrupt(), "interrupted")])
def test_exceptions_end_the_run(tmp_path: Path, error: BaseException, status: str) -> None:
    recorder = LightningRecorder(tmp_path / "s.zarr", run=RUN, interval=1)
    with pytest.raises((ValueError, SystemExit, KeyboardInterrupt)):
        fit(recorder, Stop(error, 3))
    dataset = recorded(tmp_path / "s.zarr")
    assert (dataset.status.item(), int(dataset.records_written)) == (status, 3)
