"""The commands `up`, `status` and `down`: the place of a project folder."""

import dataclasses
from typing import TYPE_CHECKING

import click

from flows.commands.base import Command, as_json_option, print_json
from tasks.errors import InputError, printable

if TYPE_CHECKING:
    from flows.place.recipe_deployments import DeployedRecipe
    from flows.place.up import Arrival
    from flows.recipes.schedule import ScheduleSettings

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
@click.argument("recipe")
@click.option("--cron", metavar="TIMES", help='When to train it again, as in "0 3 * * 1" for Mondays at 3.')
@click.option("--timezone", metavar="ZONE", help="Time zone of --cron, Etc/UTC by default.")
@as_json_option
def deploy(recipe: str, cron: str | None, timezone: str | None, as_json: bool) -> None:
    """Make deployments of a recipe: train, retrain, predict and monitor, each with one click in Prefect's dashboard.

    RECIPE is a shipped name or the path of a TOML file; its relative paths are those of the project folder. `rnnflow
    up` deploys every recipe of the project folder. A section [schedule] in the recipe does the same
    as --cron and --timezone.
    """
    from flows.place.furnishing import deploy_one
    from flows.place.settings import choose_settings, load_settings
    from flows.recipes.recipe_file import locate_recipe

    if timezone and not cron:
        raise click.UsageError("--timezone is the time zone of --cron.")
    file = locate_recipe(recipe)
    schedule = _schedule_of({"cron": cron, **({"timezone": timezone} if timezone else {})}) if cron else None
    deployed = deploy_one(load_settings() or choose_settings(), file, schedule)
    if as_json:
        print_json(deployed)
    else:
        click.echo("\n".join(_describe_deployed(deployed)))


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


class _Options:
    """Where the values of a schedule stand that the command states."""

    def error(self, code: str, keys: tuple[str, ...], problem: str, *, fix: str) -> InputError:
        """Name the option, then say what is wrong with it."""
        return InputError(code, f"--{keys[-1]}: {problem}", fix=fix)


def _schedule_of(options: dict) -> "ScheduleSettings":
    from flows.recipes.recipe import validated
    from flows.recipes.schedule import SECTION, ScheduleSettings

    return validated(ScheduleSettings, options, _Options(), section=SECTION)


def _describe_deployed(deployed: "DeployedRecipe") -> list[str]:
    from flows.place.prefect_api import without_credentials

    names = ", ".join(f"{flow}/{deployed.name}" for flow in deployed.addresses)
    when = f"trained again {' and '.join(deployed.schedules)}" if deployed.schedules else "without a schedule"
    return [
        f"Deployed {printable(deployed.file.name)}: {names}; {when}.",
        f"  Train it with Run, Quick run at {without_credentials(deployed.addresses['train'])}",
    ]


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
        "recipes": dataclasses.asdict(arrival.recipes),
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
    for recipe in arrival.recipes.deployed:
        lines += _describe_deployed(recipe)
    if arrival.recipes.unchanged:
        lines.append(f"Deployed as before: {', '.join(arrival.recipes.unchanged)}.")
    lines += [printable(note) for note in arrival.recipes.notes]
    lines += [
        "Train a recipe on its page under Deployments in Prefect (Run, Quick run), or with: rnnflow train RECIPE",
        "Check it with `rnnflow status`; stop it with `rnnflow down`.",
    ]
    return "\n".join(lines)
