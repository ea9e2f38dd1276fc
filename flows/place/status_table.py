"""The parts of a place on a terminal."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.place.status import ANSWERING, STARTING, WAITING, PartStatus, PlaceStatus, describe_age
from tasks.errors import printable

STYLES = {ANSWERING: "green", STARTING: "yellow", WAITING: "yellow"}


def print_status(place: PlaceStatus) -> None:
    """Write one line per part to stdout, and the end of the log of each that is not well."""
    console = Console(highlight=False)
    if not place.is_up:
        console.print(describe_absence(place))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("part", "state", "at", "since", "restarts"):
        table.add_column(header, justify="right" if header == "restarts" else "left", overflow="fold")
    for part in place.parts:
        state = Text(part.state, style=STYLES.get(part.state, "red"))
        since = describe_age(part.started) if part.pid else ""
        table.add_row(part.title, state, printable(part.address), since, str(part.deaths or ""))
    console.print(table)
    for part in place.parts:
        if part.log_tail:
            console.print(Text(describe_trouble(part)), soft_wrap=True)


def describe_absence(place: PlaceStatus) -> str:
    """Say that a place is not up, and whether something of it is left."""
    if place.orphans:
        left = f"The supervisor of this place is gone, but {place.orphans} of its processes still run."
        return f"{left}\n`rnnflow up` replaces them, `rnnflow down` ends them."
    return "The place is not up; start it with: rnnflow up"


def describe_trouble(part: PartStatus) -> str:
    """What is known of a part that is not well: how it died, and the end of its log."""
    died = f" (ended {part.deaths} times, last: {part.last_death})" if part.deaths else ""
    tail = "\n".join(f"    {printable(line)}" for line in part.log_tail)
    return f"{part.title}: {part.state}{died}; {part.log} ends with\n{tail}"
