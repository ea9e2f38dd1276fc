"""New rows are told from old ones by time: answers do not depend on which rows seen before come with them."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.kinds.detect.served_detector import SeriesDetector
from tests.tasks.kinds.detect.conftest import (
    MORE,
    NUM_ROWS,
    START,
    WARM_UP,
    draw_more,
    draw_panel,
    served_in,
    unlabelled,
)

pytestmark = pytest.mark.costly

REMEMBERED = NUM_ROWS - 122  # the first row that is
LAST = "2026-03-04T07:30:00"
A_FEW = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def logger(tmp_path_factory) -> SeriesDetector:
    """A detector of rows that stay where they are, whatever their time."""
    return served_in(tmp_path_factory.mktemp("logger"), log_of(draw_panel((1,))), unsorted="keep", duplicates="keep")


def log_of(table: pl.DataFrame) -> pl.DataFrame:
    """Two rows of each time, and a clock that is set back by six hours, twelve rows before training ends."""
    row = pl.int_range(pl.len())
    hours = (row // 2) / 2 - pl.when(row >= NUM_ROWS - 12).then(6).otherwise(0)
    return table.with_columns(time=pl.lit(START) + pl.duration(seconds=3600 * hours))


def with_spike(table: pl.DataFrame, row: int) -> pl.DataFrame:
    return table.with_columns(value=pl.when(pl.int_range(pl.len()) == row).then(1000.0).otherwise("value"))


def plain(answers: pl.DataFrame) -> pl.DataFrame:
    """Answers but for the number of an event, which counts those of the answer."""
    return answers.with_columns(event=pl.col("event").is_not_null())


@pytest.mark.numeric
@A_FEW
@given(
    first=st.integers(0, NUM_ROWS),
    num_rows=st.integers(0, MORE),
    dropped=st.sets(st.integers(1, NUM_ROWS - 1), max_size=5),
    spike=st.integers(0, MORE - 1),
)
def test_a_row_is_judged_alike_whatever_rows_seen_before_come_with_it(detectors, first, num_rows, dropped, spike):
    num_channels = 1 + first % 2
    served, history = detectors[num_channels], unlabelled((2 * num_channels - 1,), num_channels=num_channels)
    more = with_spike(draw_more(5, channels=served.serving.channels), spike)
    at_once = served.answer_frame(pl.concat([history, more]))
    rows = [row for row in range(first, NUM_ROWS + num_rows) if row not in dropped or first == 0]
    if not [row for row in rows if row >= WARM_UP]:
        return

    answers = served.answer_frame(pl.concat([history, more])[rows])

    is_known = (pl.int_range(pl.len()) >= REMEMBERED) | (first == 0)
    expected = plain(at_once).with_columns(
        pl.when(is_known).then(pl.col("^expected.*$")),
        surprise=pl.when(is_known).then("surprise"),
        is_anomaly=pl.col("is_anomaly") & is_known,
        alarm=pl.col("alarm") & is_known,
        event=pl.col("event") & is_known,
        status=pl.when(is_known).then("status").otherwise(pl.lit("forgotten")),
    )
    assert plain(answers).equals(expected[rows])
    new = answers.filter(pl.col("time") >= more["time"][0])
    assert set(new["status"]) <= {"judged"}
    assert new["is_anomaly"].gather([spike] if spike < num_rows else []).all()


@A_FEW
@given(
    first=st.integers(0, NUM_ROWS - 1),
    changed=st.integers(REMEMBERED, NUM_ROWS - 1),
    by=st.sampled_from([1e-9, -3.0, 60.0]),
    num_rows=st.integers(0, 3),
)
def test_a_row_that_is_not_as_it_was_seen_is_named_with_a_remedy_that_works(detector, first, changed, by, num_rows):
    first, more = min(first, changed), draw_more(2, MORE)
    table = pl.concat([unlabelled((1,)), more[:num_rows]])
    other = pl.col("value") + pl.when(pl.int_range(pl.len()) == changed).then(by).otherwise(0.0)

    with pytest.raises(InputError, match="E-DET-023") as raised:
        detector.answer_frame(table.with_columns(value=other)[first:])

    time = table["time"][changed]
    assert f"at {time.isoformat()}, where {table['value'][changed]} was seen; 1 of " in raised.value.problem
    assert raised.value.column == "value"
    assert raised.value.fix == f"leave out its rows up to {LAST}, or train again if those seen were wrong."
    if num_rows:
        left = table.filter(pl.col("time") > datetime.fromisoformat(LAST))
        assert detector.answer_frame(left).equals(detector.answer_frame(more[:num_rows]))


@A_FEW
@given(row=st.integers(REMEMBERED, NUM_ROWS - 2), first=st.integers(0, NUM_ROWS - 1))
def test_a_row_between_those_seen_is_named(detector, row, first):
    table = unlabelled((1,))
    late = table[row].with_columns(time=pl.col("time") + timedelta(minutes=7))
    batch = pl.concat([table[min(first, row) : row + 1], late, table[row + 1 :], draw_more(1)])

    with pytest.raises(InputError, match="E-DET-024") as raised:
        detector.answer_frame(batch)

    assert f"has a row at {late['time'][0].isoformat()}, which is not later than {LAST}" in raised.value.problem


@A_FEW
@given(first=st.integers(0, NUM_ROWS), num_rows=st.integers(1, MORE))
def test_where_times_repeat_and_go_back_rows_are_known_by_their_succession(logger, first, num_rows):
    table = log_of(pl.concat([unlabelled((1,)), with_spike(draw_more(3, num_rows), num_rows - 1)]))
    new_only = plain(logger.answer_frame(table))[NUM_ROWS:]

    answers = plain(logger.answer_frame(table[first:]))

    assert answers.tail(num_rows).equals(new_only)
    assert answers["status"].to_list()[-num_rows:] == ["judged"] * num_rows
    assert "judged" not in answers["status"].head(NUM_ROWS - first)
    assert answers["is_anomaly"][-1]


def test_rows_of_a_log_whose_clock_went_back_are_not_guessed_about(logger):
    table = log_of(pl.concat([unlabelled((1,)), draw_more(3)]))

    with pytest.raises(InputError, match=r"E-DET-02[34]") as raised:
        logger.answer_frame(table[NUM_ROWS:])

    assert "leave out its rows up to 2026-03-02T12:30:00" in raised.value.fix
    later = table[NUM_ROWS:].filter(pl.col("time") > START + timedelta(hours=36.5))
    assert set(logger.answer_frame(later)["status"]) == {"judged"}


def test_a_row_that_repeats_the_last_time_is_new_if_rows_may_repeat_times(logger):
    table = log_of(unlabelled((1,)))
    again = table.tail(1).with_columns(value=pl.lit(500.0))

    answers = logger.answer_frame(pl.concat([table.tail(5), again]))

    assert answers["status"].to_list() == ["seen"] * 5 + ["judged"]
    assert answers["is_anomaly"][-1]


def test_a_missing_number_contradicts_none_that_was_seen(tmp_path):
    from tasks.kinds.detect.encode import LevelSettings

    served = served_in(tmp_path, draw_panel((1,)), {"encode": LevelSettings(missing="forward")})
    table = pl.concat([unlabelled((1,)), draw_more(1)])
    holes = table.with_columns(value=pl.when(pl.int_range(pl.len()) != NUM_ROWS - 2).then("value"))

    answers = served.answer_frame(holes[NUM_ROWS - 5 :])

    assert answers.drop("value").equals(served.answer_frame(table[NUM_ROWS - 5 :]).drop("value"))
    assert answers["value"].null_count() == 1


def test_rows_older_than_those_remembered_are_not_judged_and_said_to_be(detector):
    table, notes = pl.concat([unlabelled((1,))[10:], draw_more(1, 2)]), []

    answers = detector.answer_frame(table, notes=notes)

    counts = dict(answers["status"].value_counts().iter_rows())
    assert counts == {"forgotten": REMEMBERED - 10, "warm-up": WARM_UP - REMEMBERED, "seen": 100, "judged": 2}
    assert notes == [
        "neither judged nor compared with what was seen: 28 rows before those that the detector remembers of their "
        "series"
    ]


def test_an_earlier_history_is_judged_after_a_warm_up_of_its_own(detector):
    table = unlabelled((1,)).with_columns(pl.col("time") - timedelta(days=30), value=pl.col("value") + 1)

    answers = detector.answer_frame(table)

    assert answers["status"].to_list() == ["warm-up"] * WARM_UP + ["seen"] * (NUM_ROWS - WARM_UP)


def test_a_pause_before_the_new_rows_is_said(detector):
    notes = []

    detector.answer_frame(draw_more(1)[1:], notes=notes)

    assert [note.partition(";")[0] for note in notes] == [
        '1 series, such as "s1", with a longer pause before the new rows than between any two of the rows remembered'
    ]
    assert detector.answer_frame(draw_more(1), notes=(none := [])).height == MORE
    assert none == []


def test_a_stream_takes_rows_that_are_later_and_whole(detector):
    stream, more = detector.stream("s1"), draw_more(1)
    expected = detector.answer_frame(more)["surprise"].to_list()
    seen, first, second = unlabelled((1,)).row(-1), more.row(0), more.row(1)

    for time, values, code in [
        (seen[1], [seen[2]], "E-DET-025"),
        (7, [1.0], "E-DET-021"),
        (first[1], [1.0, 2.0], "E-DET-026"),
        (first[1], [float("inf")], "E-DET-026"),
        (first[1], [float("nan")], "E-SER-009"),
    ]:
        with pytest.raises(InputError, match=code):
            stream.update(time, values)

    assert stream.update(first[1], [first[2]]).surprise == expected[0]
    with pytest.raises(InputError, match=f"E-DET-025 .* which is not later than {first[1]}"):
        stream.update(first[1], [first[2]])
    assert stream.update(second[1], [second[2]]).surprise == expected[1]


def test_series_that_cannot_be_judged_are_kept_apart(detector):
    wrong = unlabelled((2,)).tail(9).with_columns(value=pl.lit(1.0))
    table, refusals = pl.concat([draw_more(1), wrong]), []

    answers = detector.answer_rows(canonical(table), refusals)

    assert answers.equals(detector.answer_frame(draw_more(1)))
    assert [(one.series, one.error.code) for one in refusals] == [("s2", "E-DET-023")]
    with pytest.raises(InputError, match="E-DET-023"):
        detector.answer_rows(canonical(table))
    with pytest.raises(InputError, match="E-DET-023"):
        detector.answer_rows(canonical(wrong), [])


def canonical(table: pl.DataFrame) -> pl.DataFrame:
    return table.select(pl.col("time").cast(pl.Datetime("us")), series="id", **{"value.value": "value"})
