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
# Of the hours between the first time and the last must be there, for those that are not to tell of a zone.
MOST_HOURS, MAX_DAYS = 0.9, 3_660


def find_readings(seen: Seen, *, aside: Sequence[Column] = ()) -> list[Reading]:
    """The readings of the columns that are most likely the time, the most regular first.

    There are several where neither the cells nor the user decide.
    """
    readings = _find_likeliest(seen, aside)
    said = [one for one in readings if one.format == seen.given.get("source.time_format")]
    return said or (sorted(readings, key=_count_breaks) if len(readings) > 1 else readings)


def _find_likeliest(seen: Seen, aside: Sequence[Column]) -> list[Reading]:
    columns = {one.name: one for one in seen.columns.values() if one not in aside}
    chosen = seen.chosen("source.time_columns", "source.time_column")
    if seen.given.get("source.time_unit") == "order":
        return []
    if len(chosen) > 1:
        return read_together(chosen) or _listed(read_parts({one.name: one for one in chosen}))
    if chosen:
        return read_times(chosen[0]) or _listed(read_steps(chosen[0]))
    candidates = [readings for one in columns.values() if (readings := read_times(one))]
    clocks = [one for one in columns.values() if is_clock(one)]
    parts = read_parts(columns)
    # Parts must tell more rows apart than any other column does.
    if parts and all(parts.times.n_unique() > readings[0].times.n_unique() for readings in candidates):
        candidates.append([parts])
    for date in filter(is_date, columns.values()):
        plain = read_times(date)
        if clocks:
            candidates.append(read_together([date, clocks[0]]))
        elif plain and date.distinct < date.filled.len():
            candidates.append(_listed(read_hours(plain[0], columns)))
    steps = [read_steps(one) for one in columns.values() if is_named(one.name, TIMES | STEPS)]
    candidates += [[one] for one in steps if one is not None and _counts(one)]
    return max(filter(None, candidates), key=lambda readings: rank(readings[0]), default=[])


def _listed(reading: Reading | None) -> list[Reading]:
    return [reading] if reading else []


def _count_breaks(reading: Reading) -> float:
    """How many steps are missing from the times of a reading, and how many rows go back in time."""
    distinct = reading.times.drop_nulls().unique(maintain_order=True).alias("time")
    grid = infer_grid(pl.DataFrame([distinct.sort()]).with_columns(series=pl.lit("")), clock="naive", zone=None)
    if grid is None:
        return float("inf")
    forward = distinct.diff().drop_nulls() > datetime.timedelta(0)
    num_steps = int(grid.positions(distinct.sort()).diff().sum())
    return num_steps - distinct.len() + min(int(forward.sum()), int((~forward).sum()))


def _counts(steps: Reading) -> bool:
    """Whether whole numbers go on one by one, or start again for another series."""
    differences = steps.times.diff().drop_nulls()
    forward = differences.filter(differences > 0)
    return not forward.is_empty() and share_of(forward == forward.mode().min()) > REGULAR


def is_in_order(seen: Seen, aside: Sequence[Column]) -> bool:
    """Whether rows without a time are nothing but numbers, one much like the one before."""
    rest = [one for one in seen.columns.values() if one not in aside]
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
        smooth = max((smoothness(one) for one in seen.columns.values() if one.is_number), default=0)
        why = "no column holds times: rows are steps in their order"
        setting = Setting("source.time_unit", "order", why)
        choice = Choice({setting.key: setting.value}, "each row is a step, in the order of the file")
        is_settled = seen.given.get("source.time_unit") == "order" or smooth > VERY_SMOOTH
        yield setting if is_settled else Question("no column holds times; are rows steps in their order?", (choice,))
        return
    others = [one for one in seen.columns.values() if one.name not in reading.columns and read_times(one)]
    yield Setting("source.time_columns", list(reading.columns), f"or {quoted(others[0].name)}" if others else "")

    def example(place: int = 0) -> str:
        return " ".join(str(seen.columns[name].cells[place]) for name in reading.columns)

    shown = f"{example()} is {reading.show()}"
    if len(readings) > 1:
        place = _where_they_differ(readings)
        choices = tuple(Choice({"source.time_format": one.format}, one.show(place)) for one in readings)
        yield Question(f"which day is {quoted(example(place))}?", choices)
    elif reading.format is not None and "%y" in reading.format and reading.ends_in_future:
        text = f"years have two digits, and some would be in the future: what is {quoted(example())}?"
        yield Question(text, (Choice({"source.time_format": reading.format}, reading.show()),))
    elif reading.format is not None:
        yield Setting("source.time_format", reading.format, shown)
    if reading.unit != "text":
        yield Setting("source.time_unit", reading.unit, "plain numbers" if reading.is_steps else shown)
    if clock == "utc" and reading.unit == "text":
        yield from _ask_for_offsets(seen.columns[reading.columns[-1]])
    elif clock == "naive":
        yield from _ask_for_zone(rows, reading)


