from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recorders.contract import InputError, flat_config
from recorders.settings.presets import preset
from recorders.settings.settings import Settings


@pytest.mark.parametrize(
    ("name", "text", "flags", "expected"),
    [
        # defaults < preset of the study < named preset < YAML < flags, one value at a time
        (None, None, {}, {"batch_size": 128, "interval": 100, "epochs": 40, "optimizer": "sgd", "weight_decay": 0.0}),
        ("tables-mini", None, {}, {"interval": 16, "epochs": 24, "optimizer": "adam", "momentum": 0.9, "resize": 0}),
        (
            "tables-mini",
            "training: {epochs: 3, weight_decay: 1e-2}\nrecording: {interval: 9}",
            {},
            {"interval": 9, "epochs": 3, "weight_decay": 0.01, "optimizer": "adam", "precision": "float32"},
        ),
        (
            "tables-mini",
            "training: {epochs: 3, weight_decay: 1e-2}",
            {"epochs": 5, "pruning_interval": 4},
            {"epochs": 5, "weight_decay": 0.01, "pruning_interval": 4, "interval": 16},
        ),
        (None, "seeds: [7]", {"seeds": (8, 9)}, {"seeds": [8, 9], "sparsities": [0.75, 0.8, 0.85, 0.9, 0.95]}),
    ],
)
def test_what_comes_later_counts(
    tmp_path: Path, name: str | None, text: str | None, flags: dict[str, Any], expected: dict[str, Any]
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(text or "")
    found = flat_config(preset("tables", own if text else None, name, **flags).as_dict())
    assert {key: found[key] for key in expected} == expected
    assert preset("fig2").probe == Settings().probe  # which neither preset names


@pytest.mark.parametrize(
    ("text", "flags", "axes"),
    [
        (None, {}, ("setup=384x3,384x6,768x3,768x6", "epochs=40,60", "learning_rate=0.00125,0.0025,0.005,0.01")),
        (None, {"epochs": 3}, ("setup=384x3,384x6,768x3,768x6", "learning_rate=0.00125,0.0025,0.005,0.01")),
        ("training: {epochs: 3}", {"setup": "8x2"}, ("learning_rate=0.00125,0.0025,0.005,0.01",)),
        ("axes: {flip: [false, true], epochs: [1, 2]}", {}, ("flip=False,True", "epochs=1,2")),
        ("axes: {flip: [false, true], epochs: [1, 2]}\ntraining: {epochs: 3}", {"flip": True}, ("epochs=1,2",)),
        (None, {"epochs": 3, "axes": ("epochs=1,2",)}, ("epochs=1,2",)),
        (None, {"axes": ()}, ()),
    ],
)
def test_a_value_of_the_users_takes_the_axis_of_its_name_away(
    tmp_path: Path, text: str | None, flags: dict[str, Any], axes: tuple[str, ...]
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(text or "")
    assert preset("tables", own if text else None, **flags).axes == axes


def test_a_preset_of_the_data_is_laid_over_the_study(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("training: {epochs: 2}\nseeds: [7]\n")
    assert preset("fig2").data.name == "digits"
    assert preset("fig2", data="mnist").data.image_size == 32
    mnist = preset("fig2", own, data="mnist")
    assert (mnist.seeds, mnist.training.epochs, mnist.data.image_size) == ((7,), 2, 32)
    assert preset("fig2", data="mnist", image_size=0).data.image_size == 0
    for text in ("data: mnist\n", "data: {name: mnist}\n"):
        own.write_text(text)
        assert preset("fig2", own).data.image_size == 32
        assert preset("fig2", own, data="digits").data.image_size == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n", "must hold a mapping"),
        ("a: [", "is not YAML"),
        ("sedes: [1]", "did you mean 'seeds'"),
        ("1: 2", "unknown setting '1'"),
        ("training: 5", "training must be a dictionary"),
        ("training: {epochs: yes}", "training.epochs must be a valid integer, got True"),
        ("epochs: 5", r"^epochs is now training.epochs: write training: \{epochs: 5\} in YAML"),
        ("probe_every: 5", r"^probe_every is now probe.every: write probe: \{every: 5\} in YAML"),
    ],
)
def test_wrong_yaml_is_refused(tmp_path: Path, text: str, message: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(text)
    with pytest.raises(InputError, match=message):
        preset("fig2", own)


def test_missing_yaml_and_unknown_study_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*none\.yaml"):
        preset("fig2", tmp_path / "none.yaml")
    with pytest.raises(InputError, match="unknown study 'fig3': choose from fig2, tables; did you mean 'fig2'"):
        preset("fig3")
