"""The commands `up`, `status` and `down`: the place of a project folder."""

import dataclasses
from typing import TYPE_CHECKING

import click

from flows.commands.base import Command, as_json_option, print_json

if TYPE_CHECKING:
    from flows.place.up import Arrival

TO_PREFECT, TO_MLFLOW = "/dashboard", "/#/experiments?workflowType=machine_learning"


@click.command(cls=Command)
@click.option(
    "--host", metavar="ADDRESS", default="", help="Address to listen on; other than 127.0.0.1 requires passwords."
)
@click.option("--prefect-port", type=int, help="Port of Prefect, 4200 or RNNFLOW_PREFECT_PORT by default.")
@click.option("--mlflow-port", type=int, help="Port of MLflow, 5000 or RNNFLOW_MLFLOW_PORT by default.")
@as_json_option
def up(host: str, prefect_port: int | None, mlflow_port: int | None, as_json: bool) -> None:
    """Start the servers and workers of this project, and deploy its flows.

    What runs already stays. With PREFECT_API_URL or MLFLOW_TRACKING_URI set, that server is used instead.
    """
    from rich.console import Console

    from flows.place.settings import choose_settings
    from flows.place.up import bring_up

    settings = choose_settings(host=host, prefect_port=prefect_port, mlflow_port=mlflow_port)
    arrival = bring_up(settings, Console(stderr=True))
    if as_json:
        print_json(_arrival_as_json(arrival))
    else:
        click.echo(_describe_arrival(arrival))


@click.command(cls=Command)
@as_json_option
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show the servers and workers of this project. Exits with 1 unless all are well."""
    from flows.place.status import look_at_place

    place = look_at_place()
    if as_json:
        print_json({"well": place.is_well, **dataclasses.asdict(place)})
    else:
        from flows.place.status_table import print_status

        print_status(place)
    ctx.exit(0 if place.is_well else 1)


@click.command(cls=Command)
@as_json_option
def down(as_json: bool) -> None:
    """Stop the servers and workers of this project; running flows are cancelled, stored data is kept."""
    from rich.console import Console

    from flows.place.down import take_down

    departure = take_down(Console(stderr=True))
    if as_json:
        print_json(departure)
        return
    for flow_run, state in departure.flow_runs.items():
        click.echo(f"Flow run {flow_run} was under way: {state.lower()}.")
    click.echo(
        "The place is down; `rnnflow up` brings it back with everything stored."
        if departure.was_up
        else "The place was not up."
    )


def _arrival_as_json(arrival: "Arrival") -> dict:
    from flows.place.prefect_api import without_credentials

    settings = arrival.settings
    addresses = {"prefect_api": settings.prefect_api, "prefect": settings.prefect_pages, "mlflow": settings.mlflow}
    return {
        **{name: without_credentials(address) for name, address in addresses.items()},
        "devices": list(settings.devices),
        "started": list(arrival.started),
        "deployed": arrival.deployed,
        "skipped_runs": arrival.skipped_runs,
    }


def _describe_arrival(arrival: "Arrival") -> str:
    from flows.place.prefect_api import without_credentials

    settings = arrival.settings
    gpus = [device for device in settings.devices if device]
    lines = [
        "The place is up." if arrival.started else "The place was up already.",
        f"  Prefect  {without_credentials(settings.prefect_pages)}{TO_PREFECT}",
        f"  MLflow   {without_credentials(settings.mlflow)}{TO_MLFLOW}",
        f"  Workers  pool cpu; pool gpu on {f'GPU {chr(44).join(gpus)}' if gpus else 'the CPU, as no GPU was found'}",
    ]
    if arrival.skipped_runs:
        lines.append(f"{arrival.skipped_runs} scheduled runs fell due while the place was down; they were skipped.")
    lines += [
        "Start a run on the page Deployments of Prefect (train, then Custom run), or with: rnnflow train reviews",
        "Check it with `rnnflow status`; stop it with `rnnflow down`.",
    ]
    return "\n".join(lines)
