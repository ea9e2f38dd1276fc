"""Steps that are missing in a pattern: business days, holes that windows span, and what is said of the others."""

import dataclasses
import json
from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.panel.holes import find_holes
from tasks.panel.inferred_grid import infer_grid, spanning
from tasks.panel.time_grid import DTYPES, TimeGrid

MONDAY = datetime(2021, 1, 4)


def frame(times: list[datetime], zone: str | None = None, name: str = "a") -> pl.DataFrame:
    times = pl.Series("time", times, dtype=pl.Datetime("us"))
    times = times.dt.replace_time_zone(zone).dt.convert_time_zone("UTC") if zone else times
    return pl.DataFrame({"series": name, "time": times})


def grid_of(rows: pl.DataFrame, frequency: str = "auto", zone: str | None = None) -> TimeGrid:
    return infer_grid(rows, clock="utc" if zone else "naive", zone=zone, frequency=frequency)


def workdays(count: int, start: datetime = MONDAY) -> list[datetime]:
    days = (start + timedelta(days=day) for day in range(2 * count + 7))
    return [day for day in days if day.weekday() < 5][:count]


@settings(max_examples=80, deadline=None)
@given(
    first=st.dates(date(1901, 1, 1), date(2100, 1, 1)),
    clock=st.integers(0, 23),
    zone=st.sampled_from([None, "Europe/Berlin", "America/New_York", "America/Sao_Paulo"]),
)
def test_business_days_are_consecutive_whatever_lies_between(first, clock, zone):
    days = workdays(40, datetime(first.year, first.month, first.day, clock if zone is None else 12))
    rows = frame(days, zone)
    grid = grid_of(rows, "1bd", zone)

    positions = grid.positions(rows["time"])

    assert positions.diff().drop_nulls().unique().to_list() == [1]
    assert grid.times(positions).equals(rows["time"])
    assert not grid.find_irregular(rows["time"]).any()
    assert grid.season == 5


def test_a_week_end_is_no_business_day():
    grid = grid_of(frame(workdays(10)), "1bd")
    days = pl.Series([MONDAY + timedelta(days=day) for day in range(7)], dtype=pl.Datetime("us"))

    assert grid.find_irregular(days).to_list() == [False] * 5 + [True] * 2


def test_friday_is_followed_by_monday():
    grid = grid_of(frame(workdays(10)), "1bd")

    following = grid.following(datetime(2023, 6, 2), 3)

    assert following.to_list() == [datetime(2023, 6, 5), datetime(2023, 6, 6), datetime(2023, 6, 7)]


def test_a_missing_workday_is_a_gap_unless_holes_are_spanned():
    days = [day for day in workdays(15) if day != MONDAY + timedelta(days=8)]
    rows = frame(days)
    grid = grid_of(rows, "1bd")

    assert grid.count_steps(rows["time"]) == 8
    assert spanning(grid, rows["time"]).count_steps(rows["time"]) == 14


def trading_hours(weeks: int, open_days: tuple[int, ...] = (0, 1, 2, 3, 4)) -> list[datetime]:
    days = [MONDAY + timedelta(days=day) for day in range(7 * weeks)]
    return [day.replace(hour=hour) for day in days if day.weekday() in open_days for hour in range(9, 17)]


def test_forecasts_of_trading_hours_lie_in_trading_hours():
    rows = frame(trading_hours(6))
    grid = spanning(grid_of(rows), rows["time"])

    following = grid.following(datetime(2021, 2, 12, 15), 10)  # a Friday

    assert grid.season == 8
    assert following.to_list() == [
        datetime(2021, 2, 12, 16),
        *(datetime(2021, 2, 15, hour) for hour in range(9, 17)),
        datetime(2021, 2, 16, 9),
    ]


