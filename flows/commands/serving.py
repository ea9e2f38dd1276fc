"""Commands that query a registered model: for a file, or over HTTP."""

import json
import logging
from pathlib import Path
from typing import Any

import click

from flows.commands.base import Command, as_json_option
from tasks.errors import InputError, printable

OUR_LOGGERS = ("flows", "tasks", "rnnmodels")


@click.command(cls=Command)
@click.argument("model")
@click.argument("input_path", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("output_path", metavar="OUTPUT", type=click.Path(path_type=Path))
@click.option("--text-column", help="Column that holds the text; by default that of training.")
@click.option("--label-column", help="Column of the true label; by default that of training, if the table has it.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="source.KEY=VALUE",
    help="Change how the file is read, as in source.encoding=utf-8.",
)
@click.option("--overwrite", is_flag=True, help="Replace an output that exists.")
@click.option("--skip-bad", is_flag=True, help="Succeed even if some rows or series could not be answered.")
@as_json_option
@click.pass_context
def predict(ctx: click.Context, skip_bad: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Answer the rows of a file with a model. MODEL is NAME, NAME@alias or NAME/3.

    INPUT is read with the settings of training. OUTPUT gets the model's answers: a label for each text or sequence, the
    values that follow each series, or the anomaly score of each row; what cannot be answered goes to
    OUTPUT.errors.jsonl. An interrupted run continues when the same command is run again, with the same model version.
    """
    from flows.commands.launch import launch_prediction

    predicted = launch_prediction(**options, debug=ctx.meta["debug"])
    if as_json:
        click.echo(json.dumps(predicted.as_json(), default=str))
    else:
        click.echo(predicted.describe())
    if predicted.bad:
        click.echo(f"{predicted.errors}: {predicted.describe_refused()}", err=True)
        ctx.exit(0 if skip_bad else InputError.exit_code)


@click.command(cls=Command)
@click.argument("model", required=False)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 picks a free port.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Addresses beyond loopback need RNNFLOW_SERVE_TOKEN."
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a limit, as in max_requests=8.")
@click.pass_context
def serve(ctx: click.Context, model: str | None, host: str, port: int, settings: tuple[str, ...]) -> None:
    """Answer requests with a registered model. MODEL is NAME, NAME@alias or NAME/3, and optional if there is only one.

    Requests contain texts or, for models of numbers, a table; they get what `rnnflow predict` writes to a file. An
    alias is followed (NAME alone means the champion): a newly promoted version takes over within seconds. The page
    /docs documents requests and answers, /v1/model shows the columns of a table and the caps.
    """
    log_to_stderr(verbose=ctx.meta["debug"])
    from flows.recipes.recipe_file import parse_assignment
    from tasks.serving.server import serve_model, sole_model

    changed = {".".join(keys): value for keys, value in map(parse_assignment, settings)}
    serve_model(model or sole_model(), host=host, port=port, changed=changed, announce=click.echo)


class PrintableFormatter(logging.Formatter):
    """Escapes what a client can bring into a log line: one record is one line and cannot control a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the line."""
        return printable(super().format(record))


def log_to_stderr(*, verbose: bool) -> None:
    """Show our own log lines, or with `verbose` all, with their time."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    if not verbose:
        handler.addFilter(lambda record: record.name.partition(".")[0] in OUR_LOGGERS)
    root.setLevel(logging.INFO)
