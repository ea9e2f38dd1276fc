"""What a table says of series: times, ids, numbers and how regular they are. The kinds of series draft from it."""

import itertools
import zoneinfo
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from tasks.discovery.columns import Column, find_sentinels
from tasks.discovery.draft import Choice, Question, Setting
from tasks.discovery.seen import Seen
from tasks.discovery.times import (
    Reading,
    is_clock,
    is_date,
    rank,
    read_hours,
    read_parts,
    read_steps,
    read_times,
    read_together,
)
from tasks.discovery.words import ANOMALIES, CALENDAR, CHANNELS, IDS, KNOWN_AHEAD, STEPS, TIMES, is_named
from tasks.errors import plural, quoted
from tasks.panel.clocks import ZONES, zone_that_repeats
from tasks.panel.time_grid import DTYPES, FOLLOWS_IN_SERIES, Clock, TimeGrid, infer_grid

MAX_IDS = 3
MAX_CANDIDATES = 8
MANY_COLUMNS = 12
DAY_S = 86_400
SMOOTH = 0.5
MAX_LISTED = 1024


@dataclass(frozen=True, kw_only=True)
class Series:
    """What a table says of series.

    reading: of the times, None where rows are steps in their order. rows: columns series, time, place, sorted by series
    and time. findings: of the section `source`.
    """

    reading: Reading | None
    ids: tuple[Column, ...]
    values: tuple[Column, ...]
    known: tuple[Column, ...] = ()
    channel: Column | None = None
    layout: str = "table"
    rows: pl.DataFrame = field(default_factory=pl.DataFrame)
    findings: tuple[Setting | Question, ...] = ()
    grid: TimeGrid | None = None
    num_repeated: int = 0

    @property
    def lengths(self) -> pl.Series:
        """Rows of each series."""
        return self.rows.group_by("series").len()["len"]

    @property
    def missing(self) -> tuple[int, float]:
        """How many numbers are missing, and their share."""
        cells = sum(one.cells.len() for one in self.values)
        missing = sum(one.numbers.null_count() for one in self.values)
        return missing, missing / max(1, cells)

    @property
    def off_grid(self) -> float:
        """The share of rows that lie between two steps."""
        if self.grid is None:
            return 1.0
        return float(self.grid.find_irregular(self.rows["time"].cast(self.grid.dtype)).mean() or 0)


def see_series(seen: Seen, *, label: Column | None = None) -> Series | None:
    """Find times, ids and numbers; None for a table that holds no numbers over time.

    `label` is a column that is neither.
    """
    aside = [label] if label is not None else []
    if (wide := _in_rows(seen)) is not None:
        return wide
    readings = find_readings(seen, aside=aside)
    reading = readings[0] if readings else None
    if reading is None and not _is_in_order(seen, aside):
        return None
    used = {*(reading.columns if reading else ()), *(one.name for one in aside)}
    rest = [one for one in seen.columns.values() if one.name not in used]
    ids, channel, rows = _find_ids(seen, reading, rest)
    named = {one.name for one in ids} | ({channel.name} if channel else set())
    values, known, left = _find_values(seen, [one for one in rest if one.name not in named], reading)
    if not values:
        return None
    is_wide = len(values) > MANY_COLUMNS and not ids and channel is None and _are_alike(values) and label is None
    clock: Clock = "step" if reading is None or reading.is_steps else "utc" if reading.has_offset else "naive"
    unique = rows.unique(["series", "time"], maintain_order=True)
    typed = unique.select("series", pl.col("time").cast(DTYPES[clock]))
    findings: list[Setting | Question] = [*seen.findings]
    findings += _time_settings(seen, reading, readings, unique, clock)
    findings += _id_settings(seen, ids, channel, values, is_wide=is_wide)
    findings += _value_settings(values, known, left, is_wide=is_wide)
    findings += _number_settings(values)
    num_repeated = rows.height - unique.height if channel is None else 0
    findings += _order_settings(rows, num_repeated, findings)
    return Series(
        reading=reading,
        ids=tuple(ids),
        values=tuple(values),
        known=tuple(known),
        channel=channel,
        layout="series_per_column" if is_wide else "table",
        rows=typed.sort("series", "time"),
        findings=tuple(findings),
        grid=infer_grid(typed.sort("series", "time"), clock=clock, zone="UTC" if clock == "utc" else None),
        num_repeated=num_repeated,
    )


