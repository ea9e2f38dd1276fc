"""Rows whose number is their time: what would move all that follow is refused, for nothing else would show it."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from tasks.errors import InputError, plural, printable, quoted
from tasks.panel.cells import RowParser
from tasks.sources.decoding import Lines, open_text
from tasks.sources.inputs import InputFile
from tasks.sources.intake import Intake

# What spreadsheets leave of a row without cells.
NO_TEXT = ' \t\r\n,;|"'


def refuse_lost_order(parked: Path, files: Sequence[InputFile], intake: Intake, parser: RowParser) -> None:
    """Raise InputError (E-TIME-023) if parked rows, numbered in their series, do not tell which steps they are.

    A row whose cells are at fault keeps its number. One that could not be read as a row at all has none, a blank line
    may be a step without numbers, and no file says which comes first.
    """
    if not intake.settings.counts_rows:
        return
    num_unread = intake.skipped - sum(rows.height for rows in parser.refused)
    if num_unread:
        first = f" (first: {intake.examples[0]})" if intake.examples else ""
        raise _lost(f"{plural(num_unread, 'row')} could not be read{first}", "correct them, or remove them.")
    rows = pl.scan_parquet(parked)
    of_series = (
        rows.group_by("series")
        .agg(files=pl.col("file").unique(maintain_order=True))
        .filter(pl.col("files").list.len() > 1)
    )
    for series, names in of_series.sort("series").head(1).collect().iter_rows():
        raise _lost(
            f"series {quoted(series)} has rows in {len(names)} files, such as {printable(names[0])} and "
            f"{printable(names[1])}",
            "set one_series_per_file = true if each file is a series, or write its rows to one file.",
        )
    for file in files if intake.blank_lines else ():
        line = _find_blank(file, intake, rows)
        if line is not None:
            raise _lost(
                f"line {line} is blank",
                "remove it, or write NA in its cells if it is a step without numbers.",
                file=str(file.path),
                row=line,
            )


def _find_blank(file: InputFile, intake: Intake, rows: pl.LazyFrame) -> int | None:
    """The first line without text between the first and the last row of a file."""
    place = rows.filter(pl.col("file") == str(file.path)).select(first=pl.col("line").min(), last=pl.col("line").max())
    first, last = place.collect().row(0)
    own = Intake(intake.settings)
    with open_text(file, own) as stream:
        lines = Lines(stream, file, own)
        blank = (lines.number for line in lines if not line.strip(NO_TEXT))
        return next((number for number in blank if first is not None and first < number < last), None)


def _lost(problem: str, fix: str, *, file: str | None = None, row: int | None = None) -> InputError:
    return InputError(
        "E-TIME-023", f'{problem}, so with time_unit = "order" later steps are unknown.', fix=fix, file=file, row=row
    )
