"""Does any flag, any YAML file or any axis end in a traceback, and is every refusal one line?

Run ``python benchmarks/fuzz.py [CASES] [SEED] [STORE]`` (2000 cases, seed 0, the store of the tests). Commands run in
this process, `record` with ``--dry-run``. It prints how many ended with which code. A failure is a traceback, a message
of several lines, another exit code, a control character, more than a minute, or a file that a refused command left: it
is printed, and the exit code is 1.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burden_analysis.cli.main import main
from recorders.settings.settings import PLACES

STORE = Path(__file__).parents[1] / "tests" / "stores" / "digits-0.1.0.zip"
SECONDS = 60
CODES = (0, 1, 2)
NUMBERS = (
    *("0", "1", "2", "7", "-1", "0.5", "0.95", "1.0", "1e-3", "1e3", "-0.0", "1e308", "1e-320", "1e999", "nan", "inf"),
    *("-inf", "0x1f", "1_0", "٣", "4294967296", "18446744073709551616", "1" * 5000, "1/2", "1,5", "½", "²", "+3"),
)
WORDS = (
    *("", " ", "-", "--", "none", "true", "digits", "mnist", "iterative", "optimal", "random", "dense", "rigl", "erk"),
    *("adam", "cosine", "8x2", "9x2", "0x3", "x", "$HOME", "$x^$", "\\frac{", "%s", "<i>", "\x1b[31m", "\0", "\n"),
    *("\u202eabc", "\ud800", "日本", "z" * 4000, "=1+1", "@x", "~", ".", "..", "/", "/dev/null", "/dev/full", "a/b"),
)
SCALARS = (
    *("1", "-1", "1.5", ".nan", ".inf", "1e-3", "null", "true", "yes", "'3'", "x", "2001-02-03", "2001-99-99", "1:30"),
    *("0o7", "[]", "{}", "[1, 2]", "[[1]]", "{a: 1}", "&a 1", "*a", "&a [*a]", "!!binary aGk=", "!!set {a}", "!!int x"),
    *("!!timestamp x", "!!float ''", "!!python/name:os.system", "!!python/object/apply:os.getcwd []", "!x 1", "|", ">"),
    *("'", '"', "%", "@", "`", "? a", "- 1", "#", "\t1", "{", "]", "a: b: c", "9" * 5000, "digits", "[adam]"),
)
COMMON = ("--device", "cpu", "--offline")


@dataclass(frozen=True)
class Ending:
    """How a command ended: its code, what it printed, and a traceback or an empty text."""

    code: Any
    out: str
    err: str
    trace: str


def run(arguments: list[str]) -> Ending:
    """Run the command line in this process."""
    out, err, code, trace = io.StringIO(), io.StringIO(), None, ""
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as ended:
            code = ended.code or 0
        except BaseException:
            code, trace = "traceback", traceback.format_exc()
    return Ending(code, out.getvalue(), err.getvalue(), trace)


def cases(draw: random.Random, store: Path, count: int) -> Iterator[list[str]]:
    """Draw commands; files of settings are written into the current folder."""
    makers = (*[_flags] * 4, *[_yaml] * 3, *[_axes] * 3)
    for _ in range(count):
        yield draw.choice(makers)(draw, store)


def fault(ending: Ending, left: list[str], arguments: list[str]) -> str:
    """Say what is wrong with how a command ended; empty where nothing is."""
    if ending.trace:
        return ending.trace.strip().splitlines()[-1]
    if ending.code not in CODES:
        return f"exit code {ending.code}"
    lines = ending.err.splitlines()
    if ending.code and (len(lines) != 1 or not lines[0].startswith("burden: ")):
        return f"{len(lines)} lines of messages" if arguments else ""
    if any(ord(mark) < 32 and mark not in "\n\t" for mark in ending.out + ending.err):
        return "control characters"
    return f"left {left}" if ending.code and left else ""


def fuzz(count: int, seed: int, store: Path = STORE) -> tuple[Counter[str], list[str]]:
    """Run so many random commands: how they ended, and what was wrong."""
    draw, endings, faults = random.Random(seed), Counter[str](), []
    with tempfile.TemporaryDirectory() as folder, chdir(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for arguments in cases(draw, store.resolve(), count):
            before = set(Path().iterdir())
            ending = _timed(arguments)
            left = sorted(set(Path().iterdir()) - before)
            wrong = fault(ending, list(map(str, left)), arguments)
            endings[f"{arguments[0] if arguments else 'nothing'} {ending.code}"] += 1
            if wrong:
                faults.append(f"{[word[:80] for word in arguments]}: {wrong}")
            for path in [*left, *Path().glob("*.yaml")]:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return endings, faults


def _timed(arguments: list[str]) -> Ending:
    def late(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        return run(arguments)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _value(draw: random.Random) -> str:
    return draw.choice(NUMBERS if draw.random() < 0.5 else WORDS)


def _flags(draw: random.Random, store: Path) -> list[str]:
    """Name any command with any of its flags, in any state."""
    name = draw.choice(["record"] * 4 + ["show", "compare", "compare", "claims", "power", "figure", "nothing", ""])
    if name == "record":
        return [*_record(draw), *_some(draw, (*PLACES, "data_root", "workers", "stacked", "preset", "config", "out"))]
    own = {
        "compare": ("indicator", "by", "order", "window", "json", "published"),
        "claims": ("json", "published"),
        "power": ("indicator", "seeds", "effect", "sd", "json"),
        "figure": ("out", "order"),
    }
    places = [str(store)] * 6 + ["missing", "/dev/null", ".", "", "z" * 300, "\0", "s3://x", "zip://x", "a\nb"]
    return [name, *([draw.choice(places)] if draw.random() < 0.9 else []), *_some(draw, own.get(name, ()))]


def _some(draw: random.Random, names: tuple[str, ...]) -> list[str]:
    flags = []
    for name in draw.sample(names, min(len(names), draw.choice((0, 1, 1, 2, 3)))):
        values = [] if name in ("json", "published") else [_value(draw) for _ in range(draw.choice((0, 1, 1, 1, 2)))]
        flag = f"--{name.replace('_', '-')}"
        flags += [f"{flag}={values[0]}"] if values and draw.random() < 0.2 else [flag, *values]
    return flags


def _record(draw: random.Random) -> list[str]:
    return ["record", draw.choice(("fig2", "fig2", "tables", "x")), "--dry-run", *COMMON]


def _yaml(draw: random.Random, _: Path) -> list[str]:
    """Name a study and a file of settings."""
    lines = []
    for _ in range(draw.choice((0, 1, 1, 2, 4))):
        place = draw.choice([*PLACES.values(), ("training",), ("axes",), ("nothing",), ("data", "x"), ("",)])
        text = draw.choice(SCALARS) if draw.random() < 0.8 else _value(draw)
        lines.append(f"{place[0]}: {text}" if len(place) == 1 else f"{place[0]}: {{{place[1]}: {text}}}")
    text = "\n".join(lines)
    if draw.random() < 0.2:
        bomb = "\n".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
        odd = (f"a: &a [1]\n{bomb}", "[" * 3000, "{a: " * 3000, "x" * 200_000, f"\t{text}", f"{text}\0", "- 1")
        text = draw.choice(odd)
    path = Path("settings.yaml")
    path.write_bytes(text.encode(errors="surrogatepass") if draw.random() < 0.95 else draw.randbytes(100))
    return [*_record(draw), "--config", str(path)]


def _axes(draw: random.Random, _: Path) -> list[str]:
    """Name a study and its axes."""
    axes = []
    for _ in range(draw.choice((1, 1, 2))):
        name = draw.choice([*PLACES, "", "x", "a=b"])
        values = [
            draw.choice(SCALARS) if draw.random() < 0.6 else _value(draw) for _ in range(draw.choice((0, 1, 2, 3)))
        ]
        axes.append(name + draw.choice(("=", "=", "=", "", "==")) + ",".join(values))
    return [*_record(draw), "--axes", *axes]


if __name__ == "__main__":
    words = sys.argv[1:]
    cases_, seed_ = (int(words[k]) if words[k:] else default for k, default in enumerate((2000, 0)))
    found, wrong = fuzz(cases_, seed_, Path(words[2]) if words[2:] else STORE)
    for line in wrong:
        print(line, flush=True)
    print(f"{cases_} cases, seed {seed_}, {len(wrong)} failures, {os.cpu_count()} cores")
    for ended, times in sorted(found.items()):
        print(f"{ended}: {times}")
    sys.exit(1 if wrong else 0)
