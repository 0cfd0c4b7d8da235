from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import zarr

from burden_analysis import open_study
from recorders.contract import InputError, flat_config
from recorders.settings.settings import Settings
from recorders.settings.unstarted import unstarted
from recorders.store.documents import attributes_of, write_group
from recorders.study.kept import axes_there
from recorders.study.record import record_study
from recorders.study.resources import Resources

HERE = Resources(torch.device("cpu"), workers=1, stacked=True)
SETTINGS = Settings().with_values(strategies=("dense",), seeds=(0,), epochs=1, hidden=(8,), probe_every=0)


def configs(store: Path) -> dict[str, dict[str, object]]:
    groups = zarr.open_group(store, mode="r", use_consolidated=False).groups()
    return {name: json.loads(str(group.attrs["config"])) for name, group in groups}


def make_older(store: Path) -> None:
    """Bring a store into the form it had before settings had sections; one of them did not exist yet."""
    for name, config in configs(store).items():
        older = flat_config(config)
        del older["crop_padding"]
        write_group(store / name, attributes_of(store / name) | {"config": json.dumps(older)})


def test_a_new_recording_keeps_its_settings_in_sections(tmp_path: Path) -> None:
    record_study(SETTINGS, tmp_path / "s.zarr", using=HERE)
    assert configs(tmp_path / "s.zarr") == {"study": SETTINGS.as_dict()}
    assert open_study(tmp_path / "s.zarr").attrs["recordings"]["study"]["config"] == flat_config(SETTINGS.as_dict())


def test_an_older_store_is_completed(tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    whole = SETTINGS.with_values(axes=("batch_size=64,128",))
    assert len(record_study(whole, store, using=HERE)) == 2
    before = open_study(store).attrs["recordings"]
    make_older(store)
    assert axes_there(store) == {"batch_size"}
    assert record_study(whole, store, using=HERE) == []
    assert [o.run.seed for o in record_study(SETTINGS.with_values(seeds=(0, 1)), store, using=HERE)] == [1]
    assert len(record_study(SETTINGS.with_values(batch_size=256), store, using=HERE)) == 1
    with pytest.raises(InputError, match=r"with other settings \(.*epochs 1 there, 2 asked\): choose another --out"):
        record_study(SETTINGS.with_values(batch_size=64, epochs=2), store, using=HERE)
    with open_study(store) as dataset:
        assert sorted(zip(dataset["batch_size"].values, dataset["seed"].values, strict=True)) == [
            (64, 0),
            (128, 0),
            (128, 1),
            (256, 0),
        ]
        after = dataset.attrs["recordings"]
        assert unstarted(dataset) == []
    for name, parts in before.items():
        assert after[name]["config"] == {k: v for k, v in parts["config"].items() if k != "crop_padding"}
