"""A model's drift, as a sentence and a table."""

from rich import box
from rich.console import Console
from rich.table import Table

from tasks.errors import printable
from tasks.monitoring.examination import DriftReport


def print_drift(report: DriftReport) -> None:
    """Write the finding and one line per compared feature to stdout."""
    console = Console()
    console.print(printable(report.sentence), markup=False, highlight=False, soft_wrap=True)
    rows = report.table()
    if not rows:
        return
    table = Table(*rows[0], box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(printable(cell) for cell in row.values()))
    console.print(table)
