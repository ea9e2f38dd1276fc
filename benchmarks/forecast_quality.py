"""Errors of the shipped forecasting recipes over several seeds, beside the line and the other baselines.

python -m benchmarks.forecast_quality ETTh1.csv --output benchmarks/results/NAME.md

Every recipe is fitted with every seed by the product's own stages in a process of its own. Validation decides about
everything; test is measured once, at the end of each run.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING

from benchmarks import measure

if TYPE_CHECKING:
    from rnnmodels.forecasters.forecaster import SequenceForecaster
    from rnnmodels.forecasters.windows import Windows
    from tasks.contract.contest import Contest
    from tasks.contract.lineage import Lineage
    from tasks.kinds.forecast.recipe import ForecastRecipe

VERSIONS = ("torch", "numpy")
RECIPES = ("etth1", "etth1-192", "etth1-336", "etth1-720")
METRICS = {"test/mse": "test MSE", "test/mae": "test MAE", "valid/mse": "validation MSE"}
RIDGE, OWN_LINE = "ridge", "its own line alone"
EXPLANATION = """\
Mean ± standard deviation over the seeds; errors in scaled units, over all windows (stride 1, none dropped), steps and \
channels. The epoch, the penalties, the weight of the recurrent part and the candidate are chosen on validation. \
`{own}` is what the model forecasts without its recurrent part; `{ridge}` is the baseline of every report, a ridge \
regression on all steps of the look-back. CPU seconds are those of all threads in the stage `fit`, which fits the \
line, trains, validates and forecasts validation and test; the peak is that of the whole process, baselines included."""


def run_recipe(name: str, seed: int, file: Path, home: Path) -> dict:
    """Run the data stages, fit candidates and baselines, and score them; the best candidate on validation counts."""
    os.environ["RNNFLOW_HOME"] = str(home)
    from flows.recipes.recipe import load_recipe
    from tasks.baseline import fit_baselines
    from tasks.contract.contest import Contest, Scored
    from tasks.evaluate import evaluate
    from tasks.fit import fit
    from tasks.kinds.forecast.recipe import FORECAST

    recipe = load_recipe(name, settings=[f"training.seed={seed}"], from_file=str(file))
    lineage = prepare_data(recipe)
    started_s = time.process_time()
    models = [fit.fn(FORECAST, lineage.shards, candidate) for candidate in recipe.candidates]
    cpu_s = time.process_time() - started_s

    def score_all(models: Sequence) -> tuple:
        return tuple(
            Scored(model=one, evaluation=evaluate.fn(FORECAST, one, lineage, recipe.evaluate)) for one in models
        )

    contest = Contest(
        candidates=score_all(models),
        baselines=score_all(fit_baselines.fn(FORECAST, lineage, recipe.baseline).fitted),
        settings=recipe.evaluate,
    )
    return {"horizon": recipe.shard.horizon, "cpu_s": cpu_s, **summarize(contest, lineage)}


def prepare_data(recipe: "ForecastRecipe") -> "Lineage":
    """Run the stages from the file to the windows."""
    from tasks.contract.lineage import Lineage
    from tasks.encode import encode
    from tasks.ingest import ingest
    from tasks.kinds.forecast.recipe import FORECAST
    from tasks.shard import shard
    from tasks.split import split

    rows = ingest.fn(FORECAST, recipe.source)
    splits = split.fn(FORECAST, rows, recipe.split)
    encoded = encode.fn(FORECAST, splits, recipe.encode)
    return Lineage(rows=rows, splits=splits, encoded=encoded, shards=shard.fn(FORECAST, encoded, recipe.shard))


def summarize(contest: "Contest", lineage: "Lineage") -> dict:
    """Errors of the best candidate, of its line alone and of the baselines, on validation and test."""
    from rnnmodels.forecasters.forecaster import SequenceForecaster
    from rnnmodels.training.checkpoint import load_model
    from tasks.contract.summaries import FittedSummary
    from tasks.kinds.forecast.stored_windows import open_split

    best = contest.best
    errors = {one.name: pick_errors(one.metrics) for one in (best, *contest.baselines)}
    model = load_model(SequenceForecaster, best.model.path)
    if model.has_line:
        model.recurrent_weight.zero_()
        errors[OWN_LINE] = {
            f"{split}/{metric}": value
            for split in ("valid", "test")
            for metric, value in measure_errors(model, open_split(lineage.shards, split)).items()
        }
    return {
        "best": best.name,
        "errors": errors,
        "windows": contest.best.evaluation.rows,
        "recurrent_weight": best.model.summary["recurrent_weight"],  # a figure of its kind, for people
        "num_parameters": FittedSummary.of(best.model).num_parameters,
    }


def pick_errors(metrics: dict[str, float]) -> dict[str, float]:
    """Keep the mean squared and absolute errors."""
    return {name: metrics[name] for name in ("valid/mse", "valid/mae", "test/mse", "test/mae")}


def measure_errors(model: "SequenceForecaster", windows: "Windows") -> dict[str, float]:
    """Mean squared and absolute error of a model over all windows."""
    import numpy as np

    from rnnmodels.forecasters.forecasts import forecast_arrays

    squares = absolutes = count = 0.0
    for batch in windows.batches(256):
        error = forecast_arrays(model, batch.history, batch.covariates)[..., 0] - batch.future
        squares += np.square(error, dtype=np.float64).sum()
        absolutes += np.abs(error, dtype=np.float64).sum()
        count += error.size
    return {"mse": squares / count, "mae": absolutes / count}


def run_all(options: argparse.Namespace, home: Path) -> Iterator[dict]:
    """Yield the figures of every recipe and seed, and show each as soon as it is known."""
    for seed in options.seeds:
        for recipe in options.recipes:
            arguments = ["run", recipe, str(seed), str(options.file.resolve()), str(home)]
            sample = measure.run_fresh("benchmarks.forecast_quality", arguments, threads=options.threads)
            figures = {"recipe": recipe, "seed": seed, **sample.figures, "peak_mb": sample.peak_mb}
            print(figures, file=sys.stderr, flush=True)
            yield figures


def model_table(runs: Sequence[dict]) -> str:
    """One row per recipe, and the mean of all below."""
    by_recipe = {recipe: [run for run in runs if run["recipe"] == recipe] for recipe in _recipes_of(runs)}
    rows = [_model_row(recipe, taken) for recipe, taken in by_recipe.items()]
    means = [f"{mean(mean(_errors(taken, metric)) for taken in by_recipe.values()):.4f}" for metric in METRICS]
    rows.append(["mean of all", "", *means, *[""] * 5])
    header = ["recipe", "horizon", *METRICS.values(), "beats the ridge line", "recurrent weight", "weights"]
    return measure.markdown_table([*header, "CPU s", "peak (MB)"], rows)


def _model_row(recipe: str, taken: Sequence[dict]) -> list[str]:
    wins = sum(run["errors"][run["best"]]["test/mse"] < run["errors"][RIDGE]["test/mse"] for run in taken)
    return [
        recipe,
        str(taken[0]["horizon"]),
        *(describe_spread(_errors(taken, metric)) for metric in METRICS),
        f"{wins} of {len(taken)}",
        describe_spread([run["recurrent_weight"] for run in taken], digits=1),
        f"{taken[0]['num_parameters']:,}",
        describe_spread([run["cpu_s"] for run in taken], digits=0),
        f"{max(run['peak_mb'] for run in taken):.0f}",
    ]


def baseline_table(runs: Sequence[dict]) -> str:
    """One row per recipe and baseline: all are the same for every seed."""
    rows = []
    for recipe in _recipes_of(runs):
        run = next(run for run in runs if run["recipe"] == recipe)
        named = {name: errors for name, errors in run["errors"].items() if name != run["best"]}
        rows += [
            [f"{recipe}: {name}", f"{run['windows']:,}", *(f"{errors[metric]:.4f}" for metric in METRICS)]
            for name, errors in sorted(named.items(), key=lambda item: item[1]["valid/mse"])
        ]
    return measure.markdown_table(["baseline", "test windows", *METRICS.values()], rows)


def describe_spread(values: Sequence[float], digits: int = 4) -> str:
    """Mean and standard deviation; the mean alone of a single value."""
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{spread}"


def _recipes_of(runs: Sequence[dict]) -> list[str]:
    return list(dict.fromkeys(run["recipe"] for run in runs))


def _errors(taken: Sequence[dict], metric: str) -> list[float]:
    return [run["errors"][run["best"]][metric] for run in taken]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast_quality", description=__doc__)
    parser.add_argument("file", type=Path, help="the series, as the recipes' --from-file takes it")
    parser.add_argument("--recipes", nargs="+", default=RECIPES, help="shipped names or paths")
    parser.add_argument("--seeds", nargs="+", type=int, default=(1, 2, 3))
    parser.add_argument("--threads", type=int, default=1, help="threads of each run")
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    return parser.parse_args()


def main() -> None:
    """Be the driver, or what it starts: `run RECIPE SEED FILE HOME`."""
    if sys.argv[1:2] == ["run"]:
        with measure.answering() as out:
            recipe, seed, file, home = sys.argv[2:]
            measure.answer(run_recipe(recipe, int(seed), Path(file), Path(home)), out)
        return
    options = parse_arguments()
    described = measure.describe_run(VERSIONS)
    with tempfile.TemporaryDirectory() as home:
        runs = list(run_all(options, Path(home)))
    explanation = EXPLANATION.format(own=OWN_LINE, ridge=RIDGE)
    sections = ["# Forecast quality", described, model_table(runs), explanation, "## Baselines", baseline_table(runs)]
    measure.publish("\n\n".join(sections), options.output)


if __name__ == "__main__":
    main()
