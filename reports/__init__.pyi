from .figures.accuracy_curves import accuracy_curves as accuracy_curves
from .figures.base import Figure as Figure
from .figures.burden.figure import burden_figure as burden_figure
from .figures.compression.figure import CompressionFigure as CompressionFigure
from .figures.compression.figure import compression_figure as compression_figure
from .figures.fig2.figure import figure2 as figure2
from .figures.token_map import token_map as token_map
from .pages.report_fig2 import write_report as write_report
from .pages.report_tables import write_tables_report as write_tables_report
from .tables.accuracies import AccuracyTable as AccuracyTable
from .tables.accuracies import accuracy_tables as accuracy_tables
from .tables.accuracies import difference_table as difference_table
from .tables.table import save_table as save_table
from .tables.table import to_csv as to_csv
from .tables.table import to_latex as to_latex
from .tables.table import to_markdown as to_markdown

__all__ = [
    "AccuracyTable",
    "CompressionFigure",
    "Figure",
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