def test_trading_hours_keep_to_the_clocks_of_their_zone():
    rows = frame(trading_hours(8, (0, 1, 2, 3, 4)), "America/New_York")
    grid = spanning(grid_of(rows, zone="America/New_York"), rows["time"])
    friday = pl.Series([datetime(2021, 3, 12, 16)]).dt.replace_time_zone("America/New_York").dt.convert_time_zone("UTC")

    following = grid.following(friday[0], 2).dt.convert_time_zone("America/New_York")  # clocks go forward that Sunday

    assert [str(time)[:16] for time in following] == ["2021-03-15 09:00", "2021-03-15 10:00"]


def test_a_series_of_another_phase_opens_at_its_own_minutes():
    grid = spanning(grid_of(frame(trading_hours(6))), frame(trading_hours(6))["time"])
    half_past = pl.Series([datetime(2021, 2, 12, hour, 30) for hour in (14, 15, 16)], dtype=pl.Datetime("us"))

    assert grid.through_end(half_past).following(half_past[-1], 2).to_list() == [
        datetime(2021, 2, 15, 9, 30),
        datetime(2021, 2, 15, 10, 30),
    ]


def test_a_market_may_rest_on_other_days():
    days = [MONDAY + timedelta(days=day) for day in range(70)]
    rows = frame([day for day in days if day.weekday() not in (4, 5)])
    grid = spanning(grid_of(rows), rows["time"])

    assert grid.season == 5
    thursday = datetime(2021, 3, 11)
    assert grid.following(thursday, 2).to_list() == [datetime(2021, 3, 14), datetime(2021, 3, 15)]


def test_holes_without_a_pattern_leave_the_steps_after_a_series_as_they_are():
    days = [MONDAY + timedelta(days=day) for day in range(60) if day % 17 != 3]
    rows = frame(days)
    grid = spanning(grid_of(rows), rows["time"])

    assert (grid.spans, grid.opening, grid.season) == (True, (), 7)
    assert grid.following(days[-1], 2).to_list() == [days[-1] + timedelta(days=day) for day in (1, 2)]


def test_a_grid_comes_back_from_json():
    rows = frame(trading_hours(6))
    grid = spanning(grid_of(rows), rows["time"])

    assert grid.opening
    assert TimeGrid.from_dict(json.loads(json.dumps(dataclasses.asdict(grid)))) == grid
    assert TimeGrid.from_dict({"frequency": "1h", "clock": "naive", "zone": None, "anchor": 0}).spans is False


@pytest.mark.parametrize(
    ("times", "said", "remedy"),
    [
        (workdays(60), "after every fifth row, such as after 2021-01-08 (11 gaps)", 'frequency = "1bd"'),
        (trading_hours(5), "after every eighth row, such as after 2021-01-04T16:00:00 (24 gaps)", 'gaps = "span"'),
        (workdays(7), ", such as after 2021-01-08 (1 gap)", 'frequency = "1bd"'),
    ],
)
def test_it_is_said_where_steps_are_missing(times, said, remedy):
    rows = frame(times)

    holes = find_holes(rows, grid_of(rows))

    assert said in holes.said
    assert remedy in holes.remedy


def test_nothing_is_said_where_nothing_is_missing():
    rows = pl.concat([frame(workdays(5)), frame(workdays(5), name="b")])

    assert find_holes(rows, grid_of(rows)) is None


def test_series_of_months_may_have_days_of_their_own():
    ends = [datetime(2020, month, 1) - timedelta(days=1) for month in range(2, 13)]
    middles = [datetime(2020, month, 15) for month in range(1, 12)]

    grid = grid_of(pl.concat([frame(ends), frame(middles, name="b")]))

    assert grid.frequency == "1mo"


def test_days_are_found_where_clocks_skip_a_midnight():
    days = [datetime(2018, 11, day, 1 if day == 4 else 0) for day in range(2, 8)]
    rows = frame(days, "America/Sao_Paulo")
    grid = grid_of(rows, zone="America/Sao_Paulo")

    assert grid.frequency == "1d"
    assert not grid.find_irregular(rows["time"]).any()
    assert rows.schema["time"] == DTYPES["utc"]
