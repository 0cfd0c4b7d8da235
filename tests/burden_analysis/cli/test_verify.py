from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from burden_analysis.cli.main import main
from recorders.store.root import recording_names
from recorders.upkeep.repair import repair_store

Burden = Callable[..., tuple[int, str, str]]


@pytest.fixture
def burden(capsys: pytest.CaptureFixture[str]) -> Burden:
    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err  # type: ignore[return-value]

    return run


@pytest.fixture
def store(tmp_path: Path, recorded_store: Path) -> Path:
    """A finished study that has its manifest."""
    shutil.unpack_archive(recorded_store, tmp_path)
    store = min((path.parent for path in tmp_path.rglob("zarr.json")), key=lambda path: len(path.parts))
    for name in recording_names(store)[1:]:
        shutil.rmtree(store / name)
    list(repair_store(store))
    return store


def test_a_whole_store_is_said_to_be(burden: Burden, store: Path) -> None:
    assert burden("verify", store) == (0, "everything is as it was written\n", "")


@pytest.mark.filterwarnings("always::burden_analysis.study.damage.DamageWarning")
def test_every_finding_is_a_line_with_file_and_remedy_and_repair_mends_it(burden: Burden, store: Path) -> None:
    [name] = recording_names(store)
    lost = store / name / "loss" / "c" / "0" / "0"
    lost.write_bytes(b"")
    (store / ".x.tmp").mkdir()
    code, out, err = burden("verify", store)
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        f"{store / '.x.tmp'}: was left behind by a process that was killed; --repair removes it",
        f"{lost}: is not what was written; restore it from a copy, or --repair and record again the runs that it marks",
        "2 findings",
    ]
    code, out, err = burden("compare", store, "--indicator", "gradient_norm")
    assert code == 0
    assert err == f"burden: left out: {name}/loss of all runs; {lost} is not what was written\n"
    code, out, err = burden("verify", store, "--repair")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{store / '.x.tmp'}: removed"
    assert lines[1].startswith(f"{lost}: is not what was written; run ")
    assert lines[1].endswith(" is marked to be recorded again")
    assert lines[-1] == "everything is as it was written"
    assert "(failed, damaged: " in burden("show", store)[1]


@pytest.mark.parametrize(
    ("place", "what"),
    [
        ("nowhere", "does not exist; verify takes the folder of a study store"),
        ("file", "is no folder: unpack it; verify takes the folder of a study store"),
        ("empty", "is not a study store: give the path of one"),
    ],
)
def test_what_is_no_store_is_refused(burden: Burden, tmp_path: Path, place: str, what: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    assert burden("verify", tmp_path / place) == (2, "", f"burden: {tmp_path / place} {what}\n")
