"""What all commands share: an end in two lines and an exit status instead of a traceback."""

import dataclasses
import json
import traceback
from collections.abc import Callable
from typing import Any

import click

from flows.commands.failures import Terminated, describe_failure, exit_status, failure_as_json

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object only.")

RECIPE_PARAMETERS = (
    click.argument("recipe"),
    click.option(
        "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a field, as in training.epochs=1."
    ),
    click.option("--from-file", metavar="PATH", help="Read the rows from here (sets source.path)."),
    click.option("--resume", is_flag=True, help="Continue interrupted fits."),
    click.option("--refresh", is_flag=True, help="Compute every stage again."),
)


def recipe_parameters(command: Callable) -> Callable:
    """Give a command the argument and the options that say which recipe to run, and how."""
    for parameter in reversed(RECIPE_PARAMETERS):
        command = parameter(command)
    return command


def print_json(value: object) -> None:
    """Write the one object that `--json` asks for; data classes go as their fields, what JSON does not have as text."""
    click.echo(
        json.dumps(value, default=lambda one: dataclasses.asdict(one) if dataclasses.is_dataclass(one) else str(one))
    )


class Command(click.Command):
    """A command that ends with two lines and an exit status instead of a traceback."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (click's own parameters)
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--debug"],
                is_flag=True,
                help="Show logs and tracebacks.",
                expose_value=False,
                callback=_remember_debug,
            )
        )

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except (Exception, KeyboardInterrupt, Terminated) as error:  # noqa: BLE001 (nothing lies above but the user)
            if ctx.meta["debug"]:
                traceback.print_exception(error)
            click.echo(describe_failure(error), err=True)
            if ctx.params.get("as_json"):
                print_json(failure_as_json(error))
            ctx.exit(exit_status(error))


def _remember_debug(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
    ctx.meta["debug"] = value
