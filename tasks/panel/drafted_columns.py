"""Which columns tell series apart, and which hold their numbers."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import polars as pl

from tasks.discovery.columns import Column, find_sentinels
from tasks.discovery.draft import Choice, Question, Setting
from tasks.discovery.seen import Seen
from tasks.discovery.times import Reading, is_clock, read_times
from tasks.discovery.words import ANOMALIES, CALENDAR, CHANNELS, IDS, KNOWN_AHEAD, STEPS, TIMES, is_named
from tasks.errors import plural, quoted

MAX_IDS = 3
MAX_CANDIDATES = 8
MAX_LISTED = 1024
# Rows of a series, on average; of fewer, columns tell times apart by chance.
MIN_STEPS = 3


def find_ids(
    seen: Seen, reading: Reading | None, rest: Sequence[Column]
) -> tuple[list[Column], Column | None, pl.DataFrame]:
    """The columns that tell series apart, the one that names channels, and the rows with their series."""
    height = seen.height
    time = reading.times.cast(pl.Int64) if reading else pl.select(pl.int_range(height)).to_series()
    frame = pl.DataFrame({"time": time, "place": pl.select(pl.int_range(height)).to_series()})
    categories = [one for one in rest if _may_be_id(one, height)][:MAX_CANDIDATES]
    cells = frame.with_columns(pl.Series(f"id {one.name}", one.cells) for one in categories)
    chosen = list(seen.chosen("source.id_columns", "source.id_column"))
    if not chosen and categories and reading is not None:
        chosen = _telling(cells, categories)
    names = [f"id {one.name}" for one in chosen]
    missing = [f"id {one.name}" for one in chosen if f"id {one.name}" not in cells.columns]
    cells = cells.with_columns(pl.Series(name, seen.columns[name.removeprefix("id ")].cells) for name in missing)
    series = pl.concat_str(names, separator="/", ignore_nulls=True) if names else pl.lit("series")
    rows = cells.select("time", "place", series=series).filter(pl.col("time").is_not_null())
    channels = [one for one in chosen if is_named(one.name, CHANNELS)]
    if channels and len(chosen) >= 1 and not seen.chosen("source.id_columns"):
        return [one for one in chosen if one is not channels[0]], channels[0], rows
    return chosen, None, rows


def _telling(cells: pl.DataFrame, categories: Sequence[Column]) -> list[Column]:
    """The fewest columns that leave each time once in a series; of as many those called ids, then the first."""
    num_rows, alone = cells.height, cells["time"].n_unique()
    if alone == num_rows:
        ids = [one for one in categories if is_named(one.name, IDS) and one.distinct > 1]
        is_sorted = cells["time"].is_sorted()
        return ids[:1] if ids and not is_sorted and _sorted_within(cells, ids[0]) else []
    best: tuple[int, list[Column]] = (alone, [])
    for size in range(1, MAX_IDS + 1):
        sets = sorted(
            itertools.combinations(categories, size),
            key=lambda columns: (
                -sum(is_named(one.name, IDS) for one in columns),
                sum(one.is_number for one in columns),
                max(one.distinct for one in columns),
            ),
        )
        for columns in sets:
            names = [f"id {one.name}" for one in columns]
            if cells.select(names).n_unique() * MIN_STEPS > num_rows:
                continue
            told = cells.select("time", *names).n_unique()
            if told == num_rows:
                return list(columns)
            if told > max(best[0], num_rows * 0.5) and size <= max(1, len(best[1])):
                best = (told, list(columns))
    return best[1]


def _sorted_within(cells: pl.DataFrame, column: Column) -> bool:
    back = (pl.col("time").diff() < 0).over(f"id {column.name}")
    return not bool(cells.select(back.any()).item())


def _may_be_id(column: Column, num_rows: int) -> bool:
    if column.filled.is_empty() or column.distinct >= num_rows or column.distinct < 2 or column.cells.null_count():  # noqa: PLR2004
        return False
    if column.is_number:
        few = column.distinct <= num_rows / 10 and not is_named(column.name, CALENDAR | KNOWN_AHEAD)
        return column.is_whole and not column.is_flag and (few or is_named(column.name, IDS))
    return column.words < 4 and not is_clock(column) and not read_times(column)  # noqa: PLR2004


def find_values(
    seen: Seen, rest: Sequence[Column], reading: Reading | None, *, covariates: bool
) -> tuple[list[Column], list[Column], dict[str, str]]:
    """Columns to model, those known in advance, and those left aside with the reason."""
    chosen, ahead = list(seen.chosen("source.value_columns")), list(seen.chosen("source.covariate_columns"))
    values: list[Column] = []
    known: list[Column] = []
    left: dict[str, str] = {}
    for one in rest:
        reason = _why_left_out(one, reading, is_whole=seen.is_whole)
        if reason:
            left[one.name] = reason
        elif one.is_number:
            (known if is_named(one.name, KNOWN_AHEAD) and one.is_whole else values).append(one)
    if chosen:
        left |= {one.name: "not chosen" for one in values if one not in chosen}
        values = chosen
    if not covariates:
        left |= {one.name: "known in advance" for one in known}
        return values, [], left
    flags = [one for one in values if one.is_flag]
    if ahead or "source.covariate_columns" in seen.given:
        known = ahead
        left |= {one.name: "not chosen" for one in flags if one not in ahead}
    elif len(flags) < len(values) and not chosen:
        known += flags
    values = [one for one in values if one not in known and one.name not in left]
    return values, known, left


def _why_left_out(column: Column, reading: Reading | None, *, is_whole: bool) -> str:
    """Why a column is not modelled; nothing where it may be, as where it is constant in a sample alone."""
    is_ahead = is_named(column.name, KNOWN_AHEAD)
    reasons = {
        "text": not column.is_number and not column.filled.is_empty(),
        "empty" if is_whole else "empty in the rows looked at": column.filled.is_empty(),
        "constant": is_whole and column.is_number and column.distinct < 2,  # noqa: PLR2004
        "a counter of rows": _is_counter(column),
        "follows from the time": reading is not None
        and not is_ahead
        and is_named(column.name, CALENDAR)
        and column.is_whole,
        "a label": _marks_anomalies(column),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _marks_anomalies(column: Column) -> bool:
    return is_named(column.name, ANOMALIES) and (column.is_flag or set(column.counts) <= {"0.0", "1.0"})


def _is_counter(column: Column) -> bool:
    if (
        not column.is_whole
        or column.numbers.null_count()
        or not is_named(column.name, STEPS | IDS | TIMES | {"column"})
    ):
        return False
    return column.cells.len() > 2 and bool((column.numbers.diff().drop_nulls() == 1).all())  # noqa: PLR2004


def are_alike(values: Sequence[Column]) -> bool:
    """Whether columns are named one like the other but for a number, as meters or shops are."""
    stems = {one.name.rstrip("0123456789") for one in values}
    return len(stems) <= max(1, len(values) // 10)


def id_settings(
    seen: Seen,
    reading: Reading | None,
    ids: Sequence[Column],
    channel: Column | None,
    values: Sequence[Column],
    *,
    is_wide: bool,
) -> Iterator[Setting | Question]:
    """The layout, and the columns that name series or channels."""
    if is_wide:
        why = f'each of {len(values)} columns is a series; "table" makes them channels of one'
        yield Setting("source.layout", "series_per_column", why)
    if ids:
        why = f"{ids[0].distinct:,} series" if len(ids) == 1 else "together they tell rows of one time apart"
        yield Setting("source.id_columns", [one.name for one in ids], why)
    elif seen.found.num_tables > 1 and channel is None:
        yield _several_files(seen, reading)
    if channel is not None:
        yield Setting("source.channel_column", channel.name, "a row per channel; or name it in id_columns")


def _several_files(seen: Seen, reading: Reading | None) -> Setting | Question:
    """Files are series where times of the first recur in others; else they may also be parts of one series."""
    key, counted = "source.one_series_per_file", plural(seen.found.num_tables, "file")
    times = [seen.columns[name] for name in reading.columns] if reading else []
    if set(zip(*(one.cells for one in times), strict=True)) & set(zip(*(one.others for one in times), strict=True)):
        return Setting(key, True, counted)
    parts = Choice({key: False}, "parts of one series, in the order of their names")
    series = Choice({key: True}, "a series each")
    return Question(f"what are the {counted}?", (parts, series) if times else (series, parts))


def value_settings(
    seen: Seen, values: Sequence[Column], known: Sequence[Column], left: dict[str, str], *, is_wide: bool
) -> Iterator[Setting | Question]:
    """The columns of numbers, what is known in advance, and what was left out."""
    if not is_wide:
        constant = [one.name for one in values if one.distinct < 2 and not seen.is_whole]  # noqa: PLR2004
        why = f"constant in the rows looked at: {', '.join(constant)}" if constant else ""
        yield Setting("source.value_columns", [one.name for one in values][:MAX_LISTED], why)
    if known and all(is_named(one.name, KNOWN_AHEAD) for one in known):
        yield Setting("source.covariate_columns", [one.name for one in known], "by their names")
    elif known:
        names = [one.name for one in known]
        yield Question(
            f"are {' and '.join(map(quoted, names))} known in advance, as holidays are?",
            (
                Choice({"source.covariate_columns": names}, "known for the time that is forecast"),
                Choice({"source.covariate_columns": None}, "not used"),
            ),
        )
    for reason, group in () if is_wide else itertools.groupby(sorted(left, key=left.__getitem__), key=left.__getitem__):
        yield Setting("", None, f"left out, {reason}: {', '.join(group)}")


def number_settings(values: Sequence[Column]) -> Iterator[Setting | Question]:
    """What stands for missing numbers."""
    markers = sorted({marker for one in values for marker in one.markers or ()})
    if markers:
        yield Setting("source.missing_values", markers, "in columns of numbers")
    sentinels = find_sentinels(values)
    if sentinels is not None:
        yield sentinels


def order_settings(
    rows: pl.DataFrame, num_repeated: int, findings: Iterable[Setting | Question]
) -> Iterator[Setting | Question]:
    """What is done about rows that repeat a time or go back."""
    zoned = any(isinstance(one, Question) and one.key == "source.time_zone" for one in findings)
    if num_repeated and not zoned:
        choices = [("mean", "their mean"), ("first", "the first of them"), ("last", "the last of them")]
        yield Question(
            f"{plural(num_repeated, 'row')} repeat a time of their series: which is kept?",
            tuple(Choice({"source.duplicates": name, "source.expect_merged": True}, means) for name, means in choices),
        )
    back = rows.select((pl.col("time").diff() < 0).over("series").sum()).item()
    if back and not zoned:
        yield Setting("source.unsorted", "sort", f"{plural(back, 'row')} go back in time")
