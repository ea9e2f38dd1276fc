"""What to do about rows that miss the grid or leave steps out; decided on times alone.

Times are frames with the columns `row`, `series`, perhaps `channel`, and `time`, Int64.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import polars as pl

from tasks.errors import InputError, plural, quoted
from tasks.panel.holes import are_workdays
from tasks.panel.source import SeriesSource, StampedSource
from tasks.panel.time_grid import FOLLOWS_IN_SERIES, Clock, TimeGrid, show_time
from tasks.sources.inputs import InputFile

MAX_EXAMPLES = 20
WORKDAYS_ALONE = 'set frequency = "1bd", by which days from Monday to Friday follow one another; for holidays, set '

SourceT_co = TypeVar("SourceT_co", bound=StampedSource, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Sheet(Generic[SourceT_co]):
    """The rows as they were parsed, in the order of the source, parked in a file with the place of each."""

    path: Path
    settings: SourceT_co
    clock: Clock
    files: Sequence[InputFile]

    @property
    def keys(self) -> list[str]:
        """Columns within which a time occurs once."""
        return ["series"] if self.settings.channel_column is None else ["series", "channel"]

    def times(self) -> pl.DataFrame:
        """Row, series, perhaps channel, and time of all rows."""
        return pl.scan_parquet(self.path).select("row", *self.keys, "time").collect(engine="streaming")

    def place(self, row: int) -> tuple[str, int]:
        """File and line of a row."""
        found = pl.scan_parquet(self.path).filter(pl.col("row") == row).select("file", "line")
        return found.collect(engine="streaming").row(0)

    def show(self, time: int) -> str:
        """A time as a person writes it."""
        return show_time(time, self.clock)

    def error(self, code: str, row: int, problem: str, fix: str) -> InputError:
        """An error at the time of a row."""
        file, line = self.place(row)
        return InputError(code, problem, fix=fix, file=file, row=line, column=self.settings.first_time_column)


def refuse_irregular(sheet: Sheet, ordered: pl.DataFrame, grid: TimeGrid) -> None:
    """Raise InputError (E-TIME-015) for the first row between two steps of the grid."""
    is_irregular = grid.find_irregular(ordered["time"].cast(grid.dtype))
    num_irregular = int(is_irregular.sum())
    if not num_irregular:
        return
    first = ordered.filter(is_irregular).row(0, named=True)
    on_clocks = f" on clocks in {grid.zone}" if grid.zone else ""
    raise sheet.error(
        "E-TIME-015",
        first["row"],
        f"got {sheet.show(first['time'])}, which lies between two steps of {grid.frequency}{on_clocks}, as do "
        f"{num_irregular} of {ordered.height} rows.",
        "average the rows of each step first, or set frequency (for steps of days also time_zone) if it is another.",
    )


def find_gaps(sheet: Sheet[SeriesSource], ordered: pl.DataFrame, grid: TimeGrid) -> pl.DataFrame:
    """The places where steps are missing: columns row (the one after the gap), series, after, before, steps.

    Raises InputError (E-TIME-016) for the first of them if `gaps` is "error".
    """
    times = ordered["time"].cast(grid.dtype)
    numbered = ordered.with_columns(position=grid.positions(times))
    steps = pl.when(FOLLOWS_IN_SERIES).then(pl.col("position").diff() - 1)
    found = numbered.with_columns(steps=steps, after=pl.col("time").shift(), before="time").filter(pl.col("steps") > 0)
    if found.height and sheet.settings.gaps == "error":
        first = found.row(0, named=True)
        raise sheet.error(
            "E-TIME-016",
            first["row"],
            f"got {grid.show(first['before'])} after {grid.show(first['after'])} in series "
            f"{quoted(first['series'])}: {plural(first['steps'], 'missing step')} of {grid.frequency}.",
            (WORKDAYS_ALONE if are_workdays(times, grid) else "fill in the rows, or set ")
            + 'gaps = "cut", or "span" if rows that follow one another are steps.',
        )
    return found.select("row", "series", "after", "before", "steps")


def describe_gaps(gaps: pl.DataFrame, grid: TimeGrid) -> dict:
    """Number of gaps and of missing steps, and the first gaps with their times."""
    first = gaps.head(MAX_EXAMPLES).drop("row").to_dicts()
    shown = [gap | {end: grid.show(gap[end]) for end in ("after", "before")} for gap in first]
    return {"number": gaps.height, "steps": int(gaps["steps"].sum()), "first": shown}
