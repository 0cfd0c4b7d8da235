from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from recorders.store.provenance import _git, _processor
from recorders.store.provenance import provenance as about
from reports.tables.provenance import provenance as tables

CPUINFO = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 1
model name\t: AMD EPYC
stepping\t: 1

processor\t: 1
cpu family\t: 99
model name\t: another
"""


def test_git_is_that_of_the_package_wherever_one_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        done = subprocess.run(["git", *who, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    for name in ("ours", "site-packages"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    git("init", "-q")
    git("add", "ours")
    git("commit", "-q", "-m", "a package")
    (tmp_path / ".gitignore").write_text("site-packages\n")
    git("add", ".gitignore")
    monkeypatch.chdir("/")
    assert _git(tmp_path / "ours") == {"commit": git("rev-parse", "HEAD"), "dirty": True}
    monkeypatch.chdir(tmp_path)
    assert _git(tmp_path / "site-packages") is None  # a wheel inside somebody's repository
    assert about()["git"] == _git()
    assert (_git() or {}).get("commit") != git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (CPUINFO, "AMD EPYC (cpu family 25, model 1, stepping 1)"),
        ("processor\t: 0\nmodel name\t: Cortex-A72\n", "Cortex-A72"),
    ],
)
def test_a_processor_is_told_from_others_of_its_name(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert _processor(tmp_path / "cpuinfo") == name


@pytest.mark.parametrize("text", ["processor\t: 0\nBogoMIPS\t: 50.00\n", None])
def test_a_processor_without_a_name_is_named_by_its_kind(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert _processor(tmp_path / "cpuinfo") != ""


def test_arithmetic_is_what_torch_computes_with() -> None:
    found = about(threads=3)["arithmetic"]
    assert found["torch"] == torch.__version__
    assert found["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert found["threads"] == 3
    assert ("mkl" in found) == torch.backends.mkl.is_available()
    assert ("onednn" in found) == torch.backends.mkldnn.is_available()
    assert ("cudnn" in found) == torch.cuda.is_available()
    assert about()["arithmetic"]["threads"] == torch.get_num_threads()
    assert "/" not in json.dumps(found)


def test_arithmetic_names_kernels_that_were_asked_for() -> None:
    script = "from recorders.store.provenance import provenance as p; import json; print(json.dumps(p()['arithmetic']))"
    asked = os.environ | {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"}
    done = subprocess.run([sys.executable, "-c", script], env=asked, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert not found["cpu_capability"].startswith("AVX")
    assert (found["ATEN_CPU_CAPABILITY"], found["MKL_CBWR"]) == ("default", "COMPATIBLE")


def test_a_report_shows_arithmetic_line_by_line() -> None:
    shown = dict(next(tables({"fig2": {"provenance": about(threads=1)}})).rows)
    assert shown["arithmetic.threads"] == "1"
    assert shown["arithmetic.torch"] == torch.__version__
    assert all(isinstance(value, str) for value in shown.values())
