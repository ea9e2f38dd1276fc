"""The grid of a source: inferred from its times, counted on the clocks of its zone."""

from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.panel.inferred_grid import infer_grid
from tasks.panel.time_grid import DTYPES, TimeGrid, show_time
from tasks.panel.workdays import DAY_US

START = datetime(2023, 1, 1)


def spaced(step: str, count: int = 40, start: datetime = START) -> pl.Series:
    number, unit = int(step.rstrip("abcdefghijklmnopqrstuvwxyz")), step.lstrip("0123456789")
    offsets = pl.select(pl.format("{}" + unit, pl.int_range(count) * number)).to_series()
    return pl.select(pl.lit(start).dt.offset_by(offsets)).to_series().cast(pl.Datetime("us"))


def grid_of(times: pl.Series, *, zone: str | None = None, frequency: str = "auto") -> TimeGrid:
    clock = "step" if times.dtype == pl.Int64 else "utc" if zone else "naive"
    frame = pl.DataFrame({"series": ["a"] * len(times), "time": times.cast(DTYPES[clock])})
    return infer_grid(frame, clock=clock, zone=zone, frequency=frequency)


def steps_between(grid: TimeGrid, times: pl.Series) -> list[int]:
    return grid.positions(times.cast(grid.dtype)).diff().drop_nulls().unique().to_list()


@pytest.mark.parametrize(
    ("step", "frequency", "season"),
    [
        ("250ms", "250ms", 14_400),
        ("5s", "5s", 720),
        ("1m", "1m", 1440),
        ("30m", "30m", 48),
        ("7h", "7h", 1),
        ("1d", "1d", 7),
        ("36h", "36h", 1),
        ("7d", "1w", 52),
        ("28d", "4w", 1),
        ("1mo", "1mo", 12),
        ("3mo", "1q", 4),
        ("12mo", "1y", 1),
        ("24mo", "2y", 1),
    ],
)
def test_the_step_and_the_season_are_found(step, frequency, season):
    times = spaced(step)
    grid = grid_of(times)

    assert (grid.frequency, grid.season) == (frequency, season)
    assert steps_between(grid, times) == [1]
    assert grid.times(grid.positions(times)).equals(times)


def test_ends_of_months_are_steps_of_a_month():
    times = spaced("1mo", 26, datetime(2023, 1, 31))
    grid = grid_of(times[1:])  # begins on 28 February

    assert grid.frequency == "1mo"
    assert steps_between(grid, times) == [1]
    assert not grid.find_irregular(times).any()


def test_the_most_frequent_step_wins_and_the_rest_is_irregular_or_a_gap():
    times = spaced("30m")
    late = times[7:8] + timedelta(minutes=11)
    grid = grid_of(pl.concat([times[:5], late, times[8:]]))

    assert grid.frequency == "30m"
    assert grid.find_irregular(pl.concat([times[4:5], late])).to_list() == [False, True]


def test_days_and_months_are_counted_on_the_clocks_of_the_zone():
    for step in ("1d", "1mo"):
        times = spaced(step, 400).dt.replace_time_zone("Europe/Paris").dt.convert_time_zone("UTC")

        assert steps_between(grid_of(times, zone="Europe/Paris"), times) == [1]
        assert grid_of(times, zone="UTC").find_irregular(times).any()


def test_hours_are_counted_on_the_time_line():
    times = spaced("1h", 24 * 200).cast(DTYPES["utc"])

    assert steps_between(grid_of(times, zone="Europe/Paris"), times) == [1]


def test_a_midnight_that_clocks_skip_is_the_hour_after_it():
    zone = "America/Sao_Paulo"  # went forward at midnight
    days = spaced("1d", 400, datetime(2016, 6, 1))
    local = [times.dt.replace_time_zone(zone, non_existent="null") for times in (days, days + timedelta(hours=1))]
    times = local[0].fill_null(local[1]).dt.convert_time_zone("UTC")
    grid = grid_of(times, zone=zone)

    assert local[0].null_count() == 1
    assert grid.times(grid.positions(times)).equals(times)


