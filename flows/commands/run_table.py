"""The list of runs, as a table."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from tasks.errors import printable
from tasks.tracking.recording import TrackedRun


def print_runs(runs: Sequence[TrackedRun]) -> None:
    """Write one line per run to stdout."""
    console = Console()
    if not runs:
        console.print("No runs yet; start one with: rnnflow train reviews")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for header in ("started", "recipe", "run", "status", "test", "version"):
        table.add_column(header, overflow="fold", no_wrap=header not in ("recipe", "run"))
    for run in runs:
        table.add_row(
            run.started.astimezone().strftime("%Y-%m-%d %H:%M"),
            printable(run.recipe),
            printable(run.name),
            run.status.lower(),
            "" if run.test is None else f"{run.metric} {run.test:.4g}",
            printable(run.version.removeprefix(f"{run.recipe}/")),
        )
    console.print(table)
