"""The benchmark of forecasts: it runs the product's stages, and its table says what they found."""

import pytest

from benchmarks import forecast_quality as benchmark


def run_of(recipe, seed, mse, **other):
    errors = {"gru": mse, "ridge": 0.4, benchmark.OWN_LINE: 0.35}
    return {
        "recipe": recipe, "seed": seed, "horizon": 96, "best": "gru", "recurrent_weight": 1.0, "windows": 2785,
        "num_parameters": 85_416, "cpu_s": 80.0 + seed, "peak_mb": 600.0 + seed,
        "errors": {name: dict.fromkeys(("test/mse", "test/mae", "valid/mse", "valid/mae"), value)
                   for name, value in errors.items()},
        **other,
    }  # fmt: skip


def test_a_run_scores_the_candidate_its_line_and_the_baselines_on_the_same_windows(recipe, waves, project):
    figures = benchmark.run_recipe(str(recipe), 1, waves, project)
    errors = figures["errors"]
    assert {"tiny", benchmark.OWN_LINE, "ridge", "drift"} < set(errors)
    assert (figures["horizon"], figures["windows"], figures["best"]) == (4, 37, "tiny")
    # A network that has learned nothing adds nothing, so what the stage says of the model holds for its line.
    assert errors[benchmark.OWN_LINE] == pytest.approx(errors["tiny"], rel=1e-5)
    assert errors["ridge"] != errors["tiny"]
    assert figures["cpu_s"] > 0


def test_tables_hold_mean_and_deviation_of_the_seeds_and_say_how_often_the_line_is_beaten():
    runs = [run_of("etth1", 1, 0.34), run_of("etth1", 2, 0.42), run_of("long", 1, 0.3)]
    errors = " | ".join(["0.3800 ± 0.0566"] * 3)
    assert benchmark.model_table(runs).splitlines()[2:] == [
        f"| etth1 | 96 | {errors} | 1 of 2 | 1.0 ± 0.0 | 85,416 | 82 ± 1 | 602 |",
        "| long | 96 | 0.3000 | 0.3000 | 0.3000 | 1 of 1 | 1.0 | 85,416 | 81 | 601 |",
        "| mean of all |  | 0.3400 | 0.3400 | 0.3400 |  |  |  |  |  |",
    ]
    assert benchmark.baseline_table(runs[:2]).splitlines()[2:] == [
        "| etth1: its own line alone | 2,785 | 0.3500 | 0.3500 | 0.3500 |",
        "| etth1: ridge | 2,785 | 0.4000 | 0.4000 | 0.4000 |",
    ]
