"""The command line: the only place that knows recorders, analysis and reports; it imports them inside commands."""

from __future__ import annotations

import argparse
import contextlib
import io
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from burden_analysis.arguments import (
    COMMANDS,
    INDICATORS,
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
from burden_analysis.compare_command import claimed_order, compare
from burden_analysis.dry_run import dry_run
from burden_analysis.power_command import power
from recorders.contract import BurdenError, InputError, unknown_name
from recorders.grid import without_axes
from recorders.presets import STUDIES, preset
from recorders.settings import Settings

if TYPE_CHECKING:
    import xarray as xr

    from burden_analysis.result import Comparison
    from recorders.worker import Outcome


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.exit(_dispatch(arguments))
    except BurdenError as error:
        sys.stderr.write(f"burden: {' '.join(str(error).split())}\n")
        sys.exit(error.exit_code)
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
        Figure: _figure,
        Report: _report,
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
    page = _write_all(store, asked.out, command)
    sys.stdout.write(f"wrote {page}\n")
    return _exit_code(outcomes)


def _train(study: str, settings: Settings, machine: Machine, store: Path, command: str) -> list[Outcome]:
    from recorders.progress import Progress
    from recorders.resources import resources
    from recorders.study import record_study

    return record_study(
        settings,
        store,
        name=study,
        data_root=machine.root,
        offline=machine.offline,
        using=resources(machine.device, machine.workers, {"yes": True, "no": False}.get(machine.stacked)),
        command=command,
        progress=Progress(),
    )


def _exit_code(outcomes: Sequence[Outcome]) -> int:
    bad = [o for o in outcomes if o.reason]
    for outcome in bad:
        sys.stderr.write(f"burden: run {outcome.run.run_id} {outcome.status}: {outcome.reason}\n")
    return 1 if bad else 0


def _show(asked: Show, _: str) -> int:
    from burden_analysis import missing_runs, open_study

    dataset = open_study(asked.store)
    columns = ["run_id", "strategy", "sparsity", "seed", "status", "records_written", "status_reason"]
    table = dataset[columns].reset_coords()[columns].to_dataframe().rename_axis(None)
    missing = missing_runs(dataset)
    sys.stdout.write(table.to_string(index=False) + "\n")
    sys.stdout.write(f"{len(table) - len(missing)} of {len(table)} runs finished\n")
    for run in missing.to_dict("records"):
        reason = f", {run['status_reason']}" if run["status_reason"] else ""
        sys.stdout.write(f"missing: {run['run_id']} ({run['status']}{reason})\n")
    return 0


def _figure(asked: Figure, _: str) -> int:
    from burden_analysis import open_study
    from recorders.disk import disk_errors
    from reports import figure2

    if asked.out.exists() and not asked.overwrite:
        raise InputError(f"{asked.out} exists: choose another --out, or pass --overwrite")
    drawn = figure2(open_study(asked.store))
    with disk_errors(asked.out):
        drawn.save(asked.out)
    sys.stdout.write(f"wrote {asked.out}\n\n{drawn.caption}\n")
    return 0


def _report(asked: Report, command: str) -> int:
    if asked.out.exists() and not asked.overwrite and (not asked.out.is_dir() or any(asked.out.iterdir())):
        raise InputError(f"{asked.out} exists and holds files: choose another --out, or pass --overwrite")
    sys.stdout.write(f"wrote {_write_all(asked.store, asked.out, command)}\n")
    return 0


def _write_all(store: Path, folder: Path, command: str) -> Path:
    from burden_analysis import open_study
    from recorders.disk import disk_errors
    from reports import write_report
    from reports.burden_figure import burden_figures
    from reports.report import default_figures

    dataset = open_study(store)
    comparisons = _comparisons(dataset)
    figures, burden = default_figures(dataset), burden_figures(dataset)
    with disk_errors(folder):
        for stem, pages in (("figure2", figures), ("burden", burden)):
            for number, drawn in enumerate(pages, start=1):
                drawn.save_all(folder, stem if number == 1 else f"{stem}-{number}")
        return write_report(dataset, comparisons, folder, command=command, figures=figures, burden=burden)


def _comparisons(dataset: xr.Dataset) -> list[Comparison]:
    """Compare whatever the study allows; what it does not (one strategy, one sparsity) is said, not fatal."""
    from burden_analysis import compare_sparsities, compare_strategies

    def by_strategy() -> list[Comparison]:
        order = claimed_order(dataset)
        return [compare_strategies(dataset, indicator, order=order) for indicator in INDICATORS]

    def by_sparsity() -> list[Comparison]:
        return [compare_sparsities(dataset, INDICATORS[0])]

    made: list[Comparison] = []
    for what, comparisons in (("strategies", by_strategy), ("sparsities", by_sparsity)):
        try:
            made += comparisons()
        except InputError as error:
            sys.stderr.write(f"burden: did not compare {what}: {error}\n")
    return made


if __name__ == "__main__":
    main()
