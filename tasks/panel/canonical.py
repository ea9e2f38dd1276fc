"""Parsed rows to the canonical table: sorted by series and time, one row for each, one column per channel.

They are parked in a file in the order of their source until their times tell how they are to lie.

Columns: `row`, the number of the row in the source; `series`; `time`; `value.<channel>`; `known.<covariate>`.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import InputError, ResourceError, plural, quoted
from tasks.panel.cells import RowParser
from tasks.panel.frames import NUMBERS
from tasks.panel.policies import Sheet
from tasks.panel.row_order import refuse_lost_order
from tasks.panel.time_grid import DTYPES
from tasks.panel.unfolding import read_rows, trim_edges
from tasks.progress import Progress, emit
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake

PARKED_FILE = "parked.parquet"
MAX_SHOWN_NAMES = 5

MAX_CHANNELS = 1024
PREFIXES = ("value.", "known.")


def park_rows(path: Path, inputs: Inputs, intake: Intake, parser: RowParser) -> int:
    """Write the parsed rows in the order of the source, numbered from 0, and return how many there are.

    Raises InputError (E-DATA-001) if there is none, and what the readers and the parser raise;
    ResourceError (E-DATA-023) beyond `max_rows`.
    """
    schema, num_rows = pa.schema([("row", pa.uint32()), *parser.schema]), 0
    with pq.ParquetWriter(path, schema, compression="lz4") as writer:
        for rows in read_rows(inputs.files, intake, parser):
            numbered = rows.with_row_index("row", offset=num_rows)
            num_rows += rows.height
            if num_rows > intake.settings.max_rows:
                raise _too_many_rows(intake.settings.max_rows)
            writer.write_table(numbered.select(schema.names).to_arrow().cast(schema))
            emit(Progress(stage="ingest", done=num_rows))
    if not num_rows:
        raise _nothing_left(intake, parser)
    refuse_lost_order(path, inputs.files, intake, parser)
    if intake.settings.layout != "table":
        num_rows = trim_edges(path)
    intake.kept, intake.foreign = num_rows, parser.other_channels.total()
    parser.time_line.settle_order(path)
    return num_rows


def make_sheet(folder: Path, inputs: Inputs, parser: RowParser) -> Sheet:
    """The rows that were parked in a folder, as a table with a row per series and time."""
    path, clock = folder / PARKED_FILE, parser.time_line.clock
    return Sheet(path=path, settings=parser.settings, clock=clock, files=inputs.files)


def describe_others(parser: RowParser) -> list[str]:
    """Say which channels were left out, if any were."""
    others = parser.other_channels
    count = plural(others.total(), "row")
    said = f"left out {count} of channels that the model never learned: {_show_names(others)}"
    return [said] if others else []


def _show_names(names: Collection[str]) -> str:
    """The first of some names."""
    more = ["..."] if len(names) > MAX_SHOWN_NAMES else []
    return ", ".join([*map(quoted, sorted(names)[:MAX_SHOWN_NAMES]), *more])


def _nothing_left(intake: Intake, parser: RowParser) -> InputError:
    others = parser.other_channels
    counted = {"bad": intake.skipped, **{f"other than where.{name}": count for name, count in intake.filtered.items()}}
    counted[f"of channels that the model never learned ({_show_names(others)})"] = others.total()
    parts = [f"{count} {what}" for what, count in counted.items() if count]
    first = f" (first: {intake.examples[0]})" if intake.examples else ""
    fix = "check `where` and on_bad_rows, or the files."
    if parser.known_channels is not None and others:
        fix = f"name the channels as in training: {', '.join(map(quoted, parser.known_channels))}."
    return InputError("E-DATA-001", f"no rows are left{': ' if parts else ''}{', '.join(parts)}{first}.", fix=fix)


def _too_many_rows(max_rows: int) -> ResourceError:
    return ResourceError(
        "E-DATA-023",
        f"the source has more than max_rows = {max_rows} rows.",
        fix="raise max_rows if the source is meant to be that large.",
    )


def write_canonical(
    path: Path, sheet: Sheet, ordered: pl.DataFrame, duplicates: pl.DataFrame, *others: pl.Expr
) -> list[str]:
    """Write the rows as they are ordered, one for each series and time, with `others` of their columns.

    Returns the names of the channels.
    """
    rows = pl.scan_parquet(sheet.path)
    if not ordered["row"].is_sorted():
        position = ordered.lazy().select("row").with_row_index("position")
        rows = rows.join(position, on="row", maintain_order="left").sort("position").drop("position")
    rows = _without_duplicates(rows, duplicates, sheet)
    channels = list(sheet.settings.value_columns)
    if sheet.settings.channel_column is not None:
        channels = _channels(ordered)
        rows = _pivoted(rows, channels)
    canonical = rows.select("row", "series", pl.col("time").cast(DTYPES[sheet.clock]), *others, NUMBERS)
    canonical.sink_parquet(path, compression="zstd", maintain_order=True)
    return channels


def _without_duplicates(rows: pl.LazyFrame, duplicates: pl.DataFrame, sheet: Sheet) -> pl.LazyFrame:
    """Keep one row of each group that shares its time, as `duplicates` says."""
    if duplicates.is_empty():
        return rows
    groups = pl.concat([duplicates, duplicates.select(row="of_row", of_row="of_row").unique()])
    if sheet.settings.duplicates == "mean":
        rows = _with_means(rows, groups)
    keeps_last = sheet.settings.duplicates == "last"
    kept = groups.group_by("of_row").agg(pl.col("row").max() if keeps_last else pl.col("of_row").first().alias("row"))
    dropped = groups.join(kept, on="row", how="anti")["row"].implode()
    return rows.filter(~pl.col("row").is_in(dropped))


def _with_means(rows: pl.LazyFrame, groups: pl.DataFrame) -> pl.LazyFrame:
    """Put the mean of each group, without its missing values, into the row that came first."""
    names = rows.collect_schema().names()
    members = rows.join(groups.lazy(), on="row", maintain_order="left").collect()
    # Not streamed: sums of several morsels depend on which came first.
    means = members.group_by("of_row", maintain_order=True).agg(NUMBERS.mean())
    marked = means.lazy().rename({"of_row": "row"}).with_columns(is_mean=True)
    joined = rows.join(marked, on="row", how="left", maintain_order="left", suffix=" (mean)")
    numbers = [name for name in names if name.startswith(PREFIXES)]
    merged = [pl.when("is_mean").then(f"{name} (mean)").otherwise(name).alias(name) for name in numbers]
    return joined.with_columns(merged).select(names)


def _channels(ordered: pl.DataFrame) -> list[str]:
    channels = ordered["channel"].unique().sort().to_list()
    if len(channels) > MAX_CHANNELS:
        raise InputError(
            "E-SER-005",
            f"found {len(channels)} channels, such as {', '.join(map(quoted, channels[:3]))}, expected at most "
            f"{MAX_CHANNELS}.",
            fix="name the column of the channels as channel_column, and those of the series as id_columns.",
        )
    return channels


def _pivoted(rows: pl.LazyFrame, channels: Sequence[str]) -> pl.LazyFrame:
    """One row per series and time, one column per channel; a channel without a row there is missing."""
    values = [NUMBERS.filter(pl.col("channel") == name).first().alias(f"value.{name}") for name in channels]
    return rows.group_by("series", "time", maintain_order=True).agg(pl.col("row").min(), *values)