def find_readings(seen: Seen, *, aside: Sequence[Column] = ()) -> list[Reading]:
    """The readings of the columns that are most likely the time; several where the cells do not decide."""
    names = {one.name for one in aside}
    columns = {one.name: one for one in seen.columns.values() if one.name not in names}
    chosen = seen.chosen("source.time_columns", "source.time_column")
    if seen.given.get("source.time_unit") == "order":
        return []
    if len(chosen) > 1:
        return read_together(chosen) or [one for one in [read_parts({c.name: c for c in chosen})] if one]
    if chosen:
        return read_times(chosen[0]) or [one for one in [read_steps(chosen[0])] if one]
    candidates = [readings for one in columns.values() if (readings := read_times(one))]
    clocks = [one for one in columns.values() if is_clock(one)]
    if (parts := read_parts(columns)) is not None and _adds(parts, candidates):
        candidates.append([parts])
    for date in [one for one in columns.values() if is_date(one)]:
        if clocks and (joined := read_together([date, clocks[0]])):
            candidates.append(joined)
        plain = read_times(date)
        if plain and not clocks and date.distinct < date.filled.len() and (hours := read_hours(plain[0], columns)):
            candidates.append([hours])
    steps = [read_steps(one) for one in columns.values() if is_named(one.name, TIMES | STEPS)]
    candidates += [[one] for one in steps if one is not None and _counts(one)]
    return max(candidates, key=lambda readings: rank(readings[0]), default=[])


def _adds(parts: Reading, candidates: Sequence[Sequence[Reading]]) -> bool:
    """Whether times from parts tell more rows apart than any other column does."""
    return all(parts.times.n_unique() > readings[0].times.n_unique() for readings in candidates)


def _counts(steps: Reading) -> bool:
    """Whether whole numbers go on one by one, or start again for another series."""
    differences = steps.times.diff().drop_nulls()
    step = differences.filter(differences > 0).mode()
    return not step.is_empty() and float((differences == step.min()).mean() or 0) > 0.8  # noqa: PLR2004


def _is_in_order(seen: Seen, aside: Sequence[Column]) -> bool:
    """Whether rows without a time are nothing but numbers, one much like the one before."""
    names = {one.name for one in aside}
    rest = [one for one in seen.columns.values() if one.name not in names]
    if seen.given.get("source.time_unit") == "order":
        return True
    return bool(rest) and all(one.is_number for one in rest) and any(smoothness(one) > SMOOTH for one in rest)


def smoothness(column: Column) -> float:
    """How much of a number its predecessor tells: the correlation of neighbours."""
    numbers = column.numbers.drop_nulls()
    if numbers.len() < 20 or numbers.n_unique() < 3:  # noqa: PLR2004
        return 0.0
    pair = pl.select(pl.corr(numbers[1:], numbers[:-1])).item()
    return float(pair) if pair is not None and pair == pair else 0.0  # noqa: PLR0124 (not a number)


def _find_ids(
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
            key=lambda columns: (-sum(is_named(one.name, IDS) for one in columns), max(one.distinct for one in columns)),
        )
        for columns in sets:
            told = cells.select("time", *(f"id {one.name}" for one in columns)).n_unique()
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
        return column.is_whole and is_named(column.name, IDS)
    return column.words < 4 and not is_clock(column) and not read_times(column)  # noqa: PLR2004


