"""CPU seconds of training until rnnflow's recipe is below the test error of each rival's best recurrent model.

python -m benchmarks.forecast_time_to_quality ETTh1.csv --output benchmarks/results/NAME.md

Every training has a process of its own, one at a time. A rival's configurations are compared on validation after a
short training; the best is then trained for longer. With `--runs`, finished trainings are kept and not repeated.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import measure

VERSIONS = ("torch", "numpy", "darts", "neuralforecast", "pytorch-lightning")
MODULES = {"darts": ("darts", "pytorch_lightning"), "neuralforecast": ("neuralforecast", "pytorch_lightning")}
RECIPE = "etth1"
GOAL = 5
POINT_COLUMNS = {"cpu_s": 1, "valid_mse": 4, "test_mse": 4}
LSTM, GRU = {"cell": "LSTM"}, {"cell": "GRU"}
PLAIN = {"layers": 1, "dropout": 0.0, "learning_rate": 1e-3}
JOINT = {**PLAIN, "joint": True, "batch": 64}
EACH = {**PLAIN, "joint": False, "normalization": "RINorm"}
PANEL = {**PLAIN, "batch": 128, "stride": 8, "loss": "MAE"}
CONFIGS = {
    "darts": (
        {**JOINT, **LSTM, "hidden_size": 128, "look_back": 96, "normalization": "none"},
        {**JOINT, **GRU, "hidden_size": 128, "look_back": 336, "normalization": "RINorm"},
        {**EACH, **GRU, "hidden_size": 64, "look_back": 336, "batch": 256},
        {**EACH, **LSTM, "hidden_size": 128, "look_back": 192, "batch": 128, "learning_rate": 3e-3},
    ),
    "neuralforecast": (
        {**PANEL, **LSTM, "hidden_size": 128, "look_back": 96, "normalization": "robust", "stride": 1, "layers": 2},
        {**PANEL, **GRU, "hidden_size": 64, "look_back": 336, "normalization": "standard", "batch": 256, "loss": "MSE"},
        {**PANEL, **LSTM, "hidden_size": 128, "look_back": 192, "normalization": "standard", "learning_rate": 3e-3},
        {**PANEL, **GRU, "hidden_size": 128, "look_back": 192, "normalization": "robust", "layers": 2, "dropout": 0.2},
    ),
}
EXPLANATION = """\
All forecast 96 steps of the seven channels of ETTh1: rows up to 8,640 train, up to 11,520 validate, up to 14,400 \
test, scaled by the training rows; errors in scaled units over all windows (stride 1, none dropped), steps and \
channels. Seconds are CPU seconds of training with one thread; starts, the preparation of data and all measuring are \
left out. A rival's seconds are those of its chosen configuration alone, up to its lowest validation error; its search \
is free. Ours are those until the first point, after the line or an epoch, whose test error is below the rival's. \
Configurations, epochs and weights are chosen on validation; test errors are only recorded, and no training stops for \
them. `whole` is the recipe to its end: somebody who sees no test errors waits that long. The line is no recurrent \
network but the closed-form part of the recipe's model, which its recurrent part adds to."""
SEARCH = """\
Lowest validation MSE, on every eighth window, within at most {search_s:.0f} CPU s of training; the chosen one then \
had at most {final_s:.0f} in a training of its own. Where the lowest error was reached at the end of a training, more \
time would have lowered it further. Darts reads the channels together (`joint`) or each as a series (`each`), \
NeuralForecast each as a series."""


@dataclass(frozen=True)
class Result:
    """A rival's chosen configuration, trained with one seed."""

    rival: str
    config: dict
    seed: int
    figures: dict


Run = Callable[[dict], dict]


class Runs:
    """Trains what a job describes, in a fresh process, unless a file of finished trainings holds it already."""

    def __init__(self, options: argparse.Namespace, home: Path) -> None:
        self._file = options.file.resolve()
        self._home = home
        self._kept = options.runs

    def __call__(self, job: dict) -> dict:
        """Return the figures of a job."""
        known = self._find(job)
        if known is not None:
            return known
        arguments = [json.dumps({**job, "file": str(self._file), "home": str(self._home)})]
        figures = measure.run_fresh("benchmarks.time_to_quality_contenders", arguments, threads=1).figures
        print(job, figures, file=sys.stderr, flush=True)
        if self._kept is not None:
            with self._kept.open("a", encoding="utf-8") as kept:
                kept.write(json.dumps({"job": job, "figures": figures}) + "\n")
        return figures

    def _find(self, job: dict) -> dict | None:
        if self._kept is None or not self._kept.exists():
            return None
        done = map(json.loads, self._kept.read_text(encoding="utf-8").splitlines())
        return next((one["figures"] for one in done if one["job"] == job), None)


def search(run: Run, rival: str, budget_s: float, seed: int) -> list[tuple[dict, dict]]:
    """Train every configuration of a rival shortly; returns them with their figures."""
    watch = describe_watch(budget_s)
    jobs = {"rival": rival, "seed": seed, "is_final": False, "watch": watch}
    return [(config, run({**jobs, "config": config})) for config in CONFIGS[rival]]


def finish(run: Run, rival: str, tried: Sequence[tuple[dict, dict]], budget_s: float, seed: int) -> Result:
    """Train the configuration with the lowest validation error for longer."""
    config, _ = min(tried, key=lambda one: one[1]["glance_mse"])
    job = {"rival": rival, "seed": seed, "is_final": True, "watch": describe_watch(budget_s), "config": config}
    return Result(rival, config, seed, run(job))


