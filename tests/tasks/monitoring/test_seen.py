"""What was seen is kept once per batch, survives kills, and counts only within its window."""

import dataclasses
import datetime
import json
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tasks.contract.profile import Profile, Stretch
from tasks.errors import IntegrityError
from tasks.labelled.profile import profile_rows
from tasks.monitoring import seen
from tasks.monitoring.seen import record_seen, seen_folder, sum_seen

LONG_AGO = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


def rows(num_rows: int, true_labels: list[str] | None = None) -> Profile:
    return profile_rows(
        {"length": np.full(num_rows, 7), "oov_share": np.zeros(num_rows)},
        probabilities=np.tile([0.2, 0.8], (num_rows, 1)),
        labels=("neg", "pos"),
        true_labels=true_labels,
    )


def test_what_is_recorded_is_added_up(project):
    record_seen("reviews/3", rows(2), source="predict", batch="a")
    record_seen("reviews/3", rows(3), source="serve", batch="a")
    record_seen("reviews/2", rows(100), source="serve", batch="a")

    assert sum_seen("reviews/3", since=LONG_AGO) == rows(5)
    assert seen_folder("reviews/3") == project / "data" / "seen" / "reviews" / "3"


def test_a_batch_that_is_predicted_twice_counts_once():
    for _ in range(2):
        record_seen("reviews/3", rows(2), source="predict", batch="a" * 64)

    assert sum_seen("reviews/3", since=LONG_AGO).rows == 2


def test_labels_that_arrive_later_replace_a_batch_and_are_not_lost_again():
    for true_labels in (None, ["pos", "neg"], None):
        record_seen("reviews/3", rows(2, true_labels), source="predict", batch="a")

    seen = sum_seen("reviews/3", since=LONG_AGO)

    assert (seen.rows, seen.labelled_rows, seen.hits) == (2, 2, 1)


def test_a_record_says_when_and_by_whom_it_was_made():
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)

    path = record_seen("reviews/3", rows(1), source="serve", batch="20260101T10-7-ab")

    fields = json.loads(path.read_bytes())
    assert path.name == "serve-20260101T10-7-ab.json"
    assert fields["source"] == "serve"
    assert before <= datetime.datetime.fromisoformat(fields["recorded"]) <= datetime.datetime.now(datetime.UTC)
    assert fields["recorded"].endswith("+00:00")


def test_predictions_from_one_file_may_record_what_they_saw_at_once(project):
    def record(_: int) -> None:
        for _ in range(10):
            record_seen("reviews/3", rows(2), source="predict", batch="a")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(record, range(8)))

    assert sum_seen("reviews/3", since=LONG_AGO).rows == 2
    assert len(list(seen_folder("reviews/3").iterdir())) == 1


def test_records_before_the_window_do_not_count():
    path = record_seen("reviews/3", rows(5), source="serve", batch="old")
    path.write_text(path.read_text().replace(json.loads(path.read_bytes())["recorded"], "2020-05-01T00:00:00+00:00"))
    record_seen("reviews/3", rows(2), source="serve", batch="new")

    assert sum_seen("reviews/3", since=datetime.datetime(2020, 5, 2, tzinfo=datetime.UTC)).rows == 2
    assert sum_seen("reviews/3", since=LONG_AGO).rows == 7


def test_no_rows_leave_no_record(project):
    assert record_seen("reviews/3", Profile.empty(), source="predict", batch="a") is None
    assert sum_seen("reviews/3", since=LONG_AGO) == Profile.empty()
    assert not (project / "data").exists()


def test_what_a_killed_write_left_is_not_read():
    path = record_seen("reviews/3", rows(2), source="predict", batch="a")
    path.with_name(f"{path.name}.tmp").write_text('{"recorded": "20')

    assert sum_seen("reviews/3", since=LONG_AGO).rows == 2


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"recorded": "x"}', '{"recorded": "2020-01-01", "profile": []}'])
def test_a_damaged_record_is_named(content):
    path = record_seen("reviews/3", rows(2), source="predict", batch="a")
    path.write_text(content)

    with pytest.raises(IntegrityError) as caught:
        sum_seen("reviews/3", since=LONG_AGO)

    assert str(caught.value) == (
        f"E-MON-002 {path}: is not a profile of what a model saw: damaged, or written by another release.\n"
        "Fix: move it away; its rows then no longer count."
    )


def test_a_damaged_record_is_replaced_when_its_batch_comes_again():
    record_seen("reviews/3", rows(2), source="predict", batch="a").write_text("{")

    record_seen("reviews/3", rows(3), source="predict", batch="a")

    assert sum_seen("reviews/3", since=LONG_AGO).rows == 3


def test_of_the_same_stretch_of_the_same_series_the_latest_profile_counts(monkeypatch):
    def record(series: str, begin: int, end: int, num_rows: int) -> None:
        clock[0] += datetime.timedelta(minutes=1)
        profile = dataclasses.replace(rows(num_rows), stretch=Stretch(series, begin, end))
        record_seen("loads/1", profile, source="predict", batch=f"{series}{begin}-{end}")

    clock = [datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)]
    monkeypatch.setattr(seen, "datetime", types.SimpleNamespace(**vars(datetime) | {"datetime": Clock(clock)}))
    for series, begin, end, num_rows in (("a", 1, 10, 1), ("a", 1, 20, 2), ("a", 21, 30, 4), ("b", 1, 20, 8)):
        record(series, begin, end, num_rows)

    assert sum_seen("loads/1", since=LONG_AGO).rows == 2 + 4 + 8


class Clock:
    """Tells the time that a list holds."""

    def __init__(self, clock: list[datetime.datetime]) -> None:
        self.clock, self.fromisoformat = clock, datetime.datetime.fromisoformat

    def now(self, _: datetime.tzinfo) -> datetime.datetime:
        return self.clock[0]


@pytest.mark.parametrize("batch", ["", "../a", "a/b", "a" * 129])
def test_a_batch_name_stays_in_the_folder(batch):
    with pytest.raises(ValueError, match="got batch"):
        record_seen("reviews/3", rows(1), source="predict", batch=batch)