def _find_values(
    seen: Seen, rest: Sequence[Column], reading: Reading | None
) -> tuple[list[Column], list[Column], dict[str, str]]:
    """Columns to model, those known in advance, and those left aside with the reason."""
    chosen, covariates = list(seen.chosen("source.value_columns")), list(seen.chosen("source.covariate_columns"))
    values: list[Column] = []
    known: list[Column] = []
    left: dict[str, str] = {}
    for one in rest:
        if not one.is_number:
            if not one.filled.is_empty():
                left[one.name] = "text"
        elif one.distinct < 2:  # noqa: PLR2004
            left[one.name] = "constant"
        elif _is_counter(one):
            left[one.name] = "a counter of rows"
        elif is_named(one.name, KNOWN_AHEAD) and one.is_whole:
            known.append(one)
        elif reading is not None and is_named(one.name, CALENDAR) and one.is_whole and one.distinct < 400:  # noqa: PLR2004
            left[one.name] = "follows from the time"
        elif _marks_anomalies(one):
            left[one.name] = "a label"
        else:
            values.append(one)
    if chosen:
        left |= {one.name: "not chosen" for one in values if one not in chosen}
        values = chosen
    if covariates:
        known = covariates
        values = [one for one in values if one not in covariates]
    return values, known, left


def _marks_anomalies(column: Column) -> bool:
    return is_named(column.name, ANOMALIES) and set(column.counts) <= {"0", "1", "0.0", "1.0"}


def _is_counter(column: Column) -> bool:
    if not column.is_whole or column.numbers.null_count() or not (column.name == "" or is_named(column.name, STEPS | IDS | TIMES)):
        return False
    return column.cells.len() > 2 and bool((column.numbers.diff().drop_nulls() == 1).all())  # noqa: PLR2004