def _where_they_differ(readings: Sequence[Reading]) -> int:
    """The first row in which two readings are not one time."""
    differ = (readings[0].times != readings[1].times).arg_true()
    return int(differ[0]) if differ.len() else 0


def _ask_for_offsets(column: Column) -> Iterator[Question]:
    """Ask for the zone where offsets are several."""
    offsets = column.filled.str.extract(r"(Z|UTC|[+-]\d{2}:?\d{2})$").unique().drop_nulls().sort()
    if offsets.len() > 1:
        zones = [zone for zone in ZONES if set(offsets) <= _offsets_of(zone)]
        choices = tuple(Choice({"source.time_zone": zone}, f"on clocks in {zone}") for zone in (*zones, "UTC"))
        yield Question(f"the offsets are {', '.join(offsets)}: on which clocks are days counted?", choices)


def _ask_for_zone(rows: pl.DataFrame, reading: Reading) -> Iterator[Question]:
    """Ask for the zone where clocks were changed."""
    zone = _zone_of_changes(rows, reading)
    if zone is not None:
        changing = {"source.time_zone": zone, "source.ambiguous_times": "order"}
        yield Question(
            f"hours are missing or twice where clocks change in {zone}: whose clocks are these?",
            (
                Choice(changing, "clocks that change; of an hour shown twice the first row is the earlier"),
                Choice({"source.time_zone": None}, "clocks that never change; those rows are gaps or repeated"),
            ),
        )


def _zone_of_changes(rows: pl.DataFrame, reading: Reading) -> str | None:
    """The zone whose changes of clocks explain times that repeat, or all that are skipped in spring."""
    local = reading.times.drop_nulls().cast(pl.Int64).alias("time")
    ordered = rows.sort("series", "time")
    steps = ordered.select(pl.when(FOLLOWS_IN_SERIES).then(pl.col("time").diff())).to_series().drop_nulls()
    if steps.is_empty() or int(steps.mode().min() or 0) >= DAY_US:  # ty: ignore[invalid-argument-type]
        return None
    counts = local.value_counts()
    repeated = counts.filter(pl.col("count") > counts["count"].mode().min())["time"]
    if 0 < repeated.len() < local.len() / 100 and (zone := zone_that_repeats(repeated)):
        return zone
    hours = local.cast(pl.Datetime("us")).dt.truncate("1h").unique().sort()
    first, last = hours[0], hours[-1]
    whole = pl.datetime_range(first, last, interval="1h", eager=True) if (last - first).days < MAX_DAYS else hours[:0]
    if hours.len() <= MOST_HOURS * whole.len():
        return None
    absent = whole.filter(~whole.is_in(hours.implode()))
    for zone in ZONES:
        skipped = whole.filter(whole.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").is_null())
        if skipped.len() and skipped.is_in(absent.implode()).all():
            return zone
    return None


def _offsets_of(zone: str) -> set[str]:
    """The offsets that clocks in a zone have in a year, as times show them."""
    days = (datetime.datetime(2024, month, 1, tzinfo=zoneinfo.ZoneInfo(zone)) for month in (1, 7))
    return {shape for day in days for shape in (f"{day:%z}", f"{day:%z}"[:3] + ":" + f"{day:%z}"[3:])}
