"""SHOW: figures, tables and a self-contained report from Datasets and results; nothing here trains or tests.

Names are imported on first use: `import reports` must stay cheap (matplotlib and jinja2 are not).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.accuracy_layout import AccuracyTable as AccuracyTable
    from reports.accuracy_layout import accuracy_tables as accuracy_tables
    from reports.accuracy_layout import difference_table as difference_table
    from reports.decomposition_figure import burden_figure as burden_figure
    from reports.difference_map import CompressionFigure as CompressionFigure
    from reports.difference_map import compression_figure as compression_figure
    from reports.fig2 import Figure2 as Figure2
    from reports.fig2 import figure2 as figure2
    from reports.merged_patches import token_map as token_map
    from reports.report import write_report as write_report
    from reports.tables import save_table as save_table
    from reports.tables import to_csv as to_csv
    from reports.tables import to_latex as to_latex
    from reports.tables import to_markdown as to_markdown
    from reports.tables_report import write_tables_report as write_tables_report
    from reports.training_curves import accuracy_curves as accuracy_curves

_HOME = {
    "AccuracyTable": "reports.accuracy_layout",
    "accuracy_curves": "reports.training_curves",
    "accuracy_tables": "reports.accuracy_layout",
    "difference_table": "reports.accuracy_layout",
    "CompressionFigure": "reports.difference_map",
    "compression_figure": "reports.difference_map",
    "Figure2": "reports.fig2",
    "burden_figure": "reports.decomposition_figure",
    "figure2": "reports.fig2",
    "save_table": "reports.tables",
    "to_csv": "reports.tables",
    "to_latex": "reports.tables",
    "to_markdown": "reports.tables",
    "token_map": "reports.merged_patches",
    "write_report": "reports.report",
    "write_tables_report": "reports.tables_report",
}

__all__ = [
    "AccuracyTable",
    "CompressionFigure",
    "Figure2",
    "accuracy_curves",
    "accuracy_tables",
    "burden_figure",
    "compression_figure",
    "difference_table",
    "figure2",
    "save_table",
    "to_csv",
    "to_latex",
    "to_markdown",
    "token_map",
    "write_report",
    "write_tables_report",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        # Kept: importing `reports.fig2` binds the module under the function's name.
        globals()[name] = value = getattr(import_module(_HOME[name]), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
