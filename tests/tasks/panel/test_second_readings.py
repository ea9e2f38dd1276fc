"""Hours that clocks show twice: told from the order of rows, wherever a file begins or ends."""

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.kinds.forecast.ingest import write_rows
from tasks.panel.source import SeriesSource
from tasks.sources.inputs import find_inputs

BERLIN = ZoneInfo("Europe/Berlin")
BACK = datetime(2023, 10, 29, 1, tzinfo=UTC)  # clocks in Berlin go back from 03:00 to 02:00


class UndecidedError(Exception):
    """A file in which no row tells the hours apart."""


def read(folder: Path, instants: list[datetime], **settings) -> pl.DataFrame:
    """Read local times without an offset, each with the second of its instant as value."""
    rows = [f"{instant.astimezone(BERLIN):%Y-%m-%d %H:%M},{instant.timestamp()}" for instant in instants]
    (folder / "a.csv").write_text("\n".join(["time,value", *rows, ""]))
    columns = {"path": str(folder / "a.csv"), "time_zone": "Europe/Berlin", "ambiguous_times": "order"}
    source = SeriesSource(**columns | settings)
    inputs = find_inputs(source)
    try:
        write_rows(folder, settings=source, inputs=inputs, digest=inputs.digest())
    except InputError as error:
        raise UndecidedError(str(error)) if error.code == "E-TIME-022" else error from error
    return pl.read_parquet(folder / "rows.parquet")


@settings(max_examples=40, deadline=None)
@given(
    start=st.integers(-20, 20),
    minutes=st.sampled_from([10, 15, 20, 30, 60, 120, 180]),
    length=st.integers(6, 40),
    descends=st.booleans(),
)
def test_each_value_stays_at_its_own_instant_wherever_the_file_begins(
    tmp_path_factory, start, minutes, length, descends
):
    times = [BACK + timedelta(minutes=minutes * (start + step)) for step in range(length)]
    folder = tmp_path_factory.mktemp("clocks")

    # All that a file shows may be the one or the other hour.
    with contextlib.suppress(UndecidedError):
        rows = read(folder, times[::-1] if descends else times, unsorted="sort" if descends else "error")
        assert (rows["time"].dt.epoch("s") == rows["value.value"]).all()
        assert rows.height == length


def test_a_file_that_begins_with_the_second_reading_is_told_by_what_follows(tmp_path):
    times = [BACK + timedelta(hours=step) for step in range(24)]

    assert read(tmp_path, times)["time"].to_list() == times
    with pytest.raises(UndecidedError) as caught:
        read(tmp_path, times[:1], frequency="1h")
    assert str(caught.value) == (
        f'E-TIME-022 {tmp_path}/a.csv:2 column "time": got 2023-10-29 02:00:00, which clocks in Europe/Berlin show '
        'twice; series "series" begins there, and no other row shows which of the two it is.\n'
        'Fix: begin with an earlier row, write the offset, or set ambiguous_times = "earliest" or "latest".'
    )


def test_a_reading_after_a_gap_is_told_by_the_step_and_a_lone_one_is_counted(tmp_path):
    before = [BACK - timedelta(hours=40 - step) for step in range(10)]
    after = [BACK + timedelta(hours=step) for step in range(10)]

    assert read(tmp_path, before + after)["time"].to_list() == before + after
    lone = [*before, BACK - timedelta(hours=1), *after[4:]]
    assert read(tmp_path, lone)["time"].to_list() == lone


def test_two_readings_of_one_hour_are_the_earlier_and_the_later(tmp_path):
    times = [BACK - timedelta(hours=1), BACK]

    assert read(tmp_path, times)["time"].to_list() == times
