"""The commands `sync` and `tidy`: what a fault has left open or unsent."""

import contextlib
import dataclasses
from collections.abc import Generator

import click

from flows.commands.base import Command, as_json_option, print_json


@click.command(cls=Command)
@as_json_option
def sync(as_json: bool) -> None:
    """Send MLflow what it missed while it was down, and register what could not be registered."""
    with _logging("sync"):
        from flows.sync import synchronize

        synchronized = synchronize(_ready_server)
    if as_json and synchronized.is_complete:
        replayed = {**dataclasses.asdict(synchronized.replayed), "failure": ""}
        print_json({**replayed, "finished": synchronized.finished})
    elif not as_json:
        click.echo(synchronized.describe())
    synchronized.check()


@click.command(cls=Command)
@as_json_option
@click.pass_context
def tidy(ctx: click.Context, as_json: bool) -> None:
    """Close what killed processes left open, in Prefect and in MLflow, and send what MLflow missed.

    Exits with 3 if a champion is gone, with 5 if something could not be done.
    """
    with _logging("tidy"), _ready_server():
        from flows.tidy import describe, exit_status_of, tidy_up

        summary = tidy_up(thorough=True)
    if as_json:
        print_json(summary)
    else:
        click.echo(describe(summary))
    ctx.exit(exit_status_of(summary))


@contextlib.contextmanager
def _logging(name: str) -> Generator[None]:
    """Keep log lines, our own as well, in a file of the run: what is worth reading the command says itself."""
    from rich.console import Console

    from flows.place.run_log import logging_run

    ctx = click.get_current_context()
    with logging_run(name, Console(stderr=True), verbose=ctx.meta["debug"], quiet=True):
        yield


@contextlib.contextmanager
def _ready_server() -> Generator[None]:
    from flows.place.services import prefect_server

    with prefect_server() as server:
        server.wait_until_ready()
        yield
