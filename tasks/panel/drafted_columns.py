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
    time = reading.times.cast(pl.Int64) if reading else pl.int_range(seen.height, eager=True)
    categories = [one for one in rest if _may_be_id(one, seen.height)][:MAX_CANDIDATES]
    chosen = list(seen.chosen("source.id_columns", "source.id_column"))
    cells = pl.DataFrame([time.alias("time")]).with_columns(
        *(one.cells.alias(_key(one)) for one in {*categories, *chosen})
    )
    if not chosen and categories and reading is not None:
        chosen = _telling(cells, categories)
    series = pl.concat_str([*map(_key, chosen)], separator="/", ignore_nulls=True) if chosen else pl.lit("series")
    rows = cells.select("time", series=series).filter(pl.col("time").is_not_null())
    is_free = not seen.chosen("source.id_columns")
    channel = next((one for one in chosen if is_free and is_named(one.name, CHANNELS)), None)
    return [one for one in chosen if one is not channel], channel, rows


def _key(column: Column) -> str:
    return f"id {column.name}"


def _telling(cells: pl.DataFrame, categories: Sequence[Column]) -> list[Column]:
    """The fewest columns that leave each time once in a series; of as many those called ids, then the first."""
    num_rows, alone = cells.height, cells["time"].n_unique()
    if alone == num_rows:
        ids = [one for one in categories if is_named(one.name, IDS) and one.distinct > 1]
        if not ids or cells["time"].is_sorted():
            return []
        goes_back = cells.select((pl.col("time").diff() < 0).over(_key(ids[0])).any()).item()
        return [] if goes_back else ids[:1]
    best: tuple[int, list[Column]] = (alone, [])
    for size in range(1, MAX_IDS + 1):
        for columns in sorted(itertools.combinations(categories, size), key=_likelihood):
            names = [_key(one) for one in columns]
            if cells.select(names).n_unique() * MIN_STEPS > num_rows:
                continue
            told = cells.select("time", *names).n_unique()
            if told == num_rows:
                return list(columns)
            if told > max(best[0], num_rows * 0.5) and size <= max(1, len(best[1])):
                best = (told, list(columns))
    return best[1]


def _likelihood(columns: Sequence[Column]) -> tuple[int, int, int]:
    num_named = sum(is_named(one.name, IDS) for one in columns)
    return -num_named, sum(one.is_number for one in columns), max(one.distinct for one in columns)


def _may_be_id(column: Column, num_rows: int) -> bool:
    if not 2 <= column.distinct < num_rows or column.cells.null_count():  # noqa: PLR2004
        return False
    if column.is_number:
        few = column.distinct <= num_rows / 10 and not is_named(column.name, CALENDAR | KNOWN_AHEAD)
        return column.is_whole and not column.is_flag and (few or is_named(column.name, IDS))
    return column.words < 4 and not is_clock(column) and not read_times(column)  # noqa: PLR2004


def find_values(
    seen: Seen, rest: Sequence[Column], reading: Reading | None, *, covariates: bool
) -> tuple[list[Column], list[Column], dict[str, str]]:
    """Columns to model, those known in advance, and those left aside with the reason."""
    chosen, ahead = seen.chosen("source.value_columns"), seen.chosen("source.covariate_columns")
    left = {one.name: reason for one in rest if (reason := _why_left_out(one, reading, is_whole=seen.is_whole))}
    numbers = [one for one in rest if one.is_number and one.name not in left]
    known = [one for one in numbers if is_named(one.name, KNOWN_AHEAD) and one.is_whole]
    values = list(chosen) or [one for one in numbers if one not in known]
    left |= {one.name: "not chosen" for one in numbers if one not in known and one not in values}
    if not covariates:
        return values, [], left | dict.fromkeys((one.name for one in known), "known in advance")
    flags = [one for one in values if one.is_flag]
    if ahead or "source.covariate_columns" in seen.given:
        known = list(ahead)
        left |= {one.name: "not chosen" for one in flags if one not in ahead}
    elif len(flags) < len(values) and not chosen:
        known += flags
    return [one for one in values if one not in known and one.name not in left], known, left


