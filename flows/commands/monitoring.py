"""The command that checks whether a model still receives data like its validation rows."""

import json
from typing import TYPE_CHECKING, Any

import click

from flows.commands.base import Command, as_json_option
from tasks.errors import printable

if TYPE_CHECKING:
    from tasks.monitoring.examination import DriftReport


@click.command(cls=Command)
@click.argument("model")
@click.option(
    "--window-days",
    type=click.IntRange(1, 3650),
    default=30,
    show_default=True,
    help="Days of requests and predictions to examine.",
)
@click.option(
    "--min-rows",
    type=click.IntRange(0),
    default=0,
    show_default="500 texts, 200 of a language model, 100 sequences or 20 windows",
    help="Rows needed to judge drift.",
)
@click.option(
    "--psi-limit",
    type=click.FloatRange(0, 10, min_open=True),
    default=0.2,
    show_default=True,
    help="Population stability index that counts as drift.",
)
@as_json_option
def monitor(as_json: bool, **options: Any) -> None:  # noqa: ANN401 (the options above)
    """Compare what MODEL received recently with its validation rows. The deployment `monitor` also sends an alert."""
    from tasks.monitoring.examination import examine_drift

    report = examine_drift(**options)
    if as_json:
        click.echo(json.dumps(report.as_json()))
        return
    print_drift(report)


def print_drift(report: "DriftReport") -> None:
    """Write the finding and one line per compared feature to stdout."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(printable(report.sentence), markup=False, highlight=False, soft_wrap=True)
    if rows := report.table():
        table = Table(*rows[0], box=box.SIMPLE_HEAD, pad_edge=False)
        for row in rows:
            table.add_row(*(printable(cell) for cell in row.values()))
        console.print(table)
