"""The command that measures a recipe's forecasts in the past."""

from typing import TYPE_CHECKING, Any

import click

from flows.commands.base import Command, as_json_option, print_json, recipe_parameters
from tasks.errors import printable

if TYPE_CHECKING:
    from rich.table import Table

    from flows.backtest import Backtest


@click.command(cls=Command)
@click.option("--cutoffs", default=3, show_default=True, type=click.IntRange(1, 100), help="Pieces of the test period.")
@recipe_parameters
@as_json_option
@click.pass_context
def backtest(ctx: click.Context, cutoffs: int, as_json: bool, **order: Any) -> None:  # noqa: ANN401 (the options above)
    """Train a forecasting recipe at several cut-offs and score what followed each. Nothing is registered."""
    from flows.commands.launch import Order, launch_backtest

    result = launch_backtest(Order(**order, debug=ctx.meta["debug"]), cutoffs)
    if as_json:
        print_json(result)
        return
    from rich.console import Console

    Console().print(tabulate_backtest(result))


def tabulate_backtest(result: "Backtest") -> "Table":
    """Models by their mean over the cut-offs, the best first; a column per cut-off."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=f"Test {result.metric} after each cut-off")
    table.add_column("model", no_wrap=True)
    # A date and a time stand on two lines.
    for header in ("mean", "spread", *(str(cutoff["valid_until"]).replace("T", "\n") for cutoff in result.cutoffs)):
        table.add_column(header, justify="right")
    for row in result.summary:
        values = [row["mean"], row["spread"], *row["values"]]
        table.add_row(printable(row["model"]), *(f"{value:.4g}" for value in values))
    return table