def _why_left_out(column: Column, reading: Reading | None, *, is_whole: bool) -> str:
    """Why a column is not modelled; nothing where it may be, as where it is constant in a sample alone."""
    is_derived = is_named(column.name, CALENDAR) and column.is_whole and not is_named(column.name, KNOWN_AHEAD)
    is_mark = column.is_flag or set(column.counts) <= {"0.0", "1.0"}
    reasons = {
        "empty" if is_whole else "empty in the rows looked at": column.filled.is_empty(),
        "text": not column.is_number,
        "constant": is_whole and column.distinct < 2,  # noqa: PLR2004
        "a counter of rows": _is_counter(column),
        "follows from the time": reading is not None and is_derived,
        "a label": is_named(column.name, ANOMALIES) and is_mark,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _is_counter(column: Column) -> bool:
    is_called = is_named(column.name, STEPS | IDS | TIMES | {"column"})
    if not is_called or not column.is_whole or column.numbers.null_count():
        return False
    return column.cells.len() > 2 and bool((column.numbers.diff().drop_nulls() == 1).all())  # noqa: PLR2004


def are_alike(values: Sequence[Column]) -> bool:
    """Whether columns are named one like the other but for a number, as meters or shops are."""
    return len({one.name.rstrip("0123456789") for one in values}) <= max(1, len(values) // 10)


def id_settings(
    seen: Seen, reading: Reading | None, ids: Sequence[Column], channel: Column | None
) -> Iterator[Setting | Question]:
    """The columns that name series or channels."""
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
    """The layout, the columns of numbers, what is known in advance, what was left out, and what stands for missing."""
    names = [one.name for one in known]
    if is_wide:
        why = f'each of {len(values)} columns is a series; "table" makes them channels of one'
        yield Setting("source.layout", "series_per_column", why)
    else:
        constant = [one.name for one in values if one.distinct < 2 and not seen.is_whole]  # noqa: PLR2004
        why = f"constant in the rows looked at: {', '.join(constant)}" if constant else ""
        yield Setting("source.value_columns", [one.name for one in values][:MAX_LISTED], why)
    if known and all(is_named(name, KNOWN_AHEAD) for name in names):
        yield Setting("source.covariate_columns", names, "by their names")
    elif known:
        yield Question(
            f"are {' and '.join(map(quoted, names))} known in advance, as holidays are?",
            (
                Choice({"source.covariate_columns": names}, "known for the time that is forecast"),
                Choice({"source.covariate_columns": None}, "not used"),
            ),
        )
    for reason in () if is_wide else dict.fromkeys(sorted(left.values())):
        yield Setting("", None, f"left out, {reason}: {', '.join(name for name in left if left[name] == reason)}")
    markers = sorted({marker for one in values for marker in one.markers or ()})
    if markers:
        yield Setting("source.missing_values", markers, "in columns of numbers")
    sentinels = find_sentinels(values)
    if sentinels is not None:
        yield sentinels


def order_settings(
    rows: pl.DataFrame, num_repeated: int, findings: Iterable[Setting | Question]
) -> Iterator[Setting | Question]:
    """What is done about rows that repeat a time or go back, unless clocks that were changed may explain them."""
    if any(isinstance(one, Question) and one.key == "source.time_zone" for one in findings):
        return
    if num_repeated:
        keeps = {"mean": "their mean", "first": "the first of them", "last": "the last of them"}
        yield Question(
            f"{plural(num_repeated, 'row')} repeat a time of their series: which is kept?",
            tuple(
                Choice({"source.duplicates": name, "source.expect_merged": True}, means)
                for name, means in keeps.items()
            ),
        )
    back = rows.select((pl.col("time").diff() < 0).over("series").sum()).item()
    if back:
        yield Setting("source.unsorted", "sort", f"{plural(back, 'row')} go back in time")
