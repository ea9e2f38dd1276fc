"""The command `rnnflow`; imports click alone, so that help and mistakes are answered at once."""

import atexit
import gc
from typing import TYPE_CHECKING, Any

import click

from flows.commands import backtesting, generating, monitoring, new, place, registry, serving, upkeep
from flows.commands.base import Command, as_json_option, print_json, recipe_parameters
from tasks.errors import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.tracking.recording import TrackedRun


class Sections(click.Group):
    """A group whose help lists commands by what they are for."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write one section per purpose, in the order of a user's day."""
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(100)) for name in names])


SECTIONS = {
    "Train": ("new", "train", "backtest", "recipes", "runs", "doctor"),
    "Use": ("predict", "generate", "serve", "monitor"),
    "Decide": ("history", "promote", "rollback"),
    "Operate": ("up", "deploy", "status", "down", "tidy", "sync"),
}

# The libraries make a million objects that stay. With Python's own thresholds (700, 10, 10) going through them again
# and again takes a third of a short run.
RARE_COLLECTIONS = (100_000, 50, 10)


@click.group(cls=Sections, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rnnflow")
def main() -> None:
    """Train recurrent models on texts and time series, from raw rows to a registered model."""
    gc.set_threshold(*RARE_COLLECTIONS)
    atexit.register(gc.freeze)  # the end of a process would go through all of them once more


main.command_class = Command
for module in (new, place, registry, serving, generating, monitoring, upkeep, backtesting):
    for command in vars(module).values():
        if isinstance(command, click.Command):
            main.add_command(command)


@main.command()
@recipe_parameters
@click.option(
    "--warm-start", is_flag=True, help="Start from the champion's weights, by names of words, classes and channels."
)
@as_json_option
@click.pass_context
def train(ctx: click.Context, as_json: bool, **order: Any) -> None:  # noqa: ANN401 (the options above)
    """Train the models of a recipe. RECIPE is a shipped name or the path of a TOML file."""
    from flows.commands.launch import Order, launch_training

    outcome = launch_training(Order(**order, debug=ctx.meta["debug"]))
    if as_json:
        print_json(outcome)
        return
    from rich.console import Console

    from flows.commands.summary import print_summary

    print_summary(outcome, Console())


@main.command()
@as_json_option
def runs(as_json: bool) -> None:
    """List past runs, the newest first."""
    from tasks.tracking.recording import list_runs

    tracked = list_runs()
    if as_json:
        print_json({"runs": tracked})
    else:
        print_runs(tracked)


def print_runs(runs: "Sequence[TrackedRun]") -> None:
    """Write one line per run to stdout."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

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


@main.command()
@as_json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check this machine and folder. Exits with status 1 if a problem was found."""
    from flows.commands.doctor import FAIL, describe_finding, examine

    findings = examine()
    if as_json:
        print_json({"findings": findings})
    else:
        click.echo("\n".join(describe_finding(finding) for finding in findings))
    ctx.exit(any(finding.status == FAIL for finding in findings))


@main.command()
def recipes() -> None:
    """List the shipped recipes."""
    from flows.recipes.recipe_file import describe_recipe, shipped_recipes

    for name, path in shipped_recipes().items():
        click.echo(f"{name:16} {describe_recipe(path)}")


if __name__ == "__main__":
    main()
