"""Rows whose number is their time: what would move all that follow is refused, for nothing else would show it."""

from pathlib import Path

import polars as pl

from tasks.errors import InputError, plural, printable, quoted
from tasks.panel.cells import RowParser
from tasks.sources.intake import Intake


def refuse_lost_order(parked: Path, intake: Intake, parser: RowParser) -> None:
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
    files = (
        rows.group_by("series")
        .agg(files=pl.col("file").unique(maintain_order=True))
        .filter(pl.col("files").list.len() > 1)
    )
    for series, names in files.sort("series").head(1).collect().iter_rows():
        raise _lost(
            f"series {quoted(series)} has rows in {len(names)} files, such as {printable(names[0])} and "
            f"{printable(names[1])}",
            "set one_series_per_file = true if each file is a series, or write its rows to one file.",
        )
    if intake.blank_lines and (found := _find_blank(rows, parser)):
        file, line = found
        raise _lost(
            f"line {line} is blank",
            "remove it, or write NA in its cells if it is a step without numbers.",
            file=file,
            row=line,
        )


def _find_blank(rows: pl.LazyFrame, parser: RowParser) -> tuple[str, int] | None:
    """The first line between two rows that holds none."""
    places = [rows.select("file", "line").collect(), *(refused.select("file", "line") for refused in parser.refused)]
    lines = pl.concat(places).unique().sort("file", "line")
    follows = pl.col("file") == pl.col("file").shift()
    skipped = lines.with_columns(blank=pl.col("line").shift() + 1).filter(follows & (pl.col("line") > pl.col("blank")))
    return None if skipped.is_empty() else skipped.select("file", "blank").row(0)


def _lost(problem: str, fix: str, *, file: str | None = None, row: int | None = None) -> InputError:
    return InputError(
        "E-TIME-023", f'{problem}, so with time_unit = "order" later steps are unknown.', fix=fix, file=file, row=row
    )
