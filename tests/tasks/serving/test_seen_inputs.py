"""What the service saw is recorded under one name per hour, and nothing is lost or counted twice."""

import datetime
import os
from pathlib import Path

import numpy as np
import pytest

from tasks.contract.profile import Profile, Stretch
from tasks.labelled.profile import profile_rows
from tasks.monitoring import seen
from tasks.serving import seen_inputs
from tasks.serving.seen_inputs import SeenInputs

ONE_ROW = profile_rows(
    {"length": np.array([3]), "oov_share": np.array([0.0])}, probabilities=np.array([[0.2, 0.8]]), labels=("neg", "pos")
)
LONG_AGO = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture
def hour(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    now = [9]

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return datetime.datetime(2025, 6, 1, now[0], 30, tzinfo=tz)

    monkeypatch.setattr(seen_inputs.datetime, "datetime", Clock)
    return now


def rows_seen(project: Path, model: str) -> int:
    assert project in seen.seen_folder(model).parents
    return seen.sum_seen(model, since=LONG_AGO).rows


def test_every_flush_records_the_same_hour_again(project: Path):
    inputs = SeenInputs()
    for _ in range(3):
        inputs.add("m/1", ONE_ROW)
        inputs.flush()
    inputs.add("m/2", ONE_ROW)
    inputs.flush()

    assert (rows_seen(project, "m/1"), rows_seen(project, "m/2")) == (3, 1)
    assert len(list(seen.seen_folder("m/1").iterdir())) == 1


def test_steps_of_a_series_that_are_sent_again_are_not_counted_again(project: Path):
    inputs = SeenInputs()
    for series, begin in [("a", 0), ("a", 5), ("b", 5), ("a", 10), ("a", 12)]:
        inputs.add("m/1", Profile(rows=1, stretch=Stretch(series, begin, begin + 9)))
    inputs.flush()

    assert rows_seen(project, "m/1") == 3


def test_a_new_hour_is_a_new_file(project: Path, hour: list[int]):
    inputs = SeenInputs()
    inputs.add("m/1", ONE_ROW)
    hour[0] = 10
    inputs.add("m/1", ONE_ROW)
    inputs.flush()

    assert rows_seen(project, "m/1") == 2
    names = sorted(path.name for path in seen.seen_folder("m/1").iterdir())
    assert [name.split("-")[1] for name in names] == ["20250601T09", "20250601T10"]
    assert names[0].split("-")[2] == str(os.getpid())


def test_what_could_not_be_written_is_kept(project: Path, hour: list[int], caplog: pytest.LogCaptureFixture):
    inputs = SeenInputs()
    inputs.add("m/1", ONE_ROW)
    (project / "data").write_text("in the way")
    inputs.flush()
    hour[0] = 10
    inputs.add("m/1", ONE_ROW)
    (project / "data").unlink()
    inputs.flush()

    assert rows_seen(project, "m/1") == 2
    assert "The profile of the requests could not be saved: Not a directory" in caplog.text
