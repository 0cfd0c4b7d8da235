"""Where the numbers come from: versions, code, hardware, data and times."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

_PACKAGES = ("burden-analysis", "torch", "torchvision", "numpy", "xarray", "zarr", "scipy", "scikit-learn")


def provenance(**extra: Any) -> dict[str, Any]:
    """Describe this process's surroundings.

    Parameters
    ----------
    **extra
        More entries, JSON-able: ``data``, ``command``.

    Returns
    -------
    dict
        ``created`` (UTC, ISO 8601), ``versions``, ``git`` (commit of this package's own repository, and whether its
        tree was dirty; None where the package was installed without one), ``hardware`` and `extra`.
    """
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


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
