from __future__ import annotations

import copy
import multiprocessing
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorders.contract import InputError, flat_config
from recorders.settings.settings import (
    DataSettings,
    NetworkSettings,
    ProbeSettings,
    PruningSettings,
    Settings,
    TrainingSettings,
    settings_from_config,
)

# As stores had it before settings had sections.
FLAT: dict[str, Any] = {
    "data": "mnist",
    "image_size": 32,
    "strategies": ["iterative", "gmp"],
    "sparsities": [0.5, 0.9],
    "compressions": [0.0],
    "seeds": [3],
    "axes": ["epochs=2,3"],
    "allocation": "erk",
    "hidden": [12, 8],
    "setup": "",
    "resize": 28,
    "patch": 4,
    "depth": 2,
    "mlp_ratio": 2.0,
    "merge_metric": "cosine",
    "proportional_attention": True,
    "flip": True,
    "crop_padding": 2,
    "precision": "bfloat16",
    "epochs": 2,
    "batch_size": 64,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "learning_rate_shape": "cosine",
    "momentum": 0.5,
    "weight_decay": 0.01,
    "interval": 7,
    "pruning_interval": 9,
    "pruning_end": 0.75,
    "initial_sparsity": 0.25,
    "evaluate_every": 2,
    "probe_every": 3,
    "probe_size": 33,
    "allow_empty_layers": True,
}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"strategies": ["iteratve"]}, "unknown strategy 'iteratve'.*did you mean 'iterative'"),
        ({"pruning": {"allocation": "erg"}}, "unknown allocation 'erg': choose from global, .*did you mean 'erk'"),
        ({"training": {"optimizer": "adan"}}, "unknown optimizer 'adan': choose from adam, sgd; did you mean 'adam'"),
        ({"sparsities": [1.0]}, r"sparsities must be less than 1, got 1\.0 \(Shares of prunable weights to remove\)"),
        ({"sparsities": [-0.1]}, "sparsities must be greater than or equal to 0, got -0.1"),
        ({"seeds": [0, 0]}, "seeds has duplicates: 0, 0"),
        ({"seeds": []}, "seeds is empty: give at least one"),
        ({"seeds": [-1]}, "seeds must be greater than or equal to 0, got -1"),
        ({"seeds": 3}, "seeds must be a list, got 3"),
        ({"axes": 3}, "axes must be a list, got 3"),
        ({"training": {"epochs": 0}}, r"training\.epochs must be greater than 0, got 0 \(Passes over"),
        ({"training": {"epochs": "five"}}, "training.epochs must be a valid integer, got 'five'"),
        ({"training": {"epochs": True}}, "training.epochs must be a valid integer, got True"),
        ({"training": {"epochs": 2.0}}, "training.epochs must be a valid integer, got 2.0"),
        ({"training": {"momentum": True}}, "training.momentum must be a valid number, got True"),
        ({"training": {"learning_rate": "fast"}}, "training.learning_rate must be a valid number, got 'fast'"),
        ({"training": {"learning_rate": float("nan")}}, "training.learning_rate must be .*, got nan"),
        ({"training": {"learning_rate": float("inf")}}, "training.learning_rate must be .*, got inf"),
        ({"training": {"weight_decay": float("nan")}}, "training.weight_decay must be .*, got nan"),
        ({"training": {"momentum": 5.0}}, "training.momentum must be less than 1, got 5.0"),
        ({"training": 5}, "training must be a dictionary or an instance of TrainingSettings, got 5"),
        ({"pruning": {"end": 1.5}}, "pruning.end must be less than or equal to 1, got 1.5 .*Share of training"),
        ({"pruning": {"initial_sparsity": 0.8}, "sparsities": [0.7]}, "initial_sparsity 0.8 is above sparsity 0.7"),
        ({"probe": {"size": 0}}, "probe.size must be greater than 0, got 0"),
        ({"network": {"hidden": [0]}}, "network.hidden must be greater than 0, got 0"),
        ({"pruning": {"interval": None}}, r"got None \(Optimiser steps .* set an epoch\)\)$"),
        ({"data": {"flip": 1}}, "data.flip must be a valid boolean, got 1"),
        ({"data": 3}, "data must be a dictionary or an instance of DataSettings, got 3"),
        ({1: 2}, "unknown setting '1'"),
        ({"training": {1: 2}}, "unknown setting 'training.1'"),
        ({"epoch": 3}, r"unknown setting 'epoch': choose from .*data\.\(name, .*; did you mean 'training.epochs'"),
        ({"sedes": [3]}, "did you mean 'seeds'"),
        (
            {"training": {"epoch": 3}},
            r"unknown setting 'training.epoch': choose from training\.\(epochs, .*, precision\); did you mean "
            "'training.epochs'",
        ),
    ],
)
def test_wrong_settings_are_refused_in_one_line(values: dict[Any, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Settings.from_dict(values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "yaml", "python"),
    [
        ("epochs", 5, "training: {epochs: 5}", "training=TrainingSettings(epochs=5)"),
        ("interval", 8, "recording: {interval: 8}", "recording=RecordingSettings(interval=8)"),
        ("pruning_interval", 8, "pruning: {interval: 8}", "pruning=PruningSettings(interval=8)"),
        ("hidden", [12, 8], "network: {hidden: [12, 8]}", "network=NetworkSettings(hidden=[12, 8])"),
        ("flip", True, "data: {flip: true}", "data=DataSettings(flip=True)"),
        ("allocation", "erk", 'pruning: {allocation: "erk"}', "pruning=PruningSettings(allocation='erk')"),
    ],
)
def test_flat_settings_are_told_their_new_place(name: str, value: object, yaml: str, python: str) -> None:
    place = f"{yaml.partition(':')[0]}.{yaml.partition('{')[2].partition(':')[0]}"
    for build in (lambda: Settings(**{name: value}), lambda: Settings.from_dict({name: value})):
        with pytest.raises(InputError) as caught:
            build()
        assert str(caught.value) == f"{name} is now {place}: write {yaml} in YAML, {python} in Python"


def test_every_flat_setting_but_the_name_of_the_data_has_a_new_place() -> None:
    top = {"strategies", "sparsities", "compressions", "seeds", "axes"}
    for name, value in FLAT.items():
        if name in top | {"data"}:
            assert flat_config(Settings.from_dict({name: value}).as_dict())[name] == value
        else:
            with pytest.raises(InputError, match=rf"^{name} is now \w+\.\w+: write"):
                Settings.from_dict({name: value})


def test_values_are_read_as_their_setting_takes_them() -> None:
    read = Settings.from_dict(
        {"data": "mnist", "compressions": [0, "2e-1"], "training": {"learning_rate": "1e-3", "weight_decay": 1}}
    )
    assert read.data == DataSettings(name="mnist")
    assert read.compressions == (0.0, 0.2)
    assert [type(ratio) for ratio in read.compressions] == [float, float]
    assert (read.training.learning_rate, repr(read.training.weight_decay)) == (0.001, "1.0")
    assert Settings.from_dict({"axes": {"epochs": [1, 2], "flip": False}}).axes == ("epochs=1,2", "flip=False")


def test_a_section_is_checked_by_itself_too() -> None:
    with pytest.raises(InputError, match="epochs must be greater than 0, got 0"):
        TrainingSettings(epochs=0)
    with pytest.raises(InputError, match=r"unknown setting 'epoch': choose from epochs, .*did you mean 'epochs'"):
        TrainingSettings(epoch=1)  # type: ignore[call-arg]


def test_values_are_replaced_by_their_short_names() -> None:
    settings = Settings().with_values(epochs=3, pruning_interval=8, interval=5, seeds=[7])
    assert settings.pruning == PruningSettings(interval=8)
    assert (settings.training.epochs, settings.recording.interval, settings.seeds) == (3, 5, (7,))
    assert settings.with_values() == settings
    for name, hint in (("epoch", "; did you mean 'epochs'?"), ("training", "")):
        with pytest.raises(
            InputError, match=f"unknown setting '{name}': choose from data, image_size, .*probe_size{hint}"
        ):
            settings.with_values(**{name: 3})


unit = st.floats(0, 1, exclude_max=True)
positive = st.floats(1e-12, 1e12)
counts = st.integers(1, 2**31 - 1)
some_settings = st.builds(
    Settings,
    data=st.builds(DataSettings, name=st.text(), image_size=st.integers(0, 999), flip=st.booleans()),
    strategies=st.lists(st.sampled_from(["iterative", "random", "dense", "rigl"]), min_size=1, unique=True),
    sparsities=st.lists(unit, min_size=1, unique=True),
    compressions=st.lists(st.floats(0, 1), min_size=1, unique=True),
    seeds=st.lists(st.integers(0, 2**63), min_size=1, unique=True),
    axes=st.lists(st.text()),
    network=st.builds(
        NetworkSettings,
        hidden=st.lists(st.integers(1, 999)),
        setup=st.sampled_from(["", "48x3"]),
        mlp_ratio=st.floats(1e-12, 1000),
    ),
    training=st.builds(
        TrainingSettings,
        epochs=counts,
        learning_rate=positive,
        momentum=unit,
        optimizer=st.sampled_from(["adam", "sgd"]),
    ),
    probe=st.builds(ProbeSettings, every=st.integers(0, 2**31 - 1), size=counts),
)


@given(some_settings)
def test_settings_survive_dict_config_and_pickle(settings: Settings) -> None:
    for same in (
        Settings.from_dict(settings.as_dict()),
        settings_from_config(settings.as_dict()),
        settings_from_config(flat_config(settings.as_dict())),
        pickle.loads(pickle.dumps(settings)),
        copy.deepcopy(settings),
    ):
        assert same == settings
        assert hash(same) == hash(settings)


def test_a_flat_config_of_an_older_store_gives_the_same_settings() -> None:
    expected = {
        "data": {"name": "mnist", "image_size": 32, "resize": 28, "flip": True, "crop_padding": 2},
        "strategies": ["iterative", "gmp"],
        "sparsities": [0.5, 0.9],
        "compressions": [0.0],
        "seeds": [3],
        "axes": ["epochs=2,3"],
        "network": {
            "hidden": [12, 8],
            "setup": "",
            "patch": 4,
            "depth": 2,
            "mlp_ratio": 2.0,
            "merge_metric": "cosine",
            "proportional_attention": True,
        },
        "training": {
            "epochs": 2,
            "batch_size": 64,
            "optimizer": "sgd",
            "learning_rate": 0.1,
            "learning_rate_shape": "cosine",
            "momentum": 0.5,
            "weight_decay": 0.01,
            "precision": "bfloat16",
        },
        "pruning": {
            "interval": 9,
            "end": 0.75,
            "initial_sparsity": 0.25,
            "allocation": "erk",
            "allow_empty_layers": True,
        },
        "recording": {"interval": 7, "sample_every": 1, "evaluate_every": 2, "indicators": []},
        "probe": {"every": 3, "size": 33},
    }
    assert settings_from_config(FLAT).as_dict() == expected
    assert settings_from_config({**expected, "model": "mine.make"}) == settings_from_config(FLAT)
    assert flat_config(expected) == FLAT | {"indicators": [], "sample_every": 1}
    assert settings_from_config({"epochs": 2}) == Settings(training=TrainingSettings(epochs=2))


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.sampled_from(list(FLAT)) | scalars, v, max_size=3)
)


@given(st.dictionaries(st.sampled_from([*FLAT, *Settings().as_dict()]) | scalars, anything, max_size=4))
def test_whatever_a_file_holds_is_read_or_refused_in_one_line(values: dict[Any, Any]) -> None:
    short = {str(name): value for name, value in values.items()}
    for read in (lambda: Settings.from_dict(values), lambda: Settings().with_values(**short)):
        try:
            settings = read()
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert Settings.from_dict(settings.as_dict()) == settings


def test_settings_are_frozen_and_told_apart() -> None:
    settings = Settings()
    with pytest.raises(FrozenInstanceError):
        settings.training.epochs = 3  # type: ignore[misc]
    assert len({settings, Settings(), settings.with_values(epochs=60), settings.with_values(epochs=61)}) == 2


def test_settings_reach_a_process_of_its_own() -> None:
    settings = Settings().with_values(epochs=3, data="mnist")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(Settings.with_values, (settings,)) == settings