def _are_alike(values: Sequence[Column]) -> bool:
    """Whether columns are named one like the other but for a number, as meters or shops are."""
    stems = {one.name.rstrip("0123456789") for one in values}
    return len(stems) <= max(1, len(values) // 10)


def _time_settings(
    seen: Seen, reading: Reading | None, readings: Sequence[Reading], rows: pl.DataFrame, clock: Clock
) -> Iterator[Setting | Question]:
    if reading is None:
        columns = [one for one in seen.columns.values() if one.is_number]
        choice = Choice(settings={"source.time_unit": "order"}, means="each row is a step, in the order of the file")
        if seen.given.get("source.time_unit") == "order" or max(map(smoothness, columns), default=0) > 0.8:  # noqa: PLR2004
            yield Setting(key="source.time_unit", value="order", why="no column holds times: rows are steps in their order")
        else:
            yield Question(text="no column holds times; are the rows steps in their order?", choices=(choice,))
        return
    others = [one for one in seen.columns.values() if one.name not in reading.columns and read_times(one)]
    why = f"or {quoted(others[0].name)}" if others else ""
    yield Setting(key="source.time_columns", value=list(reading.columns), why=why)
    shapes = {one.shape: one for one in readings if one.columns == reading.columns}
    if len(shapes) > 1:
        example = _example(seen, reading)
        yield Question(
            text=f"which day is {quoted(example)}?",
            choices=tuple(
                Choice(settings={"source.time_format": shape}, means=one.shown) for shape, one in shapes.items()
            ),
        )
    elif reading.format is not None and "%y" in reading.format and _has_two_centuries(reading):
        raise_century = _example(seen, reading)
        yield Setting(key="source.time_format", value=reading.format, why=f"{raise_century} is {reading.shown}")
    elif reading.format is not None:
        yield Setting(key="source.time_format", value=reading.format, why=f"{_example(seen, reading)} is {reading.shown}")
    if reading.unit != "text":
        why = f"{_example(seen, reading)} is {reading.shown}" if not reading.is_steps else "plain numbers"
        yield Setting(key="source.time_unit", value=reading.unit, why=why)
    yield from _zone_settings(seen, reading, rows, clock)


def _has_two_centuries(reading: Reading) -> bool:
    years = reading.times.dt.year()
    return bool((years.diff().abs() > 50).any())  # noqa: PLR2004


def _example(seen: Seen, reading: Reading) -> str:
    cells = [seen.columns[name].cells for name in reading.columns]
    place = next((i for i in range(cells[0].len()) if all(one[i] is not None for one in cells)), 0)
    return " ".join(str(one[place]) for one in cells)


def _zone_settings(seen: Seen, reading: Reading, rows: pl.DataFrame, clock: Clock) -> Iterator[Setting | Question]:
    """Ask for the zone where clocks were changed, or where offsets are several."""
    if clock == "utc" and reading.unit == "text":
        cells = seen.columns[reading.columns[-1]].filled
        offsets = cells.str.extract(r"(Z|UTC|[+-]\d{2}:?\d{2})$").unique().drop_nulls()
        if offsets.len() > 1:
            choices = tuple(Choice(settings={"source.time_zone": zone}, means=f"clocks in {zone}") for zone in (*ZONES[:4], "UTC"))
            yield Question(text=f"the offsets are {', '.join(offsets.sort())}: on which clocks are days counted?", choices=choices)
        return
    if clock != "naive":
        return
    zone = _zone_of_changes(rows, reading)
    if zone is not None:
        yield Question(
            text=f"hours are missing or twice where clocks change in {zone}: whose clocks are these?",
            choices=(
                Choice(
                    settings={"source.time_zone": zone, "source.ambiguous_times": "order"},
                    means="clocks that change; of an hour shown twice the first row is the earlier",
                ),
                Choice(settings={"source.time_zone": None}, means="clocks that never change; those rows are gaps or repeated"),
            ),
        )


def _zone_of_changes(rows: pl.DataFrame, reading: Reading) -> str | None:
    """The zone whose changes of clocks explain times that repeat, or all that are skipped in spring."""
    local = reading.times.drop_nulls().cast(pl.Int64)
    ordered = rows.sort("series", "time")
    steps = ordered.select(pl.when(FOLLOWS_IN_SERIES).then(pl.col("time").diff())).to_series().drop_nulls()
    if steps.is_empty() or int(steps.mode().min() or 0) >= DAY_S * 10**6:  # ty: ignore[invalid-argument-type]
        return None
    counts = local.value_counts()
    typical = counts["count"].mode().min()
    repeated = counts.filter(pl.col("count") > typical)[local.name] if local.name in counts.columns else local[:0]
    if repeated.len() and repeated.len() < local.len() / 100 and (zone := zone_that_repeats(repeated)):
        return zone
    distinct = local.unique().sort().cast(pl.Datetime("us"))
    first, last = distinct[0], distinct[-1]
    whole = pl.datetime_range(first, last, interval="1h", eager=True) if (last - first).days < 3_660 else distinct[:0]  # noqa: PLR2004
    present = set(distinct.dt.truncate("1h").to_list())
    for zone in ZONES:
        skipped = whole.filter(whole.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").is_null())
        hours = skipped.dt.truncate("1h").to_list()
        absent = [hour for hour in hours if hour not in present]
        around = whole.len() and len(present) > 0.9 * whole.len()  # noqa: PLR2004
        if hours and around and len(absent) == len(hours):
            return zone
    return None


def _id_settings(
    seen: Seen, ids: Sequence[Column], channel: Column | None, values: Sequence[Column], *, is_wide: bool
) -> Iterator[Setting | Question]:
    if is_wide:
        why = f'each of {len(values)} columns is a series; "table" makes them channels of one'
        yield Setting(key="source.layout", value="series_per_column", why=why)
    if ids:
        why = f"{_product(ids):,} series" if len(ids) == 1 else "together they tell rows of one time apart"
        yield Setting(key="source.id_columns", value=[one.name for one in ids], why=why)
    elif seen.found.num_tables > 1 and channel is None:
        yield Setting(key="source.one_series_per_file", value=True, why=plural(seen.found.num_tables, "file"))
    if channel is not None:
        yield Setting(key="source.channel_column", value=channel.name, why="a row per channel; or name it in id_columns")


def _product(ids: Sequence[Column]) -> int:
    return ids[0].distinct


def _value_settings(
    values: Sequence[Column], known: Sequence[Column], left: dict[str, str], *, is_wide: bool
) -> Iterator[Setting | Question]:
    if not is_wide:
        yield Setting(key="source.value_columns", value=[one.name for one in values][:MAX_LISTED])
    if known:
        why = "taken to be known in advance"
        yield Setting(key="source.covariate_columns", value=[one.name for one in known], why=why)
    for reason, group in itertools.groupby(sorted(left, key=left.__getitem__), key=left.__getitem__):
        yield Setting(key="", value=None, why=f"left out, {reason}: {', '.join(group)}")


def _number_settings(values: Sequence[Column]) -> Iterator[Setting | Question]:
    markers = sorted({marker for one in values for marker in one.markers or ()})
    if markers:
        yield Setting(key="source.missing_values", value=markers, why="in columns of numbers")
    sentinels = find_sentinels(values)
    if sentinels is not None:
        yield sentinels


def _order_settings(
    rows: pl.DataFrame, num_repeated: int, findings: Iterable[Setting | Question]
) -> Iterator[Setting | Question]:
    zoned = any(isinstance(one, Question) and one.key == "source.time_zone" for one in findings)
    if num_repeated and not zoned:
        choices = [("mean", "their mean"), ("first", "the first of them"), ("last", "the last of them")]
        yield Question(
            text=f"{plural(num_repeated, 'row')} repeat a time of their series: which is kept?",
            choices=tuple(
                Choice(settings={"source.duplicates": name, "source.expect_merged": True}, means=means) for name, means in choices
            ),
        )
    back = rows.select((pl.col("time").diff() < 0).over("series").sum()).item()
    if back and not zoned:
        yield Setting(key="source.unsorted", value="sort", why=f"{plural(back, 'row')} go back in time")


def _in_rows(seen: Seen) -> Series | None:
    """A table with a series per row: an id, then numbers in columns that count or are times."""
    columns = list(seen.columns.values())
    numbers = [one for one in columns if one.is_number or one.filled.is_empty()]
    others = [one for one in columns if one not in numbers]
    if len(numbers) < MANY_COLUMNS or not others or len(numbers) < 3 * len(others):
        return None
    ids = [one for one in others if one.distinct == one.cells.len()]
    times = pl.Series("header", [one.name for one in numbers])
    header = Column("header", times)
    stems = {name.rstrip("0123456789") for name in times}
    in_header = None if len(stems) == 1 and stems != {""} else (read_times(header) or [one for one in [read_steps(header)] if one])
    if not ids or (in_header is not None and not in_header) or any(read_times(one) for one in others):
        return None
    reading = in_header[0] if in_header else None
    lengths = pl.DataFrame([one.numbers.is_not_null() for one in numbers]).sum_horizontal()
    rows = pl.DataFrame({"series": ids[0].cells, "len": lengths}).select(
        pl.col("series").repeat_by("len").explode(), time=pl.int_ranges("len").explode()
    )
    findings: list[Setting | Question] = [
        *seen.findings,
        Setting(key="source.layout", value="series_per_row", why=f"each row is a series of up to {len(numbers)} numbers"),
        Setting(key="source.id_columns", value=[ids[0].name]),
    ]
    if reading is None:
        findings.append(Setting(key="source.time_unit", value="order", why="the header names no times"))
    else:
        findings.append(Setting(key="source.time_columns", value=[], why="times are in the header"))
        if reading.format:
            findings.append(Setting(key="source.time_format", value=reading.format))
        if reading.is_steps:
            findings.append(Setting(key="source.time_unit", value="step"))
    if len(others) > 1:
        names = [one.name for one in numbers]
        findings.append(Setting(key="source.value_columns", value=names[:MAX_LISTED], why="the columns of numbers"))
    return Series(
        reading=reading,
        ids=(ids[0],),
        values=tuple(numbers),
        layout="series_per_row",
        rows=rows,
        findings=tuple(findings),
        grid=infer_grid(rows.with_columns(pl.col("time").cast(pl.Int64)), clock="step", zone=None),
    )


def offset_zones(offsets: Iterable[int]) -> list[str]:
    """Zones that have these offsets, in minutes, at some time of the year."""
    wanted = set(offsets)
    return [zone for zone in ZONES if wanted <= _offsets_of(zone)]


def _offsets_of(zone: str) -> set[int]:
    import datetime

    days = (datetime.datetime(2024, month, 1, tzinfo=zoneinfo.ZoneInfo(zone)) for month in range(1, 13))
    return {round(offset.total_seconds() / 60) for day in days if (offset := day.utcoffset()) is not None}
