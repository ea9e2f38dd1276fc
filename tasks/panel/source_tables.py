"""Canonical rows as a user has them: a table with the columns of the source."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from tasks.panel.frames import bare_name
from tasks.panel.layout import SERIES, TIME, VALUE
from tasks.panel.names import split_name
from tasks.panel.source import StampedSource
from tasks.panel.stamp_parts import name_parts

CLOCK = "%H:%M:%S%.f"
STEP = "\0step"  # no header has a column of this name
SHOWN_PARTS = {
    **{"date": "%Y-%m-%d", "year": "%Y", "month": "%m", "day": "%d"},
    **{"hour": "%H", "minute": "%M", "second": "%S"},
}


def to_source_table(rows: pl.DataFrame, source: StampedSource) -> pl.DataFrame:
    """Give canonical rows the columns of a source whose preset is filled in; times keep their type.

    Columns that `where` looks at hold what it asks for. A table has a row per series and time, whatever files have.
    """
    return _with_wanted(_named_as_in(rows, source.as_table()), source)


def with_unwanted(table: pl.DataFrame, source: StampedSource) -> pl.DataFrame:
    """Add rows that `where` leaves out, of the last row's time and with other values.

    They come before and after it, so that a reader who keeps them shows it whatever it does about duplicates.
    """
    last = table.tail(1)
    changed = last.with_columns(pl.col(source.as_table().value_columns).fill_null(0) * 2 + 1)
    others = [changed.with_columns(pl.lit(f"not {value}").alias(name)) for name, value in source.where.items()]
    return pl.concat([table[:-1], *others, last, *others], how="vertical_relaxed")


def _with_wanted(table: pl.DataFrame, source: StampedSource) -> pl.DataFrame:
    wanted = {name: pl.lit(value) for name, value in source.where.items() if name not in table.columns}
    return table.with_columns(**wanted)


def _named_as_in(rows: pl.DataFrame, source: StampedSource) -> pl.DataFrame:
    numbers = [name for name in rows.columns if name.startswith(("value.", "known."))]
    values = rows.select(pl.col(name).alias(bare_name(name)) for name in numbers)
    ids = [_split_names(rows["series"], source.id_columns)] if source.id_columns else []
    stamps = _stamps(rows["time"], source)
    table = pl.concat([*ids, stamps, values], how="horizontal")
    if source.channel_column is None:
        return table
    (value,) = source.value_columns
    index = [*source.id_columns, *stamps.columns]
    return table.unpivot(index=index, variable_name=source.channel_column, value_name=value)


def write_source_table(path: Path, table: pl.DataFrame, source: StampedSource) -> None:
    """Write a table with a row per series and time as CSV, in the layout and form in which the source is read."""
    time = source.as_table().first_time_column
    if time in table.columns:
        times = table[time]
        table = table.with_columns(times if times.dtype == pl.String else _show_times(times, source))
    if source.layout != "table":
        table = _series_as_columns(table, source) if source.layout == "series_per_column" else _as_rows(table, source)
    if source.decimal != ".":
        numbers = pl.col(pl.Float64).cast(pl.String)
        table = table.with_columns(numbers.str.replace(".", source.decimal, literal=True))
    delimiter = "," if source.delimiter == "auto" else source.delimiter
    # A cell that begins as a comment does is none within quotes.
    quoting = "always" if source.comment else "necessary"
    if source.columns:
        table = table.select(
            column if column in table.columns else pl.lit("").alias(column) for column in source.columns
        )
    text = table.write_csv(
        separator=delimiter, include_header=not source.columns, quote_style=quoting if source.quoted else "never"
    )
    path.write_bytes(text.encode(source.encoding))


def _series_as_columns(table: pl.DataFrame, source: StampedSource) -> pl.DataFrame:
    """A column for each series, and for each that the source names."""
    numbered = table.with_columns(pl.int_range(pl.len()).over(SERIES).alias(STEP)) if source.counts_rows else table
    index = [name for name in numbered.columns if name not in (SERIES, VALUE)]
    wide = numbered.pivot(SERIES, index=index, values=VALUE).drop(STEP, strict=False)
    return _with_empty(wide, source.number_columns(source.columns))


def _as_rows(table: pl.DataFrame, source: StampedSource) -> pl.DataFrame:
    """A row for each series, its numbers from the left, or under their times."""
    ids, names = list(source.as_table().id_columns), source.number_columns(source.columns)
    if source.has_times_in_header:
        table = table.rename({TIME: STEP}).cast({STEP: pl.String})
    else:
        step = pl.int_range(pl.len()).over(ids).cast(pl.String)
        table = table.with_columns(step.replace({str(number): name for number, name in enumerate(names)}).alias(STEP))
    index = [name for name in table.columns if name not in (STEP, VALUE)]
    # The first time of a series is its start.
    wide = table.with_columns(pl.col(index).first().over(ids)).pivot(STEP, index=index, values=VALUE)
    return _with_empty(wide if source.id_columns else wide.drop(ids), names)


def _with_empty(table: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """A table that also has the named columns of numbers."""
    return table.with_columns(pl.lit(None, pl.Float64).alias(name) for name in names if name not in table.columns)


def _stamps(times: pl.Series, source: StampedSource) -> pl.DataFrame:
    """The columns of a row's time: times of their own type, or texts where several columns hold a time."""
    if not source.has_times:
        return pl.DataFrame()
    if len(source.time_columns) == 1:
        return times.alias(source.time_columns[0]).to_frame()
    is_instant = getattr(times.dtype, "time_zone", None) is not None
    local = times.dt.convert_time_zone(source.time_zone) if is_instant and source.time_zone else times
    formats = _formats(local, source, ending="Z" if is_instant and source.time_zone is None else "")
    return pl.DataFrame([local.dt.strftime(shown).alias(name) for name, shown in formats.items()])


def _formats(local: pl.Series, source: StampedSource, *, ending: str) -> dict[str, str]:
    """How each of several columns shows its part of a time."""
    *first, last = source.time_columns
    if source.time_format is not None:
        # Cells are joined by a space, wherever it is cut.
        pieces = source.time_format.split()
        return dict(zip(first, pieces, strict=False)) | {last: " ".join(pieces[len(first) :])}
    parts = name_parts(source) or ("date", "")
    is_whole = parts[-1] != "hour" or (local.dt.truncate("1h") == local).all()
    shown = SHOWN_PARTS.get(parts[-1], CLOCK) if is_whole else CLOCK
    return {name: SHOWN_PARTS[part] for name, part in zip(first, parts, strict=False)} | {last: shown + ending}


def _split_names(series: pl.Series, columns: Sequence[str]) -> pl.DataFrame:
    """The id columns of rows, given the names of their series."""
    names = series.unique(maintain_order=True)
    parts = [split_name(name, len(columns)) for name in names]
    known = pl.DataFrame(parts, schema=dict.fromkeys(columns, pl.String), orient="row").with_columns(names)
    return series.to_frame().join(known, on=series.name, how="left", maintain_order="left").select(columns)


def _show_times(times: pl.Series, source: StampedSource) -> pl.Series:
    if source.time_unit in ("s", "ms", "us", "ns"):
        return times.dt.epoch(source.time_unit)
    if source.time_format is None:
        return times
    local = times if source.time_zone is None else times.dt.convert_time_zone(source.time_zone)
    return local.dt.strftime(source.time_format)
