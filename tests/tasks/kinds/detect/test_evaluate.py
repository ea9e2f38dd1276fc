"""A detector is measured on what it left of every row; labels count where there are any."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.contract.lineage import Lineage
from tasks.errors import InputError
from tasks.evaluate import evaluate
from tasks.kinds.detect.evaluate import DetectionEvaluationSettings, calibrate
from tasks.kinds.detect.measuring import compare_series, expect_share
from tasks.kinds.detect.recipe import DETECT
from tasks.kinds.forecast.metrics import measure_advantage
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tests.tasks.kinds.detect.conftest import NUM_ROWS, SPIKE, START, WARM_UP, draw_panel

SETTINGS = DetectionEvaluationSettings(resamples=100, buffer_rows=4)
THRESHOLD, GAP_SHARE = 7.0, 0.1
NUM_TEST = NUM_ROWS - WARM_UP


def levels_of(lineage: Lineage) -> pl.DataFrame:
    return pl.read_parquet(lineage.encoded.file("levels.parquet"))


def model_of(lineage: Lineage, surprised: dict[int, float], *, error: float = 0.0, name: str = "made") -> Artefact:
    """A model that is surprised by some rows of the whole table, whose forecasts are all too high by `error`."""
    surprise = np.zeros(levels_of(lineage).height)
    surprise[list(surprised)] = list(surprised.values())

    def write(folder: Path) -> dict:
        np.save(folder / "forecasts.npy", levels_of(lineage).select("^level.*$").to_numpy() + np.float32(error))
        np.save(folder / "surprise.npy", surprise)
        told = {"threshold": THRESHOLD, "gap_share": GAP_SHARE, "num_evidence": 3}
        (folder / "detector.json").write_text(json.dumps(told))
        return Summary.model_validate({"rows": len(surprise), "name": name})

    config = {"surprised": str(surprised), "error": str(error), "name": name}
    return artefacts.build(
        "fit", write, module="tasks.store.artefacts", config=config, inputs={"encoded": lineage.encoded}
    )


def read(evaluation: Artefact) -> dict:
    return json.loads(evaluation.file("metrics.json").read_bytes())


def values_of(metrics: dict) -> dict[str, float]:
    return {name: interval["value"] for name, interval in metrics.items()}


@pytest.fixture
def judge(take_through: Callable[..., Lineage]) -> Callable[..., Artefact]:
    """Evaluate a made-up model of a table: `judge(table, {row: surprise, ...}, error=..., settings=...)`."""

    def run(table: pl.DataFrame, surprised: dict[int, float], *, settings=SETTINGS, **model: object) -> Artefact:
        lineage = take_through(table)
        return evaluate.fn(DETECT, model_of(lineage, surprised, **model), lineage, settings)

    return run


def test_a_fitted_detector_is_measured_on_its_test_rows(fitted: tuple[Lineage, Artefact]):
    lineage, model = fitted
    split = levels_of(lineage)["split"].to_numpy()
    forecasts, surprise = (np.load(model.file(name)) for name in ("forecasts.npy", "surprise.npy"))
    errors = np.abs(levels_of(lineage)["level.value"].to_numpy() - forecasts[:, 0])

    evaluation = evaluate.fn(DETECT, model, lineage, SETTINGS)

    result, test = read(evaluation), evaluation.summary["metrics"]["test"]
    assert test["mae"]["value"] == pytest.approx(errors[split == 2].mean(), rel=1e-6)
    assert test["mae"]["low"] < test["mae"]["value"] < test["mae"]["high"]
    assert result["metrics"]["valid"]["mae"]["value"] == pytest.approx(errors[split == 1].mean(), rel=1e-6)
    peaks = [record["peak"] for record in result["by_series"]]
    assert peaks == pytest.approx([surprise[SPIKE], surprise[NUM_ROWS + SPIKE]])
    assert (evaluation.rows, evaluation.summary["name"]) == (2 * NUM_TEST, "gru")
    assert test["found"]["value"] == 1
    assert evaluation.summary["warnings"] == result["warnings"]


def test_one_alarm_at_each_anomaly_and_no_other_is_perfect(judge):
    evaluation = judge(draw_panel(), {SPIKE: 9.0, NUM_ROWS + SPIKE: 8.0})

    test = values_of(evaluation.summary["metrics"]["test"])
    assert test == pytest.approx(
        {
            "mae": 0.0,
            "events_per_1000": 1000 * 2 / (2 * NUM_TEST),
            "auc_pr": 1.0,
            "vus_pr": 1.0,
            "nab": 100.0,
            "found": 1.0,
            "false_alarms_per_1000": 0.0,
        },
        abs=0.02,
    )
    # In validation nothing is labelled anomalous, so there is nothing to rank and nothing to find.
    assert list(evaluation.summary["metrics"]["valid"]) == ["mae", "events_per_1000", "false_alarms_per_1000"]


def test_a_false_alarm_and_a_missed_anomaly_are_counted_where_they_are(judge):
    evaluation = judge(draw_panel(), {SPIKE: 9.0, SPIKE + 1: 9.0, 90: 7.0, NUM_ROWS + SPIKE: 6.9}, error=0.5)

    first, second = read(evaluation)["by_series"]
    assert {name: first[name] for name in ("name", "rows", "judged", "events", "windows", "found", "false_alarms")} == {
        "name": "s1", "rows": NUM_ROWS, "judged": NUM_TEST, "events": 2, "windows": 1, "found": 1, "false_alarms": 1,
    }  # fmt: skip
    assert (second["events"], second["found"], second["false_alarms"], second["raw"]) == (0, 0, 0, -1.0)
    assert first["raw"] == pytest.approx(1 - 0.11)
    # Rows above and at the anomaly's rank: one before it in the first series, none in the second.
    assert (first["auc_pr"], second["auc_pr"]) == (pytest.approx(0.5), 1.0)
    test = values_of(evaluation.summary["metrics"]["test"])
    assert test["nab"] == pytest.approx(100 * (1 - 0.11 - 1 + 2) / 4)
    assert (test["found"], test["mae"]) == (0.5, pytest.approx(0.5, abs=1e-6))
    assert test["false_alarms_per_1000"] == pytest.approx(1000 / (2 * NUM_TEST))


def test_the_profile_weighs_false_alarms(judge):
    low_fp = SETTINGS.model_copy(update={"profile": "reward_low_FP"})

    evaluation = judge(draw_panel((1,)), {SPIKE: 9.0, 90: 7.0}, settings=low_fp)

    assert read(evaluation)["by_series"][0]["raw"] == pytest.approx(1 - 0.22)


def test_events_are_listed_with_their_times(judge):
    evaluation = judge(draw_panel(), {90: 7.5, NUM_ROWS + SPIKE - 1: 8.0, NUM_ROWS + SPIKE: 9.0})

    def at(row: int) -> datetime:
        return START + timedelta(minutes=30 * row)

    # The second begins with the row before the anomaly, so its alarm is false.
    assert pl.read_parquet(evaluation.file("events.parquet")).rows() == [
        ("s1", at(90), at(90), at(90), 7.5, False),
        ("s2", at(SPIKE - 1), at(SPIKE), at(SPIKE), 9.0, False),
    ]


def test_validation_has_events_of_its_own(judge):
    # Row 50 lies in the warm-up behind the training rows, row 62 in test, near enough to be one event with row 59.
    evaluation = judge(draw_panel((1,)), {50: 8.0, 59: 8.0, 62: 8.0})

    rates = {split: values_of(one)["events_per_1000"] for split, one in evaluation.summary["metrics"].items()}
    assert rates == pytest.approx({"valid": 1000 * 2 / 24, "test": 1000 / NUM_TEST})


def test_without_labels_there_is_no_metric_that_takes_them(judge):
    evaluation = judge(draw_panel().drop("anomaly"), {SPIKE: 9.0})

    metrics, result = evaluation.summary["metrics"], read(evaluation)
    assert [list(one) for one in metrics.values()] == [["mae", "events_per_1000"]] * 2
    assert (result["by_series"][0]["labelled"], result["by_series"][0]["windows"]) == (0, None)
    assert pl.read_parquet(evaluation.file("events.parquet"))["is_true"].to_list() == [None]
    assert not [one for one in result["warnings"] if "label" in one]


def test_rows_whose_label_is_unknown_count_neither_way(judge):
    row = pl.int_range(pl.len())
    table = draw_panel((1,)).with_columns(anomaly=pl.when(row.is_between(80, 99)).then(None).otherwise("anomaly"))

    evaluation = judge(table, {90: 9.0, SPIKE: 8.0})

    (record,) = read(evaluation)["by_series"]
    assert (record["events"], record["false_alarms"], record["found"], record["auc_pr"]) == (2, 0, 1, 1.0)
    assert record["raw"] == pytest.approx(1.0)
    assert values_of(evaluation.summary["metrics"]["test"])["false_alarms_per_1000"] == 0
    assert "20 rows of test have no label and are left out of metrics that need one." in evaluation.summary["warnings"]


def test_few_anomalous_series_are_warned_of(judge):
    warnings = judge(draw_panel(), {SPIKE: 9.0}).summary["warnings"]

    assert (
        "test has only 2 series with a labelled anomaly: the intervals of auc_pr, vus_pr and nab are unreliable."
        in warnings
    )


def test_labels_choose_the_best_model_only_if_validation_has_an_anomaly(judge):
    by_labels = SETTINGS.model_copy(update={"select_by": "auc_pr"})

    with pytest.raises(InputError, match=r"E-DET-010 evaluate\.select_by is auc_pr, but no validation row") as refused:
        judge(draw_panel(), {SPIKE: 9.0}, settings=by_labels)
    assert 'set evaluate.select_by to "mae"' in refused.value.fix
    early = draw_panel().with_columns(anomaly=(pl.int_range(pl.len()).over("id").is_in([50, SPIKE])).cast(int))
    good, poor = (
        judge(early, {50: 5.0, NUM_ROWS + 50: 5.0, 40: beside}, settings=by_labels, name=str(beside))
        for beside in (1.0, 9.0)
    )
    assert by_labels.penalty(good) < by_labels.penalty(poor)
    assert by_labels.penalty(good) == -1


def test_surprise_is_counted_beside_what_chance_would_come_to():
    found = calibrate(np.array([0.5, 1.5, 2.5, 2.5]), num_evidence=1, num_channels=1)

    assert [one["observed"] for one in found] == [0.75, 0.5, 0, 0, 0]
    assert [one["expected"] for one in found] == pytest.approx([0.1, 0.01, 1e-3, 1e-4, 1e-5])
    assert expect_share(2, num_evidence=1, num_channels=3) == pytest.approx(1 - 0.99**3)
    drawn = -np.log10(np.random.default_rng(1).random((100_000, 3))).sum(axis=1)
    assert (drawn > 2).mean() == pytest.approx(expect_share(2, num_evidence=3, num_channels=1), rel=0.02)


def test_detectors_are_compared_in_pairs(judge):
    profile, bootstrap = SETTINGS.yardstick.profile, SETTINGS.bootstrap
    good = judge(draw_panel(), {SPIKE: 9.0, NUM_ROWS + SPIKE: 9.0}, error=0.1, name="good")
    poor = judge(draw_panel(), {SPIKE: 9.0, 90: 9.5, NUM_ROWS + 100: 9.5}, error=0.4, name="poor")
    records, others = (read(one)["by_series"] for one in (good, poor))

    gain = measure_advantage(good, poor, "mae", bootstrap).gain
    nab = compare_series(records, others, "nab", profile=profile, bootstrap=bootstrap)
    same = compare_series(records, records, "auc_pr", profile=profile, bootstrap=bootstrap)

    assert gain["value"] == pytest.approx(0.3, abs=1e-6)
    values = [one.summary["metrics"]["test"]["nab"]["value"] for one in (good, poor)]
    assert nab["value"] == pytest.approx(values[0] - values[1])
    assert same == {"value": 0.0, "low": 0.0, "high": 0.0}
    relabelled = [{**record, "windows": 2} for record in others]
    with pytest.raises(AssertionError, match="different labels"):
        compare_series(records, relabelled, "nab", profile=profile, bootstrap=bootstrap)


def test_more_series_narrow_the_interval(judge):
    def width(num_series: int) -> float:
        surprised = {NUM_ROWS * number + SPIKE + number % 2: 9.0 for number in range(num_series)}
        interval = judge(draw_panel(range(num_series)), surprised).summary["metrics"]["test"]["auc_pr"]
        return interval["high"] - interval["low"]

    assert 0 < width(12) < width(4)


def test_a_detector_that_forecasts_no_better_than_the_level_is_a_problem(judge):
    assert "problems" not in judge(draw_panel(), {}).summary

    [problem] = judge(draw_panel(), {}, error=3.0).summary["problems"]

    assert problem.startswith(
        "made forecasts the validation rows no better than the training median of each series does"
    )


def test_undefined_figures_of_a_model_are_refused(judge):
    with pytest.raises(AssertionError, match="anomaly scores may not be infinite"):
        judge(draw_panel(), {SPIKE: np.inf})
    with pytest.raises(AssertionError, match="infinite or undefined levels"):
        judge(draw_panel(), {SPIKE: 9.0}, error=float("inf"))
