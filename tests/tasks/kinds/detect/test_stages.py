"""From rows to levels, windows and judged rows: nothing after the warm-up leaves a trace in what is learned."""

import json
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from tasks.contract.lineage import Lineage
from tasks.errors import InputError
from tasks.fit import fit
from tasks.kinds.detect.encode import LevelSettings
from tasks.kinds.detect.fit import DetectorCandidate, JudgedRows, open_data
from tasks.kinds.detect.levels import LevelScale, LevelScaler
from tasks.kinds.detect.recipe import DETECT
from tasks.kinds.detect.shard import DetectionWindowSettings
from tasks.kinds.detect.split import WarmUpSettings, count_training, count_warm_up, divide
from tasks.panel.frames import TRAIN
from tests.tasks.kinds.detect.conftest import CANDIDATE, NUM_ROWS, SPIKE, WARM_UP, WINDOWS, draw_panel

Take = Callable[..., Lineage]
LATE = pl.int_range(pl.len()).over("id") >= WARM_UP


def test_each_series_has_a_warm_up_of_its_own(take_through: Take):
    table = pl.concat([draw_panel((1,)), draw_panel((2,)).head(100)])

    lineage = take_through(table)

    counts = (
        pl.read_parquet(lineage.splits.file("rows.parquet")).group_by("series", "split").len().sort("series", "split")
    )
    assert counts.rows() == [("s1", 0, 36), ("s1", 1, 24), ("s1", 2, 100), ("s2", 0, 22), ("s2", 1, 15), ("s2", 2, 63)]
    assert lineage.splits.summary["splits"] == {"train": 58, "valid": 39, "test": 163}


def test_a_warm_up_is_a_share_up_to_a_cap():
    settings = WarmUpSettings(warm_up=0.5, max_warm_up_rows=20, valid=0.25)

    assert [count_warm_up(rows, settings) for rows in (10, 40, 1000)] == [5, 20, 20]
    assert count_training(20, settings) == 15
    rows = pl.DataFrame({"series": ["a"] * 4 + ["b"] * 2})
    assert divide(rows, WarmUpSettings(warm_up=0.5, valid=0.5))["split"].to_list() == [0, 1, 2, 2, 1, 2]


def test_values_after_the_warm_up_change_no_training_tensor_and_no_weight(take_through: Take):
    table = draw_panel()
    first = take_through(table)
    weights = fit.fn(DETECT, first.shards, CANDIDATE)

    second = take_through(table.with_columns(value=pl.when(LATE).then(pl.col("value") * 7 + 1e3).otherwise("value")))
    again = fit.fn(DETECT, second.shards, CANDIDATE)

    for name in ("train.arrow", "valid.arrow"):
        assert first.shards.file(name).read_bytes() == second.shards.file(name).read_bytes()
    assert first.encoded.file("scales.json").read_bytes() == second.encoded.file("scales.json").read_bytes()
    assert weights.file("model.safetensors").read_bytes() == again.file("model.safetensors").read_bytes()
    assert first.shards.file("judged.arrow").read_bytes() != second.shards.file("judged.arrow").read_bytes()


def test_a_label_changes_nothing_that_is_learned_or_judged(take_through: Take):
    labelled = take_through(draw_panel())
    unlabelled = take_through(draw_panel().drop("anomaly"))

    assert labelled.splits.summary["labelled"]
    assert not unlabelled.splits.summary["labelled"]
    for name in ("train.arrow", "valid.arrow", "judged.arrow", "shards.json"):
        assert labelled.shards.file(name).read_bytes() == unlabelled.shards.file(name).read_bytes()


def test_every_row_is_judged_once_by_a_window_that_ends_with_it(take_through: Take):
    lineage = take_through(draw_panel())
    levels = pl.read_parquet(lineage.encoded.file("levels.parquet"))["level.value"].to_numpy()
    data = open_data(CANDIDATE, lineage.shards)
    judged: JudgedRows = data["judged"]

    batch = judged.windows.take(np.arange(judged.windows.num_rows))

    assert judged.rows_of_series == (NUM_ROWS, NUM_ROWS)
    assert batch.future[:, -1, 0].tolist() == levels.tolist() == judged.levels()[:, 0].tolist()
    # Before its first row a series is taken to have stood still.
    assert set(batch.history[NUM_ROWS, :, 0]) == {levels[NUM_ROWS]}
    row = NUM_ROWS + 50
    start = row - WINDOWS.look_back - WINDOWS.horizon + 1
    assert batch.history[row, :, 0].tolist() == levels[start : start + WINDOWS.look_back].tolist()


def test_the_warm_up_alone_is_trained_and_validated_on(take_through: Take):
    shards = take_through(draw_panel()).shards

    # A window for every row that lies a horizon or more after the first of its part.
    assert shards.summary["windows"] == {"train": 2 * (36 - 4 + 1), "valid": 2 * (24 - 4 + 1), "judged": 2 * NUM_ROWS}


def test_levels_are_distances_from_the_training_rows_in_their_deviations():
    scale = LevelScale.fit(np.array([1.0, 3.0, 5.0]))
    scaler = LevelScaler(channels=("x",), missing="error", calendar=(), zone=None, series={"a": {"x": scale}})
    values_NC = np.array([[3.0], [3.0 + scale.deviation], [3.0 + 1000 * scale.deviation]])

    levels_NC = scaler.levels("a", values_NC)

    assert levels_NC[:, 0].tolist() == pytest.approx([0.0, np.arcsinh(1), np.arcsinh(1000)])
    assert scaler.values("a", levels_NC) == pytest.approx(values_NC)
    assert LevelScale.fit(np.full(5, 7.0)) == LevelScale(centre=7.0, deviation=1.0)
    assert LevelScale.fit(np.array([1e30, -1e30])).deviation == pytest.approx(1e30)
    assert LevelScaler.from_dict(json.loads(json.dumps(scaler.to_dict()))) == scaler


