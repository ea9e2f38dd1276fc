"""Sequences that lost a row which could not be read: without it they would be shorter, and so other, sequences."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from tasks.contract.table_model import Refusal
from tasks.errors import InputError, plural, quoted
from tasks.panel.cells import RowParser
from tasks.sources.inputs import InputFile
from tasks.sources.intake import Intake

PLACE = {"file": pl.String, "line": pl.UInt64}
LOST = PLACE | {"series": pl.String}
# A line of such a file is a whole sequence, and those around it lack nothing.
WHOLE_SEQUENCES = "ts"
MAX_SHOWN = 3


def find_incomplete(parked: Path, files: Sequence[InputFile], intake: Intake, parser: RowParser) -> list[Refusal]:
    """The sequences that lost a row, sorted by name, each with the place of the first one (E-SEQ-004).

    A row that was refused for one of its cells names its sequence. Where it does not, or a line could not be taken
    apart, the sequences around it may have lost a row, and where a file could not be read on, all of it.
    """
    refused = pl.concat([pl.DataFrame(schema=LOST), *parser.refused])
    named = refused.filter(pl.col("series") != "")
    whole = [str(file.path) for file in files if file.kind == WHOLE_SEQUENCES]
    places = pl.DataFrame(intake.bad_places, schema=PLACE, orient="row").filter(~pl.col("file").is_in(whole))
    unnamed = places.join(named, on=list(PLACE), how="anti", nulls_equal=True)
    lost = pl.concat([named, _around(parked, unnamed)]).sort("series", "file", "line", nulls_last=True)
    return [
        Refusal(row["series"], _lost_a_row(**row))
        for row in lost.unique("series", keep="first").sort("series").iter_rows(named=True)
    ]


def leave_out(parked: Path, names: Sequence[str]) -> int:
    """Take the rows of sequences out of a parked file; returns how many there were."""
    if not names:
        return 0
    rows = pl.read_parquet(parked)
    kept = rows.filter(~pl.col("series").is_in(list(names)))
    kept.write_parquet(parked, compression="lz4")
    return rows.height - kept.height


def describe_incomplete(names: Sequence[str]) -> str:
    """Say which sequences were left out of a training."""
    shown = ", ".join(map(quoted, names[:MAX_SHOWN])) + (", ..." if len(names) > MAX_SHOWN else "")
    return f"left out {plural(len(names), 'sequence')} with a row that could not be read: {shown}"


def _lost_a_row(file: str, line: int | None, series: str) -> InputError:
    return InputError(
        "E-SEQ-004",
        f"sequence {quoted(series)} lacks, or may lack, a row that could not be read.",
        fix="correct the row; without it the sequence would be incomplete.",
        file=file,
        row=line,
    )


def _around(parked: Path, places: pl.DataFrame) -> pl.DataFrame:
    """Sequences with rows next to the places, or before and after one; of a place without a line, all of its file."""
    if places.is_empty():
        return pl.DataFrame(schema=LOST)
    rows = pl.read_parquet(parked, columns=["file", "line", "series"])
    lines = rows.select("file", "line").unique().sort("file", "line")
    neighbours = lines.with_columns(
        before=pl.col("line").shift().over("file"), after=pl.col("line").shift(-1).over("file")
    )
    spans = rows.group_by("file", "series").agg(first=pl.col("line").min(), last=pl.col("line").max())
    spans = spans.join(neighbours.select("file", "before", first="line"), on=["file", "first"])
    spans = spans.join(neighbours.select("file", "after", last="line"), on=["file", "last"])
    spans = spans.with_columns(pl.col("before").fill_null(0)).sort("before")
    bad = places.drop_nulls("line").sort("line")
    next_bad = spans.join_asof(
        bad.rename({"line": "bad"}),
        left_on="before",
        right_on="bad",
        by="file",
        strategy="forward",
        check_sortedness=False,
    )
    unread = places.filter(pl.col("line").is_null())["file"].implode()
    is_touched = (pl.col("bad") < pl.col("after").fill_null(pl.UInt64.max())) | pl.col("file").is_in(unread)
    return next_bad.filter(is_touched).select("file", line="bad", series="series")
