"""What a detector sees of the rows that it judges anew."""

import numpy as np
import polars as pl
import pytest

from tasks.contract.contest import Scored
from tasks.contract.profile import read_profile
from tasks.kinds.detect.register import assemble_parts
from tasks.kinds.detect.served_detector import SeriesDetector
from tests.tasks.kinds.detect.conftest import MORE, draw_more, draw_panel, unlabelled

SIZE = 8  # the look-back, which is shorter than a window's least


@pytest.fixture
def detector(fitted, tmp_path) -> SeriesDetector:
    lineage, model = fitted
    assemble_parts(tmp_path / "parts", lineage, Scored(model=model, evaluation=model))
    return SeriesDetector.load(tmp_path / "parts")


def canonical(detector: SeriesDetector, table: pl.DataFrame) -> pl.DataFrame:
    rows = table.rename({"id": "series", "value": "value.value"}).with_row_index("row")
    return rows.with_columns(pl.col("time").cast(detector.recent.collect_schema()["time"]))


def test_the_reference_has_the_windows_at_the_end_of_each_warm_up(fitted, detector, tmp_path):
    reference, (lineage, _) = read_profile(tmp_path / "parts"), fitted

    levels = pl.read_parquet(lineage.encoded.file("levels.parquet")).filter(split=1)["level.value"].to_numpy()

    assert len(levels) == 2 * 24
    assert reference.rows == len(levels) / SIZE
    assert reference.histograms.keys() == {"alarm", "level.value", "spread.value", "error.value"}
    counted = detector_watch().feature("level.value")[0].count(levels.reshape(-1, SIZE).mean(axis=1))
    assert reference.histograms["level.value"] == counted


def detector_watch():
    from tasks.kinds.detect.monitor import WATCH

    return WATCH


def test_rows_that_were_seen_in_training_do_not_count_again(detector):
    profiles, more = [], draw_more(1, MORE)
    history = unlabelled((1,))

    for table in (history, more, pl.concat([history, more])):
        detector.answer_rows(canonical(detector, table), profiles=profiles)

    assert [profile.rows for profile in profiles] == [0, MORE // SIZE, MORE // SIZE]
    assert profiles[1].histograms == profiles[2].histograms
    assert profiles[1].stretch.overlaps(profiles[2].stretch)


def test_a_series_that_is_new_is_counted_behind_its_warm_up_on_its_own_scale(detector):
    profiles, table = [], draw_panel((9,)).drop("anomaly").with_columns(pl.col("value") * 1000)

    answers = detector.answer_rows(canonical(detector, table), profiles=profiles)

    [profile] = profiles
    assert profile.rows == (answers["status"] == "judged").sum() // SIZE
    level = detector_watch().feature("level.value")[0].mean(profile.histograms["level.value"])
    assert np.abs(level) < 1
