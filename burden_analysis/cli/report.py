"""`burden report` and `burden figure`: what a study is about decides what is drawn and written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from burden_analysis.cli.arguments import INDICATORS
from burden_analysis.cli.compare import claimed_order
from recorders.contract import InputError, one_line, printable

if TYPE_CHECKING:
    import xarray as xr

    from burden_analysis.cli.arguments import Figure, Report
    from burden_analysis.comparison.result import Comparison
    from reports.figures.base import Figure as DrawnFigure


def figure(asked: Figure, _: str) -> int:
    """Draw the figure of a study into one file."""
    from burden_analysis import open_study
    from burden_analysis.compression.study import varies_compression
    from recorders.store.disk import disk_errors
    from reports import figure2

    if asked.out is not None:
        _check_free(asked.out, asked.overwrite)
    dataset = open_study(asked.store)
    compressed = varies_compression(dataset)
    out = asked.out or Path("compression.pdf" if compressed else "fig2.pdf")
    _check_free(out, asked.overwrite)
    if compressed and asked.order:
        raise InputError("--order names strategies and does not apply to a study that varies compression")
    drawn = _difference_map(dataset) if compressed else figure2(dataset, order=asked.order or None)
    with disk_errors(out):
        drawn.save(out)
    sys.stdout.write(printable(f"wrote {out}\n\n{drawn.caption}\n"))
    return 0


def report(asked: Report, command: str) -> int:
    """Write figures, tests and report of a study into a folder."""
    check_outside(asked.out)
    if asked.out.exists() and not asked.overwrite and (not asked.out.is_dir() or any(asked.out.iterdir())):
        raise InputError(f"{asked.out} exists and holds files: choose another --out, or pass --overwrite")
    sys.stdout.write(printable(f"wrote {write_all(asked.store, asked.out, command)}\n"))
    return 0


def write_all(store: Path, folder: Path, command: str) -> Path:
    """Write everything there is to say about a study."""
    from burden_analysis import open_study
    from burden_analysis.compression.study import varies_compression

    dataset = open_study(store)
    return (_write_tables if varies_compression(dataset) else _write_fig2)(dataset, folder, command)


def check_outside(out: Path, *, store: bool = False) -> None:
    """Refuse to write among the arrays of a store; what is written may be one itself."""
    for folder in (*([] if store else [out.absolute()]), *out.absolute().parents):
        if (folder / "zarr.json").exists():
            raise InputError(f"{out} lies in the zarr store {folder}: choose another --out")


def _check_free(out: Path, overwrite: bool) -> None:
    check_outside(out)
    if out.exists() and not overwrite:
        raise InputError(f"{out} exists: choose another --out, or pass --overwrite")


def _difference_map(dataset: xr.Dataset) -> DrawnFigure:
    from burden_analysis import accuracy_table, compression_effect
    from reports import compression_figure

    table = accuracy_table(dataset)
    return compression_figure(compression_effect(table, blocks=table.attrs["blocks"]))


def _write_tables(dataset: xr.Dataset, folder: Path, command: str) -> Path:
    from burden_analysis.compression.study import compression_study
    from recorders.settings.unstarted import unstarted
    from recorders.store.disk import disk_errors
    from reports import write_tables_report

    study = compression_study(dataset)
    if study.reason:
        sys.stderr.write(f"burden: did not judge the effect of compression: {one_line(study.reason)}\n")
    with disk_errors(folder):
        return write_tables_report(dataset, study, folder, command=command, unstarted=unstarted(dataset))


def _write_fig2(dataset: xr.Dataset, folder: Path, command: str) -> Path:
    from burden_analysis import check_claims
    from recorders.store.disk import disk_errors
    from reports import save_table, write_report
    from reports.figures.base import save_pages
    from reports.figures.burden.figure import burden_pages
    from reports.figures.fig2.figure import figure2_pages
    from reports.pages.sensitivity import sensitivity_table

    claims = check_claims(dataset)
    comparisons = _comparisons(dataset, claims["C1"].evidence.get("headline"))
    definitions = sensitivity_table(claims)
    figures, burden = ([drawn.rendered() for drawn in pages(dataset)] for pages in (figure2_pages, burden_pages))
    with disk_errors(folder):
        for pages in (figures, burden):
            save_pages(pages, folder)
        if len(definitions):
            save_table(definitions, folder / "sensitivity.csv")
        return write_report(
            dataset, comparisons, folder, command=command, claims=claims, figures=figures, burden=burden
        )


def _comparisons(dataset: xr.Dataset, claimed: Comparison | None) -> list[Comparison]:
    """Compare whatever the study allows; what it does not (one strategy, one sparsity) is said, not fatal.

    The comparison that claim C1 rests on is not made again.
    """
    from burden_analysis import compare_sparsities, compare_strategies

    def by_strategy() -> list[Comparison]:
        order = claimed_order(dataset)
        known = {(claimed.indicator, claimed.question.order): claimed} if claimed else {}
        return [
            known.get((indicator, order)) or compare_strategies(dataset, indicator, order=order)
            for indicator in INDICATORS
        ]

    def by_sparsity() -> list[Comparison]:
        return [compare_sparsities(dataset, INDICATORS[0])]

    made: list[Comparison] = []
    for what, comparisons in (("strategies", by_strategy), ("sparsities", by_sparsity)):
        try:
            made += comparisons()
        except InputError as error:
            sys.stderr.write(f"burden: did not compare {what}: {one_line(str(error))}\n")
    return made
