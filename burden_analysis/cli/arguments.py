"""The commands and their flags, as dataclasses that tyro reads. Imports no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from burden_analysis.cli.flags import Flags
from burden_analysis.definitions import GRADIENT_MAGNITUDES
from recorders.settings.presets import STUDIES

STORE = "study.zarr"
INDICATORS = GRADIENT_MAGNITUDES  # the verdict is always shown under all of them
Study = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar=f"{{{','.join(STUDIES)}}}")]
StorePath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="STORE")]


@dataclass(frozen=True)
class Machine:
    """Where data lies and what may be used."""

    data_root: Path | None = None
    """Folder of torchvision's data sets (default: $BURDEN_DATA)."""
    offline: bool = False
    """Never download."""
    device: str | None = None
    """cpu or cuda (default: a GPU when there is one)."""
    workers: int | None = None
    """Processes, when runs are not stacked (default: the cores)."""
    stacked: Literal["auto", "yes", "no"] = "auto"
    """Train runs of one kind as one stack in one process; auto: on a GPU."""
    profile: bool = False
    """Print at the end where the time of the runs went."""
    lock: bool = True
    """Lock the store against other processes; --no-lock where its file system has no file locks."""
    durability: Literal["process", "power"] = "process"
    """What is committed outlives the death of a process; power: a power cut too (each file is synchronised)."""

    @property
    def root(self) -> Path | None:
        """The data root: the flag, else the environment, else none."""
        named = os.environ.get("BURDEN_DATA")
        return self.data_root or (Path(named) if named else None)


@dataclass(frozen=True)
class Trained:
    """What is trained, and with what."""

    study: Study
    settings: Annotated[Flags, tyro.conf.OmitArgPrefixes]
    machine: Annotated[Machine, tyro.conf.OmitArgPrefixes]
    preset: str | None = None
    """Named settings laid over the study's: tables-setup, tables-column, tables-mini."""
    config: Path | None = None
    """YAML file of settings, laid over the presets."""


@dataclass(frozen=True)
class Record(Trained):
    """Train the runs of a study and record them into a store; finished runs are not repeated."""

    out: Path = Path(STORE)
    """Store to write or to complete."""
    dry_run: bool = False
    """Print runs, time and size of the store, and stop."""


@dataclass(frozen=True)
class Reproduce(Trained):
    """Record a study, compare, draw and report it in one go."""

    out: Path = Path("results")
    """Folder for the store, the figures, the tables and the report."""


@dataclass(frozen=True)
class Pack:
    """Merge the finished recordings of stores into a new store, one recording for each schedule."""

    stores: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="STORE...")]
    out: Path
    """Store to make; it must not exist."""
    lock: bool = True
    """Lock the stores against other processes; --no-lock where a file system has no file locks."""


@dataclass(frozen=True)
class Show:
    """List the runs of a store: status, records, what is missing."""

    store: StorePath


@dataclass(frozen=True)
class Verify:
    """Look for lost or altered files in a store; exit code 1 where there is any."""

    store: StorePath
    repair: bool = False
    """Mark broken runs to be recorded again, drop what killed processes left, write missing manifests."""


@dataclass(frozen=True)
class Compare:
    """Compare strategies, sparsities or compression ratios."""

    store: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="STORE")] = None
    """Study store; not needed with --published."""
    indicator: str = INDICATORS[0]
    """Indicator to compare."""
    by: Literal["strategy", "sparsity", "compression"] = "strategy"
    """What is compared: strategies at each sparsity, sparsities of each strategy, or accuracies at compression ratios
    (no indicator, order or window)."""
    published: bool = False
    """With --by compression: the 800 published accuracies instead of a store."""
    order: tuple[str, ...] = ()
    """Strategies in the order to test, lowest first (default: those of the study's claim that were recorded).
    Not with --by sparsity."""
    window: float = 0.2
    """Share of the records, at the end of training, that the endpoint averages."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True)
class Claims:
    """Judge the study's claims C1, C2 and C3."""

    store: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="STORE")] = None
    """Study store: C1 and C2, and C3 if it varied compression; not needed with --published."""
    published: bool = False
    """Judge C3 on the 800 published accuracies."""
    json: bool = False
    """Print JSON, with all evidence."""


@dataclass(frozen=True)
class Power:
    """Say what seeds can show: effects a study could have seen, seeds an effect takes."""

    store: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="STORE")] = None
    """Study store: lists the effects it could have seen with 80 % power, and gives the spread between seeds."""
    indicator: str = INDICATORS[0]
    """Indicator of the study."""
    seeds: int | None = None
    """List what this many seeds can show at best, up to 10 000."""
    effect: float | None = None
    """Ratio between neighbouring strategies, such as 1.2: count the seeds it takes."""
    sd: float | None = None
    """Standard deviation over seeds of paired log10 differences, for --effect (default: that of the study)."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True)
class Figure:
    """Draw Fig. 2, or the accuracy differences of a study that varies compression."""

    store: StorePath
    out: Path | None = None
    """File to write; its suffix (pdf, svg, png) decides the format (default: fig2.pdf or compression.pdf)."""
    order: tuple[str, ...] = ()
    """Strategies to draw, the one that ratios are to first (default: every one that prunes). Fig. 2 only."""
    overwrite: bool = False
    """Replace an existing file."""


@dataclass(frozen=True)
class Report:
    """Write figures, tables, tests, runs and provenance, also as one HTML file."""

    store: StorePath
    out: Path = Path("results")
    """Folder to write into."""
    overwrite: bool = False
    """Write into a folder that holds files."""


COMMANDS: dict[str, type] = {
    "reproduce": Reproduce,
    "record": Record,
    "pack": Pack,
    "show": Show,
    "verify": Verify,
    "compare": Compare,
    "claims": Claims,
    "power": Power,
    "figure": Figure,
    "report": Report,
}
