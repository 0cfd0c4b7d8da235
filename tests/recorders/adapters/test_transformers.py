"""Hugging Face's Trainer, event by event, against gradients that a spy reads in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from burden_analysis import open_study

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from recorders.adapters import TransformersRecorder  # noqa: E402

RUN = {"strategy": "mine", "sparsity": 0.0, "seed": 0}
pytestmark = pytest.mark.filterwarnings("ignore")  # of the Trainer, about its own arguments


class Words(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    def __len__(self) -> int:
        return 32

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        ids = torch.randint(0, 50, (12,), generator=torch.Generator().manual_seed(i))
        return {"input_ids": ids, "labels": ids}


def gpt2() -> Any:
    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "n_positions": 16, "n_embd": 16, "n_layer": 1, "n_head": 2}
    still = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "bos_token_id": 0, "eos_token_id": 0}
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, **still))


class Spy(transformers.TrainerCallback):
    def __init__(self) -> None:
        self.norms: list[list[float]] = []

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self.norms.append([p.grad.double().norm().item() for p in model.parameters() if p.ndim > 1])


class Stop(transformers.TrainerCallback):
    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        raise KeyboardInterrupt


def train(folder: Path, *callbacks: Any, resume: bool = False, **settings: Any) -> Any:
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=4,
        num_train_epochs=1,
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        learning_rate=1e-2,
        logging_strategy="no",
        **({"save_strategy": "no"} | settings),
    )
    trainer = transformers.Trainer(model=gpt2(), args=arguments, train_dataset=Words(), callbacks=list(callbacks))
    trainer.train(resume_from_checkpoint=resume or None)
    return trainer.model


@pytest.mark.parametrize(
    "settings",
    [{"gradient_accumulation_steps": 2, "max_grad_norm": 0.05, "lr_scheduler_type": "cosine"}, {"bf16": True}],
    ids=["accumulated and clipped", "bf16"],
)
def test_every_step_is_recorded_and_changes_nothing(tmp_path: Path, settings: dict[str, Any]) -> None:
    spy = Spy()
    plain = train(tmp_path / "plain", spy, **settings)
    model = train(tmp_path / "out", TransformersRecorder(tmp_path / "s.zarr", run=RUN, interval=1), **settings)
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    assert dataset.status.item() == "complete"
    assert dataset.parameter.values[0] == "transformer.wte.weight"
    np.testing.assert_allclose(dataset.gradient_norm, spy.norms, rtol=2e-6)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), model.parameters(), strict=True))


def test_resume_from_checkpoint_goes_on(tmp_path: Path) -> None:
    spy = Spy()
    train(tmp_path / "plain", spy)
    keep = {"save_strategy": "steps", "save_steps": 4}
    recorder = TransformersRecorder(tmp_path / "s.zarr", run=RUN, interval=2)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "out", recorder, Stop(), **keep)
    train(tmp_path / "out", TransformersRecorder(tmp_path / "s.zarr", run=RUN, interval=2), resume=True, **keep)
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    assert dataset.status.item() == "complete"
    np.testing.assert_allclose(dataset.gradient_norm, spy.norms[1::2], rtol=2e-6)
