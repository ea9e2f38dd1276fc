"""What all commands share: an end in two lines and an exit status instead of a traceback."""

import json
import traceback
from typing import Any

import click

from flows.commands.failures import Terminated, describe_failure, exit_status, failure_as_json

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object only.")


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
                click.echo(json.dumps(failure_as_json(error)))
            ctx.exit(exit_status(error))


def _remember_debug(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
    ctx.meta["debug"] = value
