"""Simulated error rates: what the slow tests of the statistics report as properties."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

TESTS = Path(__file__).parents[2] / "tests" / "burden_analysis" / "statistics" / "test_error_rates.py"


def simulated(_: Path) -> dict[str, Any]:
    """Run the tests; rates in per cent by the name of the property, ``usable`` mixed models counted."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "rates.xml"
        command = [sys.executable, "-m", "pytest", "-q", str(TESTS), "-o", "junit_family=xunit1", f"--junitxml={found}"]
        subprocess.run(command, check=True, cwd=TESTS.parents[3], stdout=subprocess.DEVNULL)
        properties = ElementTree.parse(found).iter("property")
    values: dict[str, Any] = {}
    for item in properties:
        name, _, usable = item.attrib["name"].partition(" (")
        values[name] = 100 * float(item.attrib["value"])
        if usable:
            values[f"usable, n = {name.rpartition(' ')[2]}"] = int(re.match(r"\d+", usable)[0])  # type: ignore[index]
    return values
