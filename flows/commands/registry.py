"""Commands on registered models: who is champion, since when and why, and a person's word on it."""

import datetime
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import click

from flows.commands.base import Command, as_json_option, print_json
from tasks.errors import printable

if TYPE_CHECKING:
    from tasks.promotion.ledger import Entry

reason_option = click.option("--reason", required=True, help="Reason, kept in the ledger.")


@click.command(cls=Command)
@click.argument("version", metavar="NAME/VERSION")
@reason_option
@as_json_option
def promote(version: str, reason: str, as_json: bool) -> None:
    """Make a registered version the champion, whatever the gate said. NAME@challenger works, too."""
    from tasks.promotion.overrides import promote as promote_version

    show_champion(promote_version(version, reason=reason), as_json=as_json)


@click.command(cls=Command)
@click.argument("name")
@reason_option
@as_json_option
def rollback(name: str, reason: str, as_json: bool) -> None:
    """Return to the previous champion; repeat to go further back."""
    from tasks.promotion.overrides import roll_back

    show_champion(roll_back(name, reason=reason), as_json=as_json)


@click.command(cls=Command)
@click.argument("name")
@as_json_option
def history(name: str, as_json: bool) -> None:
    """List all champions of a model: since when, why, and who decided."""
    from tasks.promotion.ledger import read_entries
    from tasks.tracking.mlflow_client import check_name

    entries = read_entries(check_name(name, what="model name"))
    if as_json:
        print_json({"entries": entries})
    else:
        print_history(name, entries)


def show_champion(entry: "Entry", *, as_json: bool) -> None:
    """Say who is champion now, and how to return, if that is possible."""
    from tasks.promotion.overrides import find_way_back

    if as_json:
        print_json(entry)
        return
    click.echo(f"{entry.model}/{entry.champion} is champion (entry {entry.number}: {entry.action}).")
    if version := find_way_back(entry.model):
        click.echo(f"Back to {entry.model}/{version}: rnnflow rollback {entry.model} --reason TEXT")


def print_history(name: str, entries: "Sequence[Entry]") -> None:
    """Write each entry to stdout, the newest last: a line of facts, and the reason below it."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    if not entries:
        click.echo(f"No champion of {name} was ever chosen; `rnnflow runs` lists what was trained.")
        return
    console, reused = Console(), find_reused_numbers(entries)
    for entry in entries:
        console.print(Text(describe_entry(entry, reused), style="bold"))
        console.print(Padding(Text(printable(_tell_reasons(entry))), (0, 0, 0, 4)))


def _tell_reasons(entry: "Entry") -> str:
    """Why it was decided so, and what was noted of the rows; without the remedies of that day."""
    _, *notes = entry.verdict.get("reasons") or [""]
    return " ".join([entry.reason, *(note for note in notes if not note.startswith("Fix: "))])


def find_reused_numbers(entries: "Iterable[Entry]") -> set[str]:
    """Numbers under which entries know several models, as a model that is registered again is numbered from 1."""
    contents: dict[str, set[str]] = {}
    for entry in entries:
        for role in ("champion", "challenger"):
            version, content = entry.who(role)
            contents.setdefault(version, set()).add(content)
    return {version for version, known in contents.items() if len(known) > 1}


def describe_entry(entry: "Entry", reused: Collection[str] = ()) -> str:
    """Say in a line when who did what, and who is champion since; by content, where numbers are not enough."""
    when = datetime.datetime.fromisoformat(entry.created).astimezone().strftime("%Y-%m-%d %H:%M")

    def name(role: str) -> str:
        who = entry.who(role)
        return str(who) if who.version in reused else f"v{who.version or '-'}"

    about = f" {name('challenger')}" if entry.challenger else ""
    return printable(
        f"{entry.number:3}  {when}  {entry.action}{about}, by {entry.actor}: champion is {name('champion')}"
    )
