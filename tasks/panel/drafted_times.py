"""Which columns hold the times of rows, and how they are read; what cells leave open is asked."""

import datetime
import zoneinfo
from collections.abc import Iterator, Sequence

import polars as pl

from tasks.discovery.columns import Column
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
from tasks.discovery.words import STEPS, TIMES, is_named
from tasks.errors import quoted
from tasks.panel.clocks import ZONES, zone_that_repeats
from tasks.panel.inferred_grid import infer_grid
from tasks.panel.time_grid import FOLLOWS_IN_SERIES, Clock

DAY_US = 86_400 * 10**6
REGULAR = 0.8
SMOOTH, VERY_SMOOTH = 0.5, 0.8


def find_readings(seen: Seen, *, aside: Sequence[Column] = ()) -> list[Reading]:
    """The readings of the columns that are most likely the time, the most regular first.

    There are several where neither the cells nor the user decide.
    """
    readings = _find_likeliest(seen, aside)
    said = [one for one in readings if one.format == seen.given.get("source.time_format")]
    return said or (sorted(readings, key=_count_breaks) if len(readings) > 1 else readings)


def _find_likeliest(seen: Seen, aside: Sequence[Column]) -> list[Reading]:
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


def _count_breaks(reading: Reading) -> float:
    """How many steps are missing from the times of a reading, and how many rows go back in time."""
    distinct = reading.times.drop_nulls().unique(maintain_order=True).alias("time")
    grid = infer_grid(pl.DataFrame([distinct.sort()]).with_columns(series=pl.lit("")), clock="naive", zone=None)
    if grid is None:
        return float("inf")
    forward = distinct.diff().drop_nulls() > datetime.timedelta(0)
    return grid.positions(distinct.sort()).diff().sum() - distinct.len() + min(forward.sum(), (~forward).sum())


def _adds(parts: Reading, candidates: Sequence[Sequence[Reading]]) -> bool:
    """Whether times from parts tell more rows apart than any other column does."""
    return all(parts.times.n_unique() > readings[0].times.n_unique() for readings in candidates)


def _counts(steps: Reading) -> bool:
    """Whether whole numbers go on one by one, or start again for another series."""
    differences = steps.times.diff().drop_nulls()
    forward = differences.filter(differences > 0)
    return not forward.is_empty() and share_of(forward == forward.mode().min()) > REGULAR


def is_in_order(seen: Seen, aside: Sequence[Column]) -> bool:
    """Whether rows without a time are nothing but numbers, one much like the one before."""
    names = {one.name for one in aside}
    rest = [one for one in seen.columns.values() if one.name not in names]
    if seen.given.get("source.time_unit") == "order":
        return True
    return bool(rest) and all(one.is_number for one in rest) and any(smoothness(one) > SMOOTH for one in rest)


def share_of(flags: pl.Series) -> float:
    """The share of rows that are true."""
    return int(flags.sum()) / max(1, flags.len())


def smoothness(column: Column) -> float:
    """How much of a number its predecessor tells: the correlation of neighbours."""
    numbers = column.numbers.drop_nulls()
    # Ids that go up say nothing of an order in time.
    if numbers.len() < 20 or numbers.n_unique() < 3 or numbers.is_sorted():  # noqa: PLR2004
        return 0.0
    pair = pl.select(pl.corr(numbers[1:], numbers[:-1])).item()
    return float(pair) if pair is not None and pair == pair else 0.0  # noqa: PLR0124 (not a number)


