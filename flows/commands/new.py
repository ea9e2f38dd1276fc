"""The command that turns a file into a recipe."""

import itertools
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.base import Command, as_json_option, print_json
from tasks.errors import InputError, plural, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from flows.recipes.drafted_recipe import Drafted
    from flows.recipes.tried_recipe import Tried
    from tasks.discovery.draft import Question

# Of a column of texts, and between two columns.
MIN_TEXT_WIDTH, GAP = 24, 3
MINUTE_S = 60
GIB = 2**30


@click.command(cls=Command)
@click.argument("location", metavar="FILE")
@click.option("--kind", default="", metavar="KIND", help="Kind of problem, where several fit.")
@click.option("--name", default="", help="Name of the recipe; without it that of the file.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="An answer, as in source.label_column=queue."
)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to write it; NAME.toml here.")
@click.option("--yes", is_flag=True, help="Take the first answer to every question.")
@click.option("--force", is_flag=True, help="Write over an existing recipe.")
@as_json_option
def new(  # noqa: PLR0917 (the options above)
    location: str,
    kind: str,
    name: str,
    settings: tuple[str, ...],
    output: Path | None,
    yes: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Look at data and write a recipe for them. FILE is a file, folder, pattern such as "data/*.csv", or URL."""
    from rich.console import Console

    from flows.recipes.drafted_recipe import draft_recipe, fetch, name_of
    from flows.recipes.recipe_file import parse_assignment
    from flows.recipes.tried_recipe import try_recipe
    from flows.recipes.written_recipe import describe_choice, write_recipe

    path = output or Path(f"{name or name_of(location)}.toml")
    if path.exists() and not force:
        raise InputError("E-NEW-002", "exists already.", fix="give --output another name, or --force.", file=path)
    given: dict[str, object] = {".".join(keys): value for keys, value in map(parse_assignment, settings)}
    kind = kind or str(given.pop("kind", ""))
    console = Console(stderr=as_json, highlight=False, markup=False, soft_wrap=True)
    location, reasons = fetch(location), {}
    drafted = draft_recipe(location, given=given, kind=kind, name=name)
    show_look(drafted, console)
    while drafted.questions and (yes or (is_terminal() and not as_json)):
        question = drafted.questions[0]
        choice = question.choices[0 if yes else ask(question, console)]
        given |= choice.settings
        if yes:
            guess = "; or ".join(["the first guess, taken by --yes", *map(describe_choice, question.choices[1:2])])
            reasons |= dict.fromkeys(choice.settings, guess)
        drafted = draft_recipe(location, given=given, reasons=reasons, kind=kind, name=name)
    tried = try_recipe(drafted)
    path.write_text(write_recipe(drafted), encoding="utf-8")
    if as_json:
        print_json({"recipe": path, **describe(drafted), "seconds": round(tried.seconds)})
    else:
        show_recipe(path, drafted, tried, console)


def is_terminal() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def describe(drafted: "Drafted") -> dict:
    """What was found, in JSON values."""
    return {
        "kind": drafted.draft.kind,
        "reason": drafted.draft.reason,
        "others": [one.kind for one in drafted.others],
        "rows": drafted.seen.num_rows,
        "questions": [
            {"key": one.key, "question": one.text, "choices": [asdict(choice) for choice in one.choices]}
            for one in drafted.questions
        ],
        "settings": dict(drafted.settings()),
    }


def show_look(drafted: "Drafted", console: "Console") -> None:
    """Say what the files are."""
    about = "" if drafted.seen.is_whole else "about "
    noun = {"folder": "document", "ts": "sequence"}.get(drafted.seen.format, "row")
    counted = plural(drafted.seen.num_rows, noun)
    console.print(f"{printable(drafted.path)}: {about}{counted}", style="bold")
    console.print(f"{drafted.draft.kind}: {printable(drafted.draft.reason)}")
    for other in drafted.others:
        console.print(f"or --kind {other.kind}: {printable(other.reason)}", style="dim")


def ask(question: "Question", console: "Console") -> int:
    """Ask in the terminal; returns the number of the choice."""
    console.print(f"\n{printable(question.text).capitalize()}", style="bold")
    for number, choice in enumerate(question.choices, start=1):
        console.print(f"  {number}  {printable(choice.means)}")
    return click.prompt("Answer", type=click.IntRange(1, len(question.choices)), default=1) - 1


def show_recipe(path: Path, drafted: "Drafted", tried: "Tried", console: "Console") -> None:
    """Show the first rows as they are read, what is still open, and what comes next."""
    from flows.recipes.written_recipe import describe_choice

    if tried.rows.height:
        console.print(preview(tried, drafted, console.width))
    console.print(f"Wrote {path}. {cost(tried)}")
    for question in drafted.questions:
        console.print(f"? {printable(question.text)}", style="yellow")
        for choice in question.choices:
            console.print(f"    {describe_choice(choice)}")
    if drafted.questions:
        console.print(f"Write the answers into {path}, or run this again with --yes, which takes the first ones.")
    console.print(f"Next: rnnflow train {path}")


def preview(tried: "Tried", drafted: "Drafted", width: int) -> "Table":
    """The first rows as training reads them, in as many columns as fit."""
    import polars as pl
    from rich import box
    from rich.table import Table

    rows = tried.rows.select(~pl.selectors.list())
    keys = {one.key for one in drafted.draft.settings if one.value}
    is_single = "series" in rows.columns and rows["series"].n_unique() == 1
    if is_single and not keys & {"source.id_columns", "source.one_series_per_file"}:
        rows = rows.drop("series")
    titles = {name: printable(name.partition(".")[2] or name) for name in rows.columns}
    cells = {name: [on_one_line(cell) for cell in rows[name]] for name in rows.columns}
    widths = {name: max(map(len, [titles[name], *cells[name]])) for name in rows.columns}
    # Texts share what others leave; numbers and times are never cut.
    texts = rows.select(pl.selectors.string()).columns
    room = width - sum(GAP + (0 if name in texts else widths[name]) for name in rows.columns)
    widths |= {name: min(widths[name], max(room // len(texts), MIN_TEXT_WIDTH)) for name in texts}
    totals = itertools.accumulate(one + GAP for one in widths.values())
    shown = [name for name, total in zip(rows.columns, totals, strict=True) if total <= width] or rows.columns[:1]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption_justify="left")
    for name in shown:
        table.add_column(titles[name], justify="right" if rows[name].dtype.is_numeric() else "left", no_wrap=True)
    for row in zip(*(cells[name] for name in shown), strict=True):
        table.add_row(*(cut_to(cell, widths[name]) for name, cell in zip(shown, row, strict=True)))
    if len(shown) < rows.width:
        table.caption = f"and {plural(rows.width - len(shown), 'more column')}"
    return table


def on_one_line(cell: object) -> str:
    """A cell as people read it."""
    if isinstance(cell, float):
        return f"{cell:.0f}" if cell.is_integer() else f"{cell:g}"
    shown = "" if cell is None else " ".join(str(cell).split())
    return printable(shown.removesuffix("+00:00").removesuffix(" 00:00:00"))


def cut_to(text: str, width: int) -> str:
    """A text that fits into a column."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def cost(tried: "Tried") -> str:
    """What training takes, as roughly as it is known."""
    low, high = (tried.seconds * factor for factor in (0.5, 2))
    unit, size = ("min", MINUTE_S) if high > 2 * MINUTE_S else ("s", 1)
    memory = max(1, round(tried.num_bytes / GIB))
    span = f"{max(1, round(low / size))} to {round(high / size)} {unit}"
    return f"Training takes about {span} on 2 cores, and {memory} to {2 * memory} GB."
