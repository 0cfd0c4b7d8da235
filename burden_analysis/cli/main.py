"""The command line: the only place that knows recorders, analysis and reports; it imports them inside commands."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from burden_analysis.cli.arguments import (
    COMMANDS,
    Claims,
    Compare,
    Figure,
    Pack,
    Power,
    Record,
    Report,
    Reproduce,
    Show,
    Verify,
)
from burden_analysis.cli.claims import claims
from burden_analysis.cli.compare import compare
from burden_analysis.cli.pack import pack
from burden_analysis.cli.power import power
from burden_analysis.cli.record import record, reproduce
from burden_analysis.cli.report import figure, report
from burden_analysis.cli.show import show
from burden_analysis.cli.verify import verify
from recorders.contract import BurdenError, InputError, one_line, shortened, unknown_name
from recorders.store.signals import STOPPED, Terminated, listening

_WRONG_PATH = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    with listening():
        _main(list(sys.argv[1:] if arguments is None else arguments))


def _main(arguments: list[str]) -> None:
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda remark, *_, **__: _complain(str(remark))
            code = _dispatch(arguments)
        sys.stdout.flush()  # so that a closed pipe shows here
        sys.exit(code)
    except Terminated:
        sys.stderr.write(f"burden: {STOPPED}; rerun the same command to go on\n")
        raise
    except BurdenError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        where = f" ({shortened(error.filename)})" if error.filename else ""
        _complain(f"{error.strerror or error}{where}")
        _drop_unwritten()
        sys.exit(2 if error.errno in _WRONG_PATH else 1)
    except MemoryError as error:
        _complain(f"out of memory ({error})" if str(error) else "out of memory")
        sys.exit(1)
    except KeyboardInterrupt:
        _complain("interrupted; rerun the same command to go on")
        sys.exit(130)


def _complain(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody is left to be told
        sys.stderr.write(f"burden: {one_line(text)}\n")
        sys.stderr.flush()


def _drop_unwritten() -> None:
    """Forget what standard output does not take, or Python tries again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(_overview())
        return 0 if arguments else 2
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        raise unknown_name("command", name, COMMANDS)
    kind = COMMANDS[name]
    asked = _parse(kind, rest, f"burden {name}")
    actions: dict[type, Callable[[Any, str], int]] = {
        Reproduce: reproduce,
        Record: record,
        Pack: pack,
        Show: show,
        Verify: verify,
        Compare: compare,
        Claims: claims,
        Power: power,
        Figure: figure,
        Report: report,
    }
    return actions[kind](asked, shlex.join(["burden", *arguments]))


def _parse(kind: type, arguments: list[str], program: str) -> Any:
    """Parse with tyro, whose framed error messages become one line."""
    framed = io.StringIO()
    try:
        with contextlib.redirect_stderr(framed):
            return tyro.cli(kind, args=arguments, prog=program)
    except SystemExit as ended:
        if not ended.code:
            raise
        words = framed.getvalue().translate(dict.fromkeys(map(ord, "╭╮╰╯│─"), " ")).split()
        message = " ".join(words).partition("For full helptext")[0].strip()
        raise InputError(f"{message} (see {program} --help)") from None


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {kind.__doc__}" for name, kind in COMMANDS.items()]
    return "\n".join(
        [
            "usage: burden COMMAND [OPTIONS]   (burden COMMAND --help for its options)",
            "",
            "Measure what sparsity does to a network while it trains.",
            "",
            *lines,
            "",
            "Exit code 0: done; 1: a run failed or diverged; 2: wrong input; 130, 143: stopped by Ctrl-C or SIGTERM.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
