"""Runs the service from a command line: its settings, its log on stderr, and the one line that says where it is."""

import logging
from collections.abc import Sequence

import click

from flows.recipes.recipe_file import parse_assignment
from tasks.errors import printable

OUR_LOGGERS = ("flows", "tasks", "rnnmodels")


class PrintableFormatter(logging.Formatter):
    """Escapes what a client can bring into a log line: one record is one line, and acts on no terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the line."""
        return printable(super().format(record))


def launch_serving(model: str | None, *, host: str, port: int, settings: Sequence[str], debug: bool) -> None:
    """Serve a model until a signal ends it; only the address goes to stdout.

    Raises RnnflowError of any kind.
    """
    log_to_stderr(verbose=debug)
    from tasks.serving.server import serve_model, sole_model

    changed = {".".join(keys): value for keys, value in map(parse_assignment, settings)}
    serve_model(model or sole_model(), host=host, port=port, changed=changed, announce=click.echo)


def log_to_stderr(*, verbose: bool) -> None:
    """Show our own lines, or all with `verbose`, with their time."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    if not verbose:
        handler.addFilter(lambda record: record.name.partition(".")[0] in OUR_LOGGERS)
    root.setLevel(logging.INFO)