def test_scales_are_those_of_the_training_rows(take_through: Take):
    lineage = take_through(draw_panel((1,)))
    rows = pl.read_parquet(lineage.splits.file("rows.parquet")).filter(pl.col("split") == TRAIN)

    scales = json.loads(lineage.encoded.file("scales.json").read_bytes())["series"]["s1"]["value"]

    assert scales == pytest.approx(
        {"centre": rows["value.value"].median(), "deviation": rows["value.value"].std(ddof=0)}
    )


def test_missing_numbers_take_a_policy(take_through: Take):
    row = pl.int_range(pl.len())
    table = draw_panel((1,)).with_columns(value=pl.when((row == 0) | (row == 70)).then(None).otherwise("value"))

    with pytest.raises(InputError, match='E-SER-009 column "value": a number is missing at 2026-03-01 00:00:00'):
        take_through(table)
    lineage = take_through(table, stages={"encode": LevelSettings(missing="forward")})

    levels = pl.read_parquet(lineage.encoded.file("levels.parquet"))
    assert levels["level.value"][0] == 0
    assert levels["value.value"][70] == levels["value.value"][69]
    assert lineage.encoded.summary["warnings"] == ["filled 2 missing numbers with the last number before"]


def test_series_that_are_too_short_to_train_on_are_not_watched(take_through: Take):
    lineage = take_through(pl.concat([draw_panel((1,)), draw_panel((2,)).head(2)]))

    assert pl.read_parquet(lineage.encoded.file("levels.parquet"))["series"].unique().to_list() == ["s1"]
    assert lineage.encoded.summary["warnings"] == ["1 series without training rows, not monitored"]


def test_a_series_that_stands_still_is_named(take_through: Take):
    lineage = take_through(draw_panel((1,)).with_columns(value=pl.when(LATE).then("value").otherwise(5.0)))

    assert lineage.encoded.summary["warnings"] == [
        '1 series such as "s1" are constant in a channel during training, so its levels are measured in its own unit'
    ]


def test_a_swing_that_levels_do_not_hold_is_a_problem(take_through: Take):
    table = draw_panel()
    moved = table.with_columns(
        pl.when(pl.int_range(pl.len()).over("id") >= WARM_UP, id="s1")
        .then(pl.col("value") + 1e10)
        .otherwise("value")
        .alias("value")
    )

    assert "problems" not in take_through(table.with_columns(pl.col("value") + 1e9)).encoded.summary
    assert take_through(moved).encoded.summary["problems"] == [
        'the variation of 1 series such as "s1" in "value" is lost in rounding to 32-bit floats (test rows), '
        "because it is so small compared with their scale or level; results for these series cannot be trusted: start "
        "the series where its level changed, so that its warm-up comes after the change"
    ]


def test_anomalies_in_the_warm_up_are_counted(take_through: Take):
    table = draw_panel((1,)).with_columns(anomaly=(pl.int_range(pl.len()) < 3).cast(int))

    assert take_through(table).splits.summary["warnings"] == [
        "3 rows of the warm-up are labelled anomalous, but are treated as ordinary"
    ]


@pytest.mark.parametrize(
    ("stages", "error"),
    [
        ({"split": WarmUpSettings(warm_up=0.005)}, "E-DET-002 there are no train rows"),
        ({"shard": DetectionWindowSettings(look_back=8, horizon=40)}, "E-SER-012 no train window fits"),
        ({"shard": DetectionWindowSettings(look_back=8, horizon=30)}, "E-SER-012 no valid window fits"),
    ],
)
def test_series_that_are_too_short_are_refused(take_through: Take, stages: dict, error: str):
    with pytest.raises(InputError, match=error):
        take_through(draw_panel(), stages=stages)


def test_plain_steps_have_no_calendar(take_through: Take):
    table = draw_panel((1,)).with_columns(time=pl.int_range(pl.len()))

    with pytest.raises(InputError, match="E-SER-011"):
        take_through(table, time_unit="step", stages={"encode": LevelSettings(calendar=("hour",))})
    lineage = take_through(table, time_unit="step")

    assert fit.fn(DETECT, lineage.shards, CANDIDATE).summary["rows"] == NUM_ROWS


def test_a_detector_leaves_a_forecast_and_a_surprise_for_every_row(fitted, fitted_channels):
    for (_, model), num_rows, num_channels in ((fitted, 2 * NUM_ROWS, 1), (fitted_channels, NUM_ROWS, 2)):
        forecasts, surprise = (np.load(model.file(name)) for name in ("forecasts.npy", "surprise.npy"))
        assert forecasts.shape == (num_rows, num_channels)
        assert forecasts.dtype == np.float32
        assert surprise.shape == (num_rows,)
        assert int(surprise[:NUM_ROWS].argmax()) == SPIKE


def test_a_candidate_starts_from_what_suits_detectors():
    candidate = DetectorCandidate(name="a", training={"seed": 3})

    assert (candidate.training.epochs, candidate.training.ema_decay, candidate.training.seed) == (4, 0.999, 3)
    assert candidate.model.normalization == "none"
    assert not candidate.model.line_views
