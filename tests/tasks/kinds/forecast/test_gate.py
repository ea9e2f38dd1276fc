"""The gate compares registered forecasters on the same origins, whatever each looks back on and however it scales."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from rnnmodels.forecasters.forecast_config import ForecastArchitecture
from rnnmodels.forecasters.forecaster import SequenceForecaster
from rnnmodels.forecasters.forecasts import forecast_arrays
from rnnmodels.training.checkpoint import save_model
from tasks import gate
from tasks.contract.lineage import Lineage
from tasks.kinds.forecast.encode import ScaleSettings, write_encoded
from tasks.kinds.forecast.forecaster import SeriesForecaster
from tasks.kinds.forecast.gate import find_differences
from tasks.kinds.forecast.holdout import MAX_WINDOWS, choose_origins, digest_rows, read_holdout, space_out
from tasks.kinds.forecast.promotion import ForecastPromotionSettings
from tasks.kinds.forecast.recipe import FORECAST
from tasks.kinds.forecast.scoring import measure_errors, score_model
from tasks.kinds.forecast.serving import Serving, complete_forecaster
from tasks.kinds.forecast.shard import WindowSettings, write_shards
from tasks.kinds.forecast.split import TimeSplitSettings, write_splits
from tasks.kinds.forecast.stored_windows import open_split
from tasks.kinds.forecast.summaries import SeriesRowsSummary
from tasks.panel.frames import ROWS_FILE
from tasks.panel.time_grid import TimeGrid
from tasks.promotion import ledger, named_models
from tasks.promotion.verdicts import Challenge, Verdict
from tasks.registry import registrations
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import write_serving
from tasks.store import artefacts
from tasks.store.artefacts import Artefact

GRID = {"frequency": "1", "clock": "step", "zone": None, "anchor": 0}
SETTINGS = ForecastPromotionSettings()
NETWORK = ForecastArchitecture(decoder="direct", hidden_size=2, head_dropout=0.0)
NUM_WINDOWS = 137


def waves(num_rows: int = 500) -> pl.DataFrame:
    """Two waves of other lengths and sizes, with a little noise, as canonical rows of one series."""
    steps, noise = np.arange(num_rows), np.random.default_rng(1).normal(0, 0.05, (2, num_rows))
    values = {f"value.c{c}": 10.0**c * (np.sin(steps / (2 + c)) + 5 + noise[c]) for c in (0, 1)}
    rows = pl.DataFrame({"row": steps.astype(np.uint32), "time": steps, **values})
    return rows.select("row", pl.lit("series").alias("series"), "time", *values)


def make_artefact(stage: str, write: Callable, **inputs: object) -> Artefact:
    digests = {name: one.digest if isinstance(one, Artefact) else str(one) for name, one in inputs.items()}
    return artefacts.build(
        stage, lambda folder: write(folder, **inputs), module="tasks.store.artefacts", config=digests
    )


def write_rows(folder: Path, *, rows: pl.DataFrame, grid: dict, digest: str) -> dict:
    rows.write_parquet(folder / "rows.parquet")
    return SeriesRowsSummary(
        rows=rows.height, channels=["c0", "c1"], covariates=[], grid=TimeGrid(**grid), digest=digest, first_time="",
        last_time="", unsorted=0, unsorted_explained="", duplicates=0, missing={}, sentinels={}, gaps={},
    )  # fmt: skip


def make_lineage(
    rows: pl.DataFrame, *, cuts=(300, 360), look_back=8, horizon=4, method="standard", missing="error", scale="auto"
):
    """Do what the stages before the fit do."""
    digest = str(rows.hash_rows().to_list())
    ingested = make_artefact("ingest", write_rows, rows=rows, grid=GRID, digest=digest)
    limits = TimeSplitSettings(train_until=cuts[0], valid_until=cuts[1])
    splits = make_artefact("split", write_splits, rows=ingested, settings=limits)
    encoded = make_artefact(
        "encode", write_encoded, splits=splits, settings=ScaleSettings(method=method, missing=missing, scale=scale)
    )
    sizes = WindowSettings(look_back=look_back, horizon=horizon)
    shards = make_artefact("shard", write_shards, encoded=encoded, settings=sizes)
    return Lineage(rows=ingested, splits=splits, encoded=encoded, shards=shards)


@pytest.fixture(scope="module")
def lineage(tmp_path_factory: pytest.TempPathFactory) -> Lineage:
    """The lineage of most models; not to be written to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNFLOW_HOME", str(tmp_path_factory.mktemp("lineage")))
        return make_lineage(waves())


