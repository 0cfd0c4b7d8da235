"""How the three packages are laid out: what they export, from where, and what importing them costs."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import burden_analysis
import recorders
import reports

ROOTS = [Path(package.__file__).parent for package in (burden_analysis, recorders, reports)]
LAZY = sorted(stub.parent for root in ROOTS for stub in root.rglob("__init__.pyi"))


def dotted(folder: Path) -> str:
    [root] = [root for root in ROOTS if folder.is_relative_to(root)]
    return ".".join(folder.relative_to(root.parent).parts)


def homes(folder: Path) -> dict[str, str]:
    """Return the module that each name in the stub of a package comes from, by name."""
    tree = ast.parse((folder / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert all(node.level == 1 for node in imports)
    return {alias.asname or alias.name: f"{dotted(folder)}.{node.module}" for node in imports for alias in node.names}


NAMES_FIRST = """
found = {name: getattr(package, name) for name in homes}
"""
MODULES_FIRST = """
for module in sorted(set(homes.values())):
    importlib.import_module(module)
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
found = {name: getattr(package, name) for name in homes}
"""
EXPORTS = """
import importlib, json, pkgutil, sys
from types import ModuleType

package, homes = importlib.import_module(sys.argv[1]), json.loads(sys.argv[2])
{order}
wrong = []
for name, home in homes.items():
    there = getattr(importlib.import_module(home), name)
    if not (found[name] is there is getattr(package, name)):
        wrong.append(name + " is not that of " + home)
    value = found[name]
    a_type = isinstance(value, type) or hasattr(value, "__origin__")  # an alias such as dict[str, int]
    there_is = "class" if a_type else "function" if callable(value) else "constant"
    there_is = "module" if isinstance(value, ModuleType) else there_is
    named = "constant" if name.isupper() else "class" if name[0].isupper() else "function"
    if there_is != named:
        wrong.append(name + " is a " + there_is)
print(json.dumps(wrong))
"""


@pytest.mark.parametrize("order", [NAMES_FIRST, MODULES_FIRST], ids=["names first", "modules first"])
@pytest.mark.parametrize("folder", LAZY, ids=map(dotted, LAZY))
def test_exported_names_are_those_of_their_modules_whatever_is_imported_first(folder: Path, order: str) -> None:
    """A module of the same name, once imported, would hide a function: `from package import name` gave the module."""
    script = EXPORTS.format(order=order)
    command = [sys.executable, "-c", script, dotted(folder), json.dumps(homes(folder))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("folder", LAZY, ids=map(dotted, LAZY))
def test_stubs_list_what_they_import_and_packages_what_their_stubs_list(folder: Path) -> None:
    tree = ast.parse((folder / "__init__.pyi").read_text(encoding="utf-8"))
    [listed] = [ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign)]
    package = importlib.import_module(dotted(folder))
    assert sorted(listed) == sorted(homes(folder)) == sorted(package.__all__) == sorted(dir(package))
    with pytest.raises(AttributeError, match="nothing"):
        package.nothing  # noqa: B018


def modules(folder: Path) -> list[str]:
    """Names of the modules and packages in a folder: neither `__init__`, stubs nor package data."""
    files = [path.stem for path in folder.glob("*.py") if path.name != "__init__.py"]
    return files + [path.name for path in folder.iterdir() if (path / "__init__.py").exists()]


FOLDERS = [path.parent for root in ROOTS for path in sorted(root.rglob("__init__.py"))]


@pytest.mark.parametrize("folder", FOLDERS, ids=map(dotted, FOLDERS))
def test_a_folder_has_no_more_than_fourteen_entries(folder: Path) -> None:
    assert 1 <= len(modules(folder)) <= 14, sorted(modules(folder))


def words(name: str) -> list[str]:
    """Split at dots and underscores and where a capital begins a word; all in small letters."""
    return [word.casefold() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)]


def share_a_word(name: str, module: str) -> bool:
    """Whether two words are the same or begin with the same four letters (a stem); folders of the module count."""
    inside = module.partition(".")[2]
    return any(a == b or (len(a) >= 4 and a[:4] == b[:4]) for a in words(name) for b in words(inside))


# Names whose module says what they are about in other words.
OTHER_WORDS = {
    "recorders": {"VisionTransformer"},  # vit
    "recorders.methods": {"Layers", "Shapes", "Training", "STATIC", "active_count"},  # what methods are given
    "recorders.settings": {"STUDIES"},  # presets
    "burden_analysis": {
        *("detectable_effect", "seeds_needed"),  # power
        "published_tables",
    },
    "reports": {"to_csv", "to_latex", "to_markdown"},  # a table
}


@pytest.mark.parametrize("folder", LAZY, ids=map(dotted, LAZY))
def test_a_public_name_shares_a_word_with_where_it_lies(folder: Path) -> None:
    strangers = {name for name, module in homes(folder).items() if not share_a_word(name, module)}
    assert strangers == OTHER_WORDS.get(dotted(folder), set())


@pytest.mark.parametrize(
    ("name", "module", "shared"),
    [
        ("TokenMerge", "recorders.networks.token_merge", True),
        ("check_claims", "burden_analysis.claims.check", True),
        ("published_tables", "burden_analysis.compression.accuracies", False),
        ("MLPNetwork", "recorders.mlp", True),
        ("recorders_own", "recorders.store.disk", False),  # every module lies in its package
        ("set_up", "recorders.setting", False),
    ],
)
def test_what_counts_as_a_shared_word(name: str, module: str, shared: bool) -> None:
    assert share_a_word(name, module) is shared


def imported_by(statement: str, heavy: set[str]) -> list[str]:
    script = f"import sys; {statement}; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_reports_is_cheap() -> None:
    assert imported_by("import reports", {"matplotlib", "pandas", "xarray", "jinja2", "torch", "scipy"}) == []


def test_importing_burden_analysis_is_cheap() -> None:
    assert imported_by("import burden_analysis", {"scipy", "statsmodels", "torch", "xarray", "pandas"}) == []


def test_comparing_and_showing_never_import_torch() -> None:
    assert imported_by("from burden_analysis import compare_strategies", {"torch"}) == []
    assert imported_by("from reports import figure2, write_report", {"torch"}) == []