def time_settings(
    seen: Seen, reading: Reading | None, readings: Sequence[Reading], rows: pl.DataFrame, clock: Clock
) -> Iterator[Setting | Question]:
    """The columns of times, and how they are read; what cells leave open is asked."""
    if reading is None:
        columns = [one for one in seen.columns.values() if one.is_number]
        choice = Choice({"source.time_unit": "order"}, "each row is a step, in the order of the file")
        if seen.given.get("source.time_unit") == "order" or max(map(smoothness, columns), default=0) > VERY_SMOOTH:
            yield Setting("source.time_unit", "order", "no column holds times: rows are steps in their order")
        else:
            yield Question("no column holds times; are the rows steps in their order?", (choice,))
        return
    others = [one for one in seen.columns.values() if one.name not in reading.columns and read_times(one)]
    why = f"or {quoted(others[0].name)}" if others else ""
    yield Setting("source.time_columns", list(reading.columns), why)
    shapes = {one.format or one.unit: one for one in readings if one.columns == reading.columns}
    if len(shapes) > 1:
        place = _where_they_differ(list(shapes.values()))
        yield Question(
            f"which day is {quoted(_example(seen, reading, place))}?",
            tuple(Choice({"source.time_format": shape}, one.show(place)) for shape, one in shapes.items()),
        )
    elif reading.format is not None and "%y" in reading.format and reading.ends_in_future:
        text = f"years have two digits, and some would be in the future: what is {quoted(_example(seen, reading))}?"
        yield Question(text, (Choice({"source.time_format": reading.format}, reading.show()),))
    elif reading.format is not None:
        yield Setting("source.time_format", reading.format, f"{_example(seen, reading)} is {reading.show()}")
    if reading.unit != "text":
        why = f"{_example(seen, reading)} is {reading.show()}" if not reading.is_steps else "plain numbers"
        yield Setting("source.time_unit", reading.unit, why)
    yield from _zone_settings(seen, reading, rows, clock)


def _where_they_differ(readings: Sequence[Reading]) -> int:
    """The first row in which two readings are not one time."""
    first, *others = (one.times for one in readings)
    differ = pl.select((first != others[0]).arg_true()).to_series() if others else first[:0]
    return int(differ[0]) if differ.len() else 0


def _example(seen: Seen, reading: Reading, place: int = 0) -> str:
    return " ".join(str(seen.columns[name].cells[place]) for name in reading.columns)


def _zone_settings(seen: Seen, reading: Reading, rows: pl.DataFrame, clock: Clock) -> Iterator[Setting | Question]:
    """Ask for the zone where clocks were changed, or where offsets are several."""
    if clock == "utc" and reading.unit == "text":
        cells = seen.columns[reading.columns[-1]].filled
        offsets = cells.str.extract(r"(Z|UTC|[+-]\d{2}:?\d{2})$").unique().drop_nulls()
        if offsets.len() > 1:
            zones = [zone for zone in ZONES if set(offsets) <= _offsets_of(zone)]
            choices = tuple(Choice({"source.time_zone": zone}, f"on clocks in {zone}") for zone in (*zones, "UTC"))
            yield Question(f"the offsets are {', '.join(offsets.sort())}: on which clocks are days counted?", choices)
        return
    if clock != "naive":
        return
    zone = _zone_of_changes(rows, reading)
    if zone is not None:
        yield Question(
            f"hours are missing or twice where clocks change in {zone}: whose clocks are these?",
            (
                Choice(
                    {"source.time_zone": zone, "source.ambiguous_times": "order"},
                    "clocks that change; of an hour shown twice the first row is the earlier",
                ),
                Choice({"source.time_zone": None}, "clocks that never change; those rows are gaps or repeated"),
            ),
        )


def _zone_of_changes(rows: pl.DataFrame, reading: Reading) -> str | None:
    """The zone whose changes of clocks explain times that repeat, or all that are skipped in spring."""
    local = reading.times.drop_nulls().cast(pl.Int64)
    ordered = rows.sort("series", "time")
    steps = ordered.select(pl.when(FOLLOWS_IN_SERIES).then(pl.col("time").diff())).to_series().drop_nulls()
    if steps.is_empty() or int(steps.mode().min() or 0) >= DAY_US:  # ty: ignore[invalid-argument-type]
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
        around = whole.len() and len(present) > 0.9 * whole.len()
        if hours and around and len(absent) == len(hours):
            return zone
    return None


def _offsets_of(zone: str) -> set[str]:
    """The offsets that clocks in a zone have in a year, as times show them."""
    days = (datetime.datetime(2024, month, 1, tzinfo=zoneinfo.ZoneInfo(zone)) for month in (1, 7))
    return {shape for day in days for shape in (f"{day:%z}", f"{day:%z}"[:3] + ":" + f"{day:%z}"[3:])}
