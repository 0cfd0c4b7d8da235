"""Where the numbers come from: versions, code, hardware, arithmetic, data and times."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

_PACKAGES = ("burden-analysis", "torch", "torchvision", "numpy", "xarray", "zarr", "scipy", "scikit-learn")
# As torch says what it was built with. Whichever of these differ, the last bits of a product may differ.
_LIBRARIES = {
    "blas": r"BLAS_INFO=(\w+)",
    "mkl": r"Math Kernel Library Version ([\d.]+)",
    "onednn": r"MKL-DNN v([\d.]+)",
}
_OVERRIDES = ("ATEN_CPU_CAPABILITY", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA")


def provenance(*, threads: int | None = None, **extra: Any) -> dict[str, Any]:
    """Describe this process's surroundings."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | {p: v for p in _PACKAGES if (v := _version(p))},
        "git": _git(),
        "hardware": {
            "platform": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
        "arithmetic": _arithmetic(threads or torch.get_num_threads()),
        **extra,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(package: Path = Path(__file__).parent) -> dict[str, Any] | None:
    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(package), *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # a wheel may lie in a folder of somebody's repository
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Name the processor, with the numbers that tell the models of one name apart."""
    if cpuinfo.exists():
        pairs = (line.partition(":") for line in cpuinfo.read_text().split("\n\n")[0].splitlines())
        first = {key.strip(): value.strip() for key, _, value in pairs}
        numbers = ", ".join(f"{key} {first[key]}" for key in ("cpu family", "model", "stepping") if key in first)
        if name := first.get("model name"):
            return f"{name} ({numbers})" if numbers else name
    return platform.processor() or platform.machine()


def _arithmetic(threads: int) -> dict[str, Any]:
    """Name what chooses kernels: torch's build, the instructions it uses here, its libraries, threads, precision."""
    built = torch.__config__.show()
    found = {name: re.search(pattern, built) for name, pattern in _LIBRARIES.items()}
    gpu = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()} if torch.cuda.is_available() else {}
    return {
        "torch": torch.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        **{name: match[1] for name, match in found.items() if match},
        **gpu,
        "threads": threads,
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        **{name: os.environ[name] for name in _OVERRIDES if name in os.environ},
    }
