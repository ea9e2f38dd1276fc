"""The benchmark of time to quality: its clock, what it keeps of a rival, its windows and its tables."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import forecast_time_to_quality as benchmark
from benchmarks import time_to_quality_contenders as contenders

POINTS = [
    {"part": "line", "cpu_s": 20.0, "valid_mse": 0.65, "test_mse": 0.36},
    {"part": "epoch 1", "cpu_s": 50.0, "valid_mse": 0.64, "test_mse": 0.35},
]
CONFIG = benchmark.CONFIGS["neuralforecast"][3]


def result_of(test_mse: float, best_s: float) -> benchmark.Result:
    figures = {"valid_mse": 0.7, "test_mse": test_mse, "best_s": best_s, "num_parameters": 10}
    return benchmark.Result("neuralforecast", CONFIG, 1, figures)


def watch_of(**settings: float) -> contenders.Watch:
    return contenders.Watch(**{"budget_s": 100, "every_s": 10, "patience_s": 30, **settings})


def test_the_clock_stands_still_while_it_is_stopped():
    ticks = iter([100.0, 103.0, 110.0, 112.0])
    clock = contenders.CpuClock(lambda: next(ticks))
    with clock.stopped():
        assert clock.seconds == clock.seconds == 3
    assert clock.seconds == 5


def test_a_watch_keeps_the_state_of_the_lowest_error_and_when_it_was_reached():
    watch = watch_of()
    assert not watch.is_due(9)
    for now_s, mse in [(11, 0.9), (21, 0.7), (31, 0.8)]:
        assert watch.is_due(now_s)
        watch.see(now_s, mse, lambda now_s=now_s: {"weights": now_s})
    assert (watch.best_mse, watch.best_s, watch.best_state) == (0.7, 21, {"weights": 21})
    assert not watch.is_over()


@pytest.mark.parametrize(("settings", "last_s"), [({"budget_s": 40}, 40), ({"patience_s": 15}, 36)])
def test_a_watch_ends_with_its_budget_or_its_patience(settings, last_s):
    watch = watch_of(**settings)
    watch.see(20, 0.7, dict)
    assert not watch.is_over()
    watch.see(last_s, 0.8, dict)
    assert watch.is_over()


def test_every_test_window_counts_whatever_the_look_back():
    values = np.arange(contenders.TEST_UNTIL, dtype=np.float32)[:, None]
    for look_back in (96, 336):
        windows = contenders.cut_windows(values, "test", look_back)
        assert windows.shape == (2785, look_back + 96, 1)
        assert (windows[0, look_back, 0], windows[-1, -1, 0]) == (11_520, 14_399)


def test_values_are_scaled_by_the_training_rows(tmp_path: Path):
    values = np.random.default_rng(0).normal(3, 2, (contenders.TEST_UNTIL + 5, 2))
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["date,a,b", *(f"2016-07-01 00:00:00,{a},{b}" for a, b in values)]))
    train = values[: contenders.TRAIN_UNTIL]
    scaled = (values[: contenders.TEST_UNTIL] - train.mean(axis=0)) / train.std(axis=0)
    np.testing.assert_allclose(contenders.read_scaled_rows(path), scaled, rtol=1e-4, atol=1e-5)


def test_the_error_is_the_mean_over_windows_steps_and_channels():
    windows = np.random.default_rng(0).normal(size=(300, 100, 2)).astype(np.float32)
    last = contenders.channel_by_channel(lambda history: np.repeat(history[:, -1:], contenders.HORIZON, axis=1)[..., 0])
    expected = np.square(windows[:, 3:4] - windows[:, 4:], dtype=np.float64).mean()
    assert contenders.measure_mse(last, windows) == pytest.approx(expected)


def test_a_recipe_is_measured_after_its_line_and_every_epoch(recipe: Path, waves: Path, project: Path):
    figures = contenders.train_ours(str(recipe), waves, 1, project)
    line, epoch = figures["points"]
    assert (line["part"], epoch["part"]) == ("line", "epoch 1")
    assert 0 < line["cpu_s"] < epoch["cpu_s"]
    # A network that has learned nothing adds nothing to its line.
    assert epoch["test_mse"] == pytest.approx(line["test_mse"], rel=1e-5)


def test_ours_counts_from_the_first_point_below_a_rival():
    assert benchmark.seconds_below(POINTS, 0.4) == 20
    assert benchmark.seconds_below(POINTS, 0.36) == 50
    assert benchmark.seconds_below(POINTS, 0.3) is None


def test_the_table_names_errors_seconds_and_ratios():
    results = [result_of(0.4, 110.0), result_of(0.36, 110.0), result_of(0.3, 110.0)]
    described = "GRU 2x128, look-back 192, robust, batch 128, rate 0.001, MAE, stride 8, dropout 0.2"
    start = f"| neuralforecast, seed 1 | {described} | 0.7000 |"
    assert benchmark.result_table(results, {1: {"points": POINTS}}).splitlines()[2:] == [
        f"{start} 0.4000 | 110.0 | 20.0 | 5.50 | 50.0 | 2.20 |",
        f"{start} 0.3600 | 110.0 | 50.0 | 2.20 | 50.0 | 2.20 |",
        f"{start} 0.3000 | 110.0 | never |  | 50.0 | 2.20 |",
    ]
    said = benchmark.conclude([*results, result_of(0.4, 250.0)], {1: {"points": POINTS}})
    assert "training time: 2 of 4 trainings." in said
    assert said.endswith("line alone: 1 of 4.")


def test_the_configuration_with_the_lowest_validation_error_is_trained_for_longer():
    jobs = []

    def run(job: dict) -> dict:
        jobs.append(job)
        return {"glance_mse": abs(job["config"]["look_back"] - 336), "best_s": 1.0, "seen_s": 2.0}

    tried = benchmark.search(run, "darts", 35, seed=1)
    result = benchmark.finish(run, "darts", tried, 120, seed=2)
    assert result.config == benchmark.CONFIGS["darts"][1]
    assert [job["is_final"] for job in jobs] == [False] * 4 + [True]
    assert (jobs[-1]["seed"], jobs[-1]["watch"]["budget_s"]) == (2, 120)
    assert len(benchmark.search_table({"darts": tried}).splitlines()) == 6


def test_a_finished_training_is_not_repeated(tmp_path: Path, monkeypatch):
    calls = []

    def run_fresh(module: str, arguments: list[str], **_: int) -> benchmark.measure.Sample:
        calls.append(json.loads(arguments[0]))
        return benchmark.measure.Sample(1.0, 1.0, {"points": POINTS})

    monkeypatch.setattr(benchmark.measure, "run_fresh", run_fresh)
    options = argparse.Namespace(file=tmp_path / "rows.csv", runs=tmp_path / "runs.jsonl")
    for seed in (1, 2, 1):
        assert benchmark.Runs(options, tmp_path)({"recipe": "etth1", "seed": seed}) == {"points": POINTS}
    assert [call["seed"] for call in calls] == [1, 2]
    assert str(tmp_path) not in options.runs.read_text()