@pytest.fixture(autouse=True)
def registered(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions lie in the project folder and are registered nowhere else."""

    def find(reference: str) -> RegisteredModel:
        name, version = reference.split("/")
        return RegisteredModel(name=name, version=version, artifact_uri="", folder=project / "registered" / version)

    monkeypatch.setattr(named_models, "resolve_whole_model", find)
    monkeypatch.setattr(named_models, "open_identity", lambda name, who, _: find(f"{name}/{who.version}"))
    monkeypatch.setattr(registrations, "holds_version", lambda *_: True)


def register(
    version: str, lineage: Lineage, *, is_fitted: bool = False, weights: float = 0.0, **serving: object
) -> str:
    """Make a version's folder: it forecasts the last value, a line that was fitted, or one of these weights."""
    parts = find_parts(version)
    train, valid = (open_split(lineage.shards, split) for split in ("train", "valid"))
    model = SequenceForecaster(NETWORK, train.shape)
    if is_fitted:
        model.prepare(train, valid)
    else:
        torch.nn.init.constant_(model.line_LH, weights)
    save_model(model, parts)
    (parts / "scaler.json").write_bytes(lineage.encoded.file("scaler.json").read_bytes())
    served = {"name": "line", "source": {}, "covariates": (), "levels": (), "channels": ("c0", "c1")}
    served["grid"] = TimeGrid(**GRID)
    complete_forecaster(parts, Serving(**served | {"cuts": lineage.splits.summary["cuts"]} | serving))
    return version


def find_parts(version: str) -> Path:
    return named_models.resolve_whole_model(f"waves/{version}").parts


def judge(version: str, lineage: Lineage, settings: ForecastPromotionSettings = SETTINGS) -> Verdict:
    """Have the gate decide, and the ledger keep it."""
    rows = {"holdout": read_holdout(lineage), "splits": lineage.splits.reference}
    run = {"trigger": "", "flow_run": "", "mlflow_run": ""}
    return gate.decide(
        FORECAST, Challenge(model="waves", version=version, content=f"content of {version}", **rows, **run), settings
    )[0]


def test_the_first_forecaster_anchors_later_ones(lineage):
    verdict = judge(register("1", lineage), lineage)

    anchor = verdict.figures["anchor"]
    assert verdict.reasons == [
        f"first: becomes champion; MSE {anchor['mse']:.4g} on {NUM_WINDOWS} windows is the reference for later models."
    ]
    assert (verdict.verdict, anchor["version"], list(anchor["unit"])) == ("first", "1", ["c0", "c1"])


def test_equal_forecasters_are_not_exchanged(lineage):
    judge(register("1", lineage), lineage)

    verdict = judge(register("2", lineage), lineage)

    mse = f"MSE {verdict.figures['champion']['mse']:.4g}"
    assert verdict.reasons == [
        f"kept: {mse} against {mse} of champion v1 on {NUM_WINDOWS} windows; a gain of 0.00 %; "
        "p = 1 > alpha 0.05 (decision 1 on these rows)."
    ]
    assert (verdict.champion, verdict.decisions) == ("1", 1)


@pytest.mark.parametrize("metric", ["mse", "mae"])
def test_a_clearly_better_forecaster_takes_over(lineage, metric):
    settings = ForecastPromotionSettings(metric=metric)
    judge(register("1", lineage), lineage, settings)

    verdict = judge(register("2", lineage, is_fitted=True), lineage, settings)

    before, after = (verdict.figures[side][metric] for side in ("champion", "challenger"))
    assert verdict.reasons[0].startswith(
        f"promoted: {metric.upper()} {after:.4g} against {metric.upper()} {before:.4g} of champion v1 on "
        f"{NUM_WINDOWS} windows; a gain of {100 * (1 - after / before):.2f} %; p = "
    )
    assert (verdict.verdict, len(verdict.reasons), ledger.head("waves").champion) == ("promoted", 1, "2")


def test_a_version_scores_what_its_evaluation_says(lineage):
    register("1", lineage, is_fitted=True)
    windows = open_split(lineage.shards, "test")
    batch = windows.take(np.arange(windows.num_rows))
    outputs = forecast_arrays(SeriesForecaster.load(find_parts("1")).model, batch.history, batch.covariates)

    figures = judge("1", lineage).figures["challenger"]

    error = outputs[..., 0].astype(np.float64) - batch.future
    assert figures["mse"] == pytest.approx(np.square(error).mean(), rel=1e-4)
    assert figures["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-4)


def test_a_version_is_scored_on_the_same_windows_once(lineage, monkeypatch):
    judge(register("1", lineage), lineage)
    judge(register("2", lineage), lineage)
    loaded = []
    load = SeriesForecaster.load
    monkeypatch.setattr(SeriesForecaster, "load", lambda folder: loaded.append(folder.parts[-3]) or load(folder))

    judge(register("3", lineage, is_fitted=True), lineage)

    assert loaded == ["1", "3"]  # the champion to see what it is, the challenger to be scored


def test_the_scaler_of_another_day_changes_no_comparison(lineage):
    """The last value is the same forecast in the units of the source, whatever the scaler."""
    earlier = make_lineage(waves(400), cuts=(200, 260), method="minmax")
    judge(register("1", earlier), earlier)

    verdict = judge(register("2", lineage), lineage)

    champion, challenger, anchor = (verdict.figures[one] for one in ("champion", "challenger", "anchor"))
    assert challenger["mse"] == pytest.approx(champion["mse"], rel=1e-4)
    assert challenger["unit"] == champion["unit"] == anchor["unit"]
    assert (verdict.verdict, verdict.decisions, verdict.champion) == ("kept", 1, "1")


def two_sizes(times: float, num_rows: int = 500) -> pl.DataFrame:
    """Two series like `waves`, the second so many times as large and a quarter of a wave behind."""
    small, large = waves(num_rows), waves(num_rows + 3)[3:].with_columns(pl.col("^value.*$") * times)
    named = [one.with_columns(series=pl.lit(name)) for one, name in ((small, "a"), (large, "b"))]
    return pl.concat(named).with_columns(row=pl.int_range(2 * num_rows, dtype=pl.UInt32))


@pytest.mark.parametrize("times", [1.0, 2.0**30])
def test_errors_are_counted_in_the_unit_of_each_series_for_both_models(times):
    """Both forecast the last value; beside a series of 2**30 a shared scale rounds the small one away."""
    rows = two_sizes(times)
    shared = make_lineage(rows.filter(pl.col("time") < 400), cuts=(200, 260), scale="channel")
    own = make_lineage(rows, scale="series")
    judge(register("1", shared), shared)

    verdict = judge(register("2", own), own)

    champion, challenger = (verdict.figures[one] for one in ("champion", "challenger"))
    assert challenger["mse"] == pytest.approx(1.102, rel=0.01)
    assert challenger["unit"] == champion["unit"]
    assert verdict.verdict == ("kept" if times == 1 else "promoted")
    assert champion["mse"] == pytest.approx(1.102, rel=0.01) if times == 1 else champion["mse"] > 1000


def test_a_champion_forecasts_a_series_that_it_was_not_trained_on_by_its_training_rows():
    rows = two_sizes(2.0**30)
    both, first = make_lineage(rows, scale="series"), make_lineage(rows.filter(series="a"), scale="series")
    register("1", first)
    register("2", both)

    scores = [score_model(named_models.resolve_whole_model(f"waves/{one}"), read_holdout(both)) for one in ("1", "2")]

    assert scores[0].errors["series"].unique().sort().to_list() == ["a", "b"]
    assert scores[0].errors["mse"].to_numpy() == pytest.approx(scores[1].errors["mse"].to_numpy(), rel=1e-4)


def test_forecasters_with_other_look_backs_are_compared_on_the_windows_that_both_have():
    rows = waves().filter(pl.col("row") != 420)
    short, long = (make_lineage(rows, look_back=look_back) for look_back in (8, 24))
    judge(register("1", long), long)

    verdict = judge(register("2", short, is_fitted=True), short)

    assert verdict.verdict == "promoted"
    assert verdict.figures["rows"] == read_holdout(long).rows == read_holdout(short).rows - 16


def test_models_that_share_no_window_are_not_compared(lineage):
    rows = waves().filter(pl.col("row") != 361)
    long, short = make_lineage(waves(), look_back=200), make_lineage(rows)
    judge(register("1", long), long)

    assert judge(register("2", short), short).reasons == [
        "refused: champion v1 and v2 have no test window in common that is free of gaps and whose values are known.",
        "Fix: fill the gaps of the test rows, or train with a lower shard.look_back.",
    ]


def test_only_values_that_are_known_are_scored():
    rows = waves().with_columns(pl.when(pl.col("row") != 400).then("value.c1").alias("value.c1"))
    filling = make_lineage(rows, missing="forward")

    verdict = judge(register("1", filling), filling)

    scored = pl.concat(map(pl.read_parquet, artefacts.home().glob("data/score/*/errors.parquet")))
    assert (verdict.figures["rows"], scored["row"].n_unique()) == (NUM_WINDOWS, NUM_WINDOWS)
    counted = scored.group_by("channel").agg(pl.col("steps").sum()).sort("channel")["steps"].to_list()
    assert counted == [NUM_WINDOWS * 4, NUM_WINDOWS * 4 - 4]
    assert np.isfinite(verdict.figures["challenger"]["mse"])


def test_forecasts_without_a_value_are_refused(lineage):
    judge(register("1", lineage), lineage)

    verdict = judge(register("2", lineage, weights=np.inf), lineage)

    assert verdict.reasons[0] == f"refused: v2 gives no defined answer to {NUM_WINDOWS} of {NUM_WINDOWS} windows."


def test_a_version_that_cannot_read_the_rows_is_refused(lineage):
    judge(register("1", lineage), lineage)
    rows = waves().with_columns(pl.when(pl.col("row") != 400).then("value.c1").alias("value.c1"))
    filling = make_lineage(rows, missing="forward")

    verdict = judge(register("2", filling), filling)

    assert verdict.reasons[0] == (
        'refused: v1 cannot be scored: E-SER-009 column "c1": a number is missing at 400 in series "series".'
    )


def test_another_horizon_is_refused(lineage):
    before = make_lineage(waves(), horizon=6)
    judge(register("1", before), before)

    verdict = judge(register("2", lineage), lineage)

    assert (verdict.verdict, verdict.champion, ledger.head("waves").action) == ("refused", "1", "refused")
    assert verdict.reasons == [
        "refused: champion v1 forecasts 6 steps, and the challenger 4.",
        "Fix: set shard.horizon to 6, or accept this version: rnnflow promote waves/2 --reason TEXT",
    ]


def test_a_champion_that_has_seen_the_test_period_is_refused(lineage):
    late = make_lineage(waves(), cuts=(330, 400))
    judge(register("1", late), late)

    assert judge(register("2", lineage), lineage).reasons == [
        "refused: champion v1 was trained on rows before 400, but the test rows begin at 360.",
        "Fix: let split.valid_until be 400 or later, or accept this version: rnnflow promote waves/2 --reason TEXT",
    ]


@pytest.mark.parametrize(
    ("served", "difference"),
    [
        ({}, []),
        ({"channels": ("c1", "c0")}, []),
        ({"channels": ("c0", "c9")}, ['forecasts "c0", "c9", and the challenger "c0", "c1"']),
        (
            {"grid": TimeGrid(**GRID | {"frequency": "2"})},
            ["has steps of 2 (step), and the challenger has steps of 1 (step)"],
        ),
        (
            {"grid": TimeGrid(**GRID | {"frequency": "1h", "clock": "utc"})},
            ["has steps of 1h (utc), and the challenger has steps of 1 (step)"],
        ),
        ({"covariates": ("price",)}, ['reads "price", which the test rows do not have']),
        ({"cuts": {"valid_until": "361"}}, ["was trained on rows before 361, but the test rows begin at 360"]),
    ],
)
def test_what_a_champion_does_otherwise_is_named(lineage, served, difference):
    register("1", lineage, **served)

    found = find_differences(named_models.resolve_whole_model("waves/1"), read_holdout(lineage))

    assert [problem for problem, _ in found] == difference


def test_a_champion_of_another_kind_is_refused(lineage):
    judge(register("1", lineage), lineage)
    write_serving(find_parts("1"), kind="classify", serving={}, parts=[], model="")

    assert judge(register("2", lineage), lineage).reasons == [
        "refused: champion v1 is of kind classify.",
        "Fix: set registry.model_name to an unused name, or accept this version: rnnflow promote waves/2 --reason TEXT",
    ]


def test_test_rows_are_the_same_whatever_their_numbers(tmp_path):
    changed = {
        "renumbered": pl.col("row") + 7,
        "missing": pl.when(pl.col("row") != 3).then("value.c0").alias("value.c0"),
    }
    digests = []
    for name, column in {"same": pl.col("row"), **changed}.items():
        waves(20).with_columns(column).write_parquet(tmp_path / name)
        digests.append(digest_rows(pl.scan_parquet(tmp_path / name)))

    assert digests[0] == digests[1] != digests[2]


def test_few_windows_are_taken_of_many_and_not_always_at_the_same_hour(lineage, monkeypatch):
    assert space_out(MAX_WINDOWS, stride=1, season=24) == 1
    assert space_out(24 * MAX_WINDOWS, stride=1, season=24) == 25
    assert space_out(2 * MAX_WINDOWS, stride=24, season=24) == 48
    monkeypatch.setattr("tasks.kinds.forecast.holdout.MAX_WINDOWS", 50)

    holdout = read_holdout(lineage)

    assert (holdout.stride, np.diff(holdout.origins).tolist()) == (3, [3] * 45)


def test_of_very_many_series_some_are_taken(lineage, monkeypatch):
    windows = open_split(lineage.shards, "test")
    grid, origins = TimeGrid(**GRID), windows.origins(np.arange(windows.num_rows))
    many = replace(origins, series=np.arange(windows.num_rows) % 10)
    monkeypatch.setattr("tasks.kinds.forecast.holdout.MAX_WINDOWS", 20)
    monkeypatch.setattr(type(windows), "origins", lambda *_: many)

    assert len(choose_origins(windows, grid, 1)) == np.count_nonzero(many.series % 6 == 0)


def test_the_gate_measures_each_forecast_against_the_value_of_its_time(project: Path):
    """A line that continues ramps exactly errs nowhere, wherever rows and numbers are missing."""
    steps = np.setdiff1d(np.arange(500), [372, 420, 421, 470])
    values = {f"value.c{c}": 1000.0 * c + steps for c in (0, 1)}
    rows = pl.DataFrame({"row": np.arange(len(steps), dtype=np.uint32), "time": steps, **values})
    rows = rows.select("row", pl.lit("series").alias("series"), "time", *values)
    rows = rows.with_columns(pl.when(~pl.col("time").is_in([390, 391, 440])).then("value.c1"))
    lineage = make_lineage(rows, missing="cut")
    register("1", lineage)
    forecaster = SeriesForecaster.load(find_parts("1"))
    forecaster.model.recurrent_weight.zero_()
    forecaster.model.line_LH[-2] = -torch.arange(1.0, 5)
    holdout = read_holdout(lineage)

    whole = pl.read_parquet(holdout.splits.file(ROWS_FILE))
    errors = pl.concat(measure_errors(forecaster, whole, holdout))

    assert errors["row"].n_unique() == holdout.rows > 60
    assert errors["steps"].min() == 4 / len(holdout.edges[1:])
    assert errors["mae"].max() < 1e-4
