"""Canonical rows as a user has them: a table with the columns of the source."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from tasks.series.names import split_name
from tasks.series.source import StampedSource


def to_source_table(rows: pl.DataFrame, source: StampedSource) -> pl.DataFrame:
    """Give canonical rows the columns of a source whose preset is filled in; times keep their type."""
    numbers = [name for name in rows.columns if name.startswith(("value.", "known."))]
    names = {"time": source.time_column, **{name: name.partition(".")[2] for name in numbers}}
    table = rows.select(names.keys()).rename(names)
    table = pl.concat([_split_names(rows["series"], source.id_columns), table], how="horizontal")
    if source.channel_column is None:
        return table
    (value,) = source.value_columns
    index = [*source.id_columns, source.time_column]
    return table.unpivot(index=index, variable_name=source.channel_column, value_name=value)


def write_source_table(path: Path, table: pl.DataFrame, source: StampedSource) -> None:
    """Write a table with the columns of a source as CSV, its times as the source's settings read them."""
    table.with_columns(_show_times(table[source.time_column], source)).write_csv(path)


def _split_names(series: pl.Series, columns: Sequence[str]) -> pl.DataFrame:
    """The id columns of rows, given the names of their series."""
    names = series.unique(maintain_order=True)
    parts = [split_name(name, len(columns)) for name in names] if columns else []
    known = pl.DataFrame(parts, schema=dict.fromkeys(columns, pl.String), orient="row").with_columns(names)
    return series.to_frame().join(known, on=series.name, how="left", maintain_order="left").select(columns)


def _show_times(times: pl.Series, source: StampedSource) -> pl.Series:
    if source.time_unit in ("s", "ms", "us", "ns"):
        return times.dt.epoch(source.time_unit)
    if source.time_format is None:
        return times
    local = times if source.time_zone is None else times.dt.convert_time_zone(source.time_zone)
    return local.dt.strftime(source.time_format)