def test_plain_steps_may_be_apart():
    grid = grid_of(pl.Series([3, 5, 7, 11]))

    assert grid == TimeGrid("2", "step", None, 3)
    assert grid.season == 1
    assert grid.positions(pl.Series([3, 11])).to_list() == [0, 4]
    assert grid.find_irregular(pl.Series([3, 4])).to_list() == [False, True]


def test_without_two_times_in_a_series_there_is_no_grid():
    frame = pl.DataFrame({"series": ["a", "b"], "time": [1, 2]})

    assert infer_grid(frame, clock="step", zone=None) is None


@pytest.mark.parametrize(
    ("time", "clock", "shown"),
    [(7, "step", "7"), (0, "utc", "1970-01-01T00:00:00Z"), (1_500_000, "naive", "1970-01-01T00:00:01.500000")],
)
def test_times_are_shown_as_people_write_them(time, clock, shown):
    assert show_time(time, clock) == shown


@pytest.mark.parametrize(
    ("frequency", "clock", "shown"),
    [
        ("1d", "naive", "1970-01-02"),
        ("1mo", "naive", "1970-01-02"),
        ("1bd", "naive", "1970-01-02"),
        ("6h", "naive", "1970-01-02T00:00:00"),
        ("1d", "utc", "1970-01-02T00:00:00Z"),
    ],
)
def test_days_are_shown_without_their_midnight(frequency, clock, shown):
    grid = TimeGrid(frequency, clock, "UTC" if clock == "utc" else None, 0)

    assert grid.show(86_400_000_000) == shown


@settings(max_examples=30, deadline=None)
@given(
    frequency=st.sampled_from(["250ms", "90s", "30m", "1h", "1d", "2w", "1mo", "1q", "1y"]),
    zone=st.sampled_from([None, "UTC", "America/New_York", "Asia/Kolkata"]),
    positions=st.lists(st.integers(-3000, 3000), min_size=1, max_size=20),
    anchor=st.datetimes(datetime(1980, 1, 1), datetime(2040, 1, 28)),
)
def test_times_and_positions_are_inverse(frequency, zone, positions, anchor):
    # Between two and three at night a day may have no or two readings; 16:00 UTC is far from that in all three zones.
    anchor_us = (anchor.replace(hour=16) - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    grid = TimeGrid(frequency, "utc" if zone else "naive", zone, anchor_us)
    numbers = pl.Series(positions, dtype=pl.Int64)

    assert grid.positions(grid.times(numbers)).to_list() == positions


@pytest.mark.parametrize(
    ("trained", "history", "follows"),
    [
        (date(2020, 1, 31), [date(2023, 5, 1), date(2023, 6, 1)], date(2023, 7, 1)),
        (date(2020, 1, 1), [date(2023, 12, 31), date(2024, 1, 31), date(2024, 2, 29)], date(2024, 3, 31)),
        (date(2020, 1, 1), [date(2022, 12, 30), date(2023, 1, 30), date(2023, 2, 28)], date(2023, 3, 30)),
        (date(2020, 1, 1), [date(2023, 1, 28), date(2023, 2, 28)], date(2023, 3, 28)),
        (date(2020, 1, 31), [date(2023, 2, 28)], date(2023, 3, 31)),
    ],
)
def test_months_go_on_from_the_day_on_which_a_history_ends(trained, history, follows):
    grid = TimeGrid("1mo", "naive", None, (trained - date(1970, 1, 1)).days * DAY_US)
    times = pl.Series(history).cast(pl.Datetime("us"))

    own = grid.through_end(times)

    assert own.count_steps(times) == len(history)
    assert own.times(own.positions(times.tail(1)) + 1).dt.date().to_list() == [follows]


def test_steps_are_counted_back_to_the_last_gap_or_irregular_time():
    times = spaced("1h", 10)
    late = times[6:7] + timedelta(minutes=20)

    grid = grid_of(times)

    assert grid.count_steps(times) == 10
    assert grid.count_steps(times.filter(times != times[3])) == 6
    assert grid.count_steps(pl.concat([times[:7], late, times[7:]])) == 3
    assert grid.count_steps(pl.concat([times[:7], late])) == 0
    assert grid.count_steps(times[:0]) == 0
