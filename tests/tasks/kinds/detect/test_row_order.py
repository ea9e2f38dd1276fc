"""Detectors of rows without a time: each table is a history of its own, unless a state goes with it."""

import json

import polars as pl
import pytest

from tasks.kinds.detect import serve
from tasks.kinds.detect.fitting_windows import propose_warm_up
from tasks.kinds.detect.recipe import DETECT
from tasks.kinds.detect.served_detector import SeriesDetector
from tasks.kinds.detect.shard import DetectionWindowSettings
from tasks.kinds.detect.split import WarmUpSettings, count_parts
from tasks.serving.questions import parse_question
from tasks.serving.settings import settings_for
from tasks.sources.inputs import find_inputs
from tests.tasks.kinds.detect.conftest import NUM_ROWS, SPIKE, WARM_UP, draw_more, draw_panel, served_in

CAPS = settings_for(DETECT, {})


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> SeriesDetector:
    return served_in(tmp_path_factory.mktemp("order"), draw_panel().drop("time"), time_unit="order")


def rows_of(name: str) -> pl.DataFrame:
    return draw_panel().filter(id=name).drop("time", "anomaly")


def test_the_rows_of_training_are_judged_as_they_were(detector, tmp_path):
    answers = detector.answer_frame(rows_of("s1"))

    assert answers["time"].to_list() == list(range(NUM_ROWS))
    assert answers["status"].to_list() == ["warm-up"] * WARM_UP + ["judged"] * (NUM_ROWS - WARM_UP)
    assert answers["is_anomaly"][SPIKE]
    rows_of("s1").write_csv(tmp_path / "rows.csv")
    files = find_inputs(detector.serving.settings_for(tmp_path / "rows.csv"))
    assert detector.answer_files(files).equals(answers)


def test_rows_of_another_file_are_a_history_of_their_own_whatever_their_series_is_called(detector):
    renamed = rows_of("s2").with_columns(id=pl.lit("s1"))
    notes: list[str] = []

    answers = detector.answer_frame(renamed, notes=notes)

    assert answers.drop("series").equals(detector.answer_frame(rows_of("s2")).drop("series"))
    assert "new to the detector" in notes[0]


def ask(detector: SeriesDetector, table: pl.DataFrame, **more: object) -> dict:
    body = json.dumps({"rows": json.loads(table.write_json()), **more}).encode()
    question = parse_question(serve.INTERFACE, body, CAPS)
    [answer] = serve.answer_questions(detector, [question], CAPS, label="pumps/3").answers
    return json.loads(json.dumps(answer))


def test_a_state_tells_that_rows_follow(detector):
    rows = pl.concat([rows_of("s1"), draw_more(5).drop("time").select("id", "value")])
    first = ask(detector, rows[:NUM_ROWS], return_state=True)

    then = ask(detector, rows[NUM_ROWS:], state=first["state"], return_state=True)

    assert [row["time"] for row in then["rows"]] == list(range(NUM_ROWS, rows.height))
    assert {row["status"] for row in then["rows"]} == {"judged"}
    again = ask(detector, rows[NUM_ROWS:], state=first["state"])
    assert again["rows"] == then["rows"]
    one_by_one = ask(detector, rows[NUM_ROWS : NUM_ROWS + 3], state=first["state"], return_state=True)
    rest = ask(detector, rows[NUM_ROWS + 3 :], state=one_by_one["state"])
    surprises = [row["surprise"] for row in one_by_one["rows"] + rest["rows"]]
    assert surprises == [row["surprise"] for row in then["rows"]]


def test_what_was_seen_is_counted_by_file_where_no_time_tells_it(detector):
    profiles: list = []
    read = detector.answer_rows(_canonical(rows_of("s1")), profiles=profiles)

    assert read.height == NUM_ROWS
    assert profiles[0].stretch is None


def _canonical(rows: pl.DataFrame) -> pl.DataFrame:
    numbered = rows.with_row_index("row").with_columns(time=pl.col("row").cast(pl.Int64), label=pl.lit(None, pl.UInt8))
    return numbered.select("row", "time", "label", series="id", **{"value.value": "value"})


@pytest.mark.parametrize("num_rows", [75, 120, 400, 1200, 100_000])
def test_a_proposed_warm_up_holds_windows_and_leaves_rows_to_judge(num_rows):
    split, shard = WarmUpSettings(), DetectionWindowSettings()

    found = propose_warm_up(num_rows, split=split, shard=shard)

    train, valid, judged = count_parts(num_rows, split.model_copy(update={"warm_up": found.warm_up}))
    assert min(train, valid) >= found.horizon >= 1
    assert train + valid >= 30
    assert judged > 0
    assert propose_warm_up(20, split=split, shard=shard) is None
