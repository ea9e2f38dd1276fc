"""The command that looks whether a model still sees what it was validated on."""

import json
from typing import Any

import click

from flows.commands.base import Command, as_json_option


@click.command(cls=Command)
@click.argument("model")
@click.option("--window-days", type=click.IntRange(1, 3650), default=30, show_default=True, help="Days to look at.")
@click.option("--min-rows", type=click.IntRange(1), default=500, show_default=True, help="Rows needed to judge drift.")
@click.option(
    "--psi-limit",
    type=click.FloatRange(0, 10, min_open=True),
    default=0.2,
    show_default=True,
    help="Population stability index that counts as drift.",
)
@as_json_option
def monitor(as_json: bool, **options: Any) -> None:  # noqa: ANN401 (the options above)
    """Compare what MODEL received recently with its validation rows. The deployment `monitor` also alarms."""
    from tasks.monitoring.examination import examine_drift

    report = examine_drift(**options)
    if as_json:
        click.echo(json.dumps(report.as_json()))
        return
    from flows.commands.drift_table import print_drift

    print_drift(report)