def describe_watch(budget_s: float) -> dict:
    """When a rival looks at validation and how long it may train."""
    return {"budget_s": budget_s, "every_s": 7.0, "patience_s": max(21.0, budget_s * 0.3)}


def seconds_below(points: Sequence[dict], test_mse: float) -> float | None:
    """CPU seconds to the first point whose test error is below another; None where none is."""
    return next((point["cpu_s"] for point in points if point["test_mse"] < test_mse), None)


def result_table(results: Sequence[Result], ours: dict[int, dict]) -> str:
    """One row per rival and seed: its errors and seconds, and ours beside them."""
    rows = [_result_row(result, ours[result.seed]["points"]) for result in results]
    header = ["rival", "chosen", "validation MSE", "test MSE", "CPU s", "ours below it after", "its / ours"]
    return measure.markdown_table([*header, "whole", "its / whole"], rows)


def _result_row(result: Result, points: Sequence[dict]) -> list[str]:
    figures, whole_s = result.figures, points[-1]["cpu_s"]
    ours_s = seconds_below(points, figures["test_mse"])
    return [
        f"{result.rival}, seed {result.seed}",
        describe_config(result.config),
        f"{figures['valid_mse']:.4f}",
        f"{figures['test_mse']:.4f}",
        f"{figures['best_s']:.1f}",
        "never" if ours_s is None else f"{ours_s:.1f}",
        "" if ours_s is None else f"{figures['best_s'] / ours_s:.2f}",
        f"{whole_s:.1f}",
        f"{figures['best_s'] / whole_s:.2f}",
    ]


def describe_config(config: dict) -> str:
    """A configuration in words."""
    words = [f"{config['cell']} {config['layers']}x{config['hidden_size']}", f"look-back {config['look_back']}"]
    words += [config["normalization"], f"batch {config['batch']}", f"rate {config['learning_rate']:g}"]
    words += ["joint" if config["joint"] else "each"] if "joint" in config else []
    words += [config["loss"], f"stride {config['stride']}"] if "loss" in config else []
    words += [f"dropout {config['dropout']:g}"] if config["dropout"] else []
    return ", ".join(words)


def curve_table(ours: dict[int, dict]) -> str:
    """One row per point of each of our trainings."""
    rows = [
        [f"{point['part']}, seed {seed}", *(f"{point[column]:.{digits}f}" for column, digits in POINT_COLUMNS.items())]
        for seed, figures in ours.items()
        for point in figures["points"]
    ]
    return measure.markdown_table(["rnnflow after", "CPU s", "validation MSE", "test MSE"], rows)


def search_table(tried: dict[str, list[tuple[dict, dict]]]) -> str:
    """One row per configuration that was tried."""
    rows = [
        [
            f"{rival}: {describe_config(config)}",
            f"{figures['glance_mse']:.4f}",
            f"{figures['best_s']:.1f}",
            f"{figures['seen_s']:.1f}",
        ]
        for rival, configs in tried.items()
        for config, figures in configs
    ]
    return measure.markdown_table(["configuration", "validation MSE", "reached after (CPU s)", "trained (CPU s)"], rows)


def conclude(results: Sequence[Result], ours: dict[int, dict]) -> str:
    """Say how often the goal was reached: below a rival's error in at most a fifth of its time."""
    points = [ours[result.seed]["points"] for result in results]
    reached = sum(map(_is_reached, results, points))
    trained = sum(map(_is_reached, results, map(_epochs_of, points)))
    return (
        f"Below a rival's test MSE in at most 1/{GOAL} of its training time: {reached} of {len(results)} trainings. "
        f"With a trained recurrent part, so not by the line alone: {trained} of {len(results)}."
    )


def _is_reached(result: Result, points: Sequence[dict]) -> bool:
    seconds = seconds_below(points, result.figures["test_mse"])
    return seconds is not None and seconds * GOAL <= result.figures["best_s"]


def _epochs_of(points: Sequence[dict]) -> list[dict]:
    return [point for point in points if point["part"] != "line"]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast_time_to_quality", description=__doc__)
    parser.add_argument("file", type=Path, help="ETTh1.csv")
    parser.add_argument("--recipe", default=RECIPE, help="shipped name or path")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1], help="seeds of ours and of the final trainings")
    parser.add_argument("--search-s", type=float, default=35, help="CPU seconds of each configuration, at most")
    parser.add_argument("--final-s", type=float, default=120, help="CPU seconds of the chosen one, at most")
    parser.add_argument("--runs", type=Path, help="file of finished trainings, to go on from")
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark and publish its report."""
    options = parse_arguments()
    described = measure.describe_run(VERSIONS)
    present, skipped = measure.split_by_presence(MODULES)
    with tempfile.TemporaryDirectory() as home:
        run = Runs(options, Path(home))
        ours = {seed: run({"recipe": options.recipe, "seed": seed}) for seed in options.seeds}
        tried = {rival: search(run, rival, options.search_s, options.seeds[0]) for rival in present}
        results = [
            finish(run, rival, tried[rival], options.final_s, seed) for seed in options.seeds for rival in present
        ]
    found = SEARCH.format(search_s=options.search_s, final_s=options.final_s)
    sections = ["# Forecasters: time to quality", described, *skipped, conclude(results, ours)]
    sections += [result_table(results, ours), EXPLANATION, "## The recipe point by point", curve_table(ours)]
    sections += ["## Configurations tried", search_table(tried), found]
    measure.publish("\n\n".join(sections), options.output)


if __name__ == "__main__":
    main()
