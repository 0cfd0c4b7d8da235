from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from burden_analysis.cli.main import main
from tests.burden_analysis.synthetic import grid, levels, write_recording

Burden = Callable[..., tuple[int, str, str]]
RANK = {"iterative": 1.0, "optimal": 2.0, "random": 3.0}


@pytest.fixture
def burden(capsys: pytest.CaptureFixture[str]) -> Burden:
    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture
def store(tmp_path: Path) -> Path:
    runs = grid(4)
    made = levels(runs, lambda r: RANK[r["strategy"]] * (1 + 0.1 * r["seed"]))["gradient_mean_abs"]
    write_recording(tmp_path / "study.zarr", runs, values={"gradient_mean_abs": made, "gradient_mean_abs_mean": made})
    return tmp_path / "study.zarr"


def test_claims_of_a_study(burden: Burden, store: Path) -> None:
    code, out, _ = burden("claims", store)
    assert code == 0
    first, second, third = out.strip().split("\n\n")
    assert first.startswith("C1 (gradient magnitude is ordered iterative < optimal < random) is supported")
    assert second.startswith("C2 (")
    assert "is not judged" in third
    code, out, _ = burden("claims", store, "--json")
    assert (code, list(json.loads(out))) == (0, ["C1", "C2", "C3"])


def test_published_claims_need_no_store(burden: Burden) -> None:
    code, out, _ = burden("claims", "--published")
    assert code == 0
    assert "C3 (compressing the input makes highly sparse networks more accurate) is not supported" in out
    assert out.count("is not judged: no study was given") == 2
    code, _, err = burden("claims")
    assert (code, "needs a STORE, or --published" in err, len(err.splitlines())) == (2, True, 1)


def test_power_of_a_study_of_seeds_and_of_an_effect(burden: Burden, store: Path) -> None:
    code, out, _ = burden("power", store, "--effect", "1.3", "--seeds", "3", "--json")
    assert code == 0
    content = json.loads(out, parse_constant=lambda text: pytest.fail(text))
    assert list(content) == ["detectable_effects", "seeds_allow", "seeds_needed"]
    assert content["seeds_allow"][2]["attainable_p"] == 0.25
    assert burden("power", "--seeds", "10000")[0] == 0
    code, out, _ = burden("power", "--effect", "1.2", "--sd", "0.05")
    assert (code, "two neighbours differ" in out) == (0, True)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ((), "needs a STORE, --seeds N, or --effect"),
        (("--effect", "1.2"), "--effect needs --sd"),
        (("--effect", "1.0", "--sd", "0.1"), "needs more than"),
        (("--seeds", "0"), "0 seeds"),
        (("--seeds", "-3"), "-3 seeds"),
        (("--seeds", "10001"), "give at most 10,000"),
        (("--seeds", "9" * 23), "give at most 10,000"),
        (("--seeds", "9" * 400), "give at most 10,000"),
        (("--effect", "inf", "--sd", "0.1"), "no finite effect"),
        (("--effect", "nan", "--sd", "0.1"), "no ratio"),
        (("--effect", "1.2", "--sd", "1e-320"), "no finite effect"),
        (("nowhere.zarr",), "does not exist"),
    ],
)
def test_power_that_asks_for_nothing(burden: Burden, flags: tuple[str, ...], says: str) -> None:
    code, _, err = burden("power", *flags)
    assert (code, len(err.splitlines())) == (2, 1)
    assert says in err
