"""The command line: the only place that knows recorders, analysis and reports; it imports them inside commands."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from burden_analysis.arguments import (
    COMMANDS,
    STORE,
    Claims,
    Compare,
    Figure,
    Machine,
    Power,
    Record,
    Report,
    Reproduce,
    Show,
)
from burden_analysis.claims_command import claims
from burden_analysis.compare_command import compare
from burden_analysis.dry_run import dry_run
from burden_analysis.power_command import power
from burden_analysis.report_command import figure, report, write_all
from recorders.contract import BurdenError, InputError, Status, unknown_name
from recorders.grid import blocks, without_axes
from recorders.presets import STUDIES, preset
from recorders.settings import Settings, merges

if TYPE_CHECKING:
    from recorders.worker import Outcome


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()  # so that a closed pipe shows here
        sys.exit(code)
    except BurdenError as error:
        sys.stderr.write(f"burden: {' '.join(str(error).split())}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.stderr.write("burden: interrupted; rerun the same command to go on\n")
        sys.exit(130)


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(_overview())
        return 0 if arguments else 2
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        raise unknown_name("command", name, COMMANDS)
    kind = COMMANDS[name]
    default: Any = kind(tyro.MISSING, _defaults(rest), Machine()) if kind in (Record, Reproduce) else None
    asked = _parse(kind, rest, f"burden {name}", default)
    actions: dict[type, Callable[[Any, str], int]] = {
        Reproduce: _reproduce,
        Record: _record,
        Show: _show,
        Compare: compare,
        Claims: claims,
        Power: power,
        Figure: figure,
        Report: report,
    }
    return actions[kind](asked, shlex.join(["burden", *arguments]))


def _parse(kind: type, arguments: list[str], program: str, default: Any) -> Any:
    """Parse with tyro, whose framed error messages become one line."""
    framed = io.StringIO()
    try:
        with contextlib.redirect_stderr(framed):
            return tyro.cli(kind, args=arguments, prog=program, default=default)
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
            "Exit code 0: done; 1: a run failed or diverged; 2: wrong input.",
            "",
        ]
    )


def _defaults(arguments: Sequence[str]) -> Settings:
    """Resolve preset and YAML before flags: which preset applies depends on the flags --data and --config."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--data")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--preset")
    try:
        known, _ = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise InputError(str(error)) from error
    study = next((a for a in arguments if a in STUDIES), None)
    if study is None:
        named = [a for a in arguments[:1] if not a.startswith("-")]
        study = named[0] if named else STUDIES[0]
    # A value given on the command line counts for the whole study: its axis of the preset is gone.
    given = [a.removeprefix("--").partition("=")[0].replace("-", "_") for a in arguments if a.startswith("--")]
    return without_axes(preset(study, known.data, known.config, known.preset), given)


def _record(asked: Record, command: str) -> int:
    if asked.dry_run:
        return dry_run(asked)
    outcomes = _train(asked.study, asked.settings, asked.machine, asked.out, command)
    sys.stdout.write(f"recorded into {asked.out}\n")
    return _exit_code(outcomes)


def _reproduce(asked: Reproduce, command: str) -> int:
    store = asked.out / STORE
    if asked.out.exists() and not store.exists() and (not asked.out.is_dir() or any(asked.out.iterdir())):
        raise InputError(f"{asked.out} exists and is no unfinished study of ours: choose another --out")
    outcomes = _train(asked.study, asked.settings, asked.machine, store, command)
    page = write_all(store, asked.out, command)
    sys.stdout.write(f"wrote {page}\n")
    return _exit_code(outcomes)


def _train(study: str, settings: Settings, machine: Machine, store: Path, command: str) -> list[Outcome]:
    from recorders.progress import Progress
    from recorders.resources import resources
    from recorders.study import record_study

    stacked = {"yes": True, "no": False}.get(machine.stacked)
    return record_study(
        settings,
        store,
        name=study,
        data_root=machine.root,
        offline=machine.offline,
        using=resources(machine.device, machine.workers, stacked, merged=any(map(merges, blocks(settings)))),
        command=command,
        progress=Progress(),
    )


def _exit_code(outcomes: Sequence[Outcome]) -> int:
    bad = [o for o in outcomes if o.reason]
    for outcome in bad:
        sys.stderr.write(f"burden: run {outcome.run.run_id} {outcome.status}: {outcome.reason}\n")
    return 1 if bad else 0


def _show(asked: Show, _: str) -> int:
    from burden_analysis import open_study
    from burden_analysis.unstarted import unstarted

    dataset = open_study(asked.store)
    several = len(dataset.attrs["recordings"]) > 1  # then a run's name is unique in its recording only
    named = ["recording", "run_id"] if several else ["run_id"]
    columns = [*named, "strategy", "sparsity", "seed", "status", "records_written", "status_reason"]
    table = dataset[columns].reset_coords()[columns].to_dataframe().rename_axis(None)
    missing = table[[not Status(status).finished for status in table["status"]]]
    sys.stdout.write(table.to_string(index=False) + "\n")
    sys.stdout.write(f"{len(table) - len(missing)} of {len(table)} runs finished\n")
    for run in missing.to_dict("records"):
        reason = f", {run['status_reason']}" if run["status_reason"] else ""
        sys.stdout.write(f"missing: {'/'.join(run[name] for name in named)} ({run['status']}{reason})\n")
    for part in unstarted(dataset):
        sys.stdout.write(f"missing: every run of {part} (not begun)\n")
    return 0


if __name__ == "__main__":
    main()
