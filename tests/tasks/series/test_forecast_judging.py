"""The gate compares forecasters on the same origins, whatever each of them looks back on and however it scales."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rnnmodels.checkpoint import save_model
from rnnmodels.forecast_config import ForecastArchitecture
from rnnmodels.forecaster import SequenceForecaster
from tasks import gate, registry, store
from tasks.lineage import Lineage
from tasks.promotion import ledger
from tasks.promotion.verdicts import Challenge, Verdict
from tasks.registry import RegisteredModel
from tasks.series.forecaster import SeriesForecaster, Serving, complete_forecaster
from tasks.series.holdout import read_holdout
from tasks.series.promotion import ForecastPromotionSettings
from tasks.series.scaling import ScaleSettings, write_encoded
from tasks.series.segments import WindowSettings, write_shards
from tasks.series.splitting import TimeSplitSettings, write_splits
from tasks.series.stored_windows import open_split
from tasks.store import Artefact

HORIZON = 4
CUTS = {"train_until": 300, "valid_until": 360}
GRID = {"frequency": "1", "clock": "step", "zone": None, "anchor": 0}
SETTINGS = ForecastPromotionSettings()
NETWORK = ForecastArchitecture(decoder="direct", hidden_size=2, head_dropout=0.0)


def waves(num_rows: int = 500, num_channels: int = 2) -> np.ndarray:
    """Waves of different length, size and level with a little noise."""
    steps, channel = np.arange(num_rows)[:, None], np.arange(num_channels)
    noise = np.random.default_rng(1).normal(size=(num_rows, num_channels))
    return 10.0**channel * (np.sin(steps / (2 + channel)) + 5 + 0.05 * noise)


def make_artefact(stage: str, write: Callable[[Path], dict], **config: object) -> Artefact:
    return store.build(stage, write, module="tasks.store", config=config)


def make_lineage(values: np.ndarray | None = None, *, look_back: int = 8, stride: int = 1, **changed) -> Lineage:
    """Run the stages before the fit on one series of steps; `changed` are cuts, scaling and a row left out."""
    options = {"horizon": HORIZON, "method": "standard", "missing": "error", "gap_at": None, "grid": GRID, **CUTS}
    options |= changed
    rows = canonical_rows(waves() if values is None else values).filter(pl.col("row").ne_missing(options["gap_at"]))

    def write_rows(folder: Path) -> dict:
        rows.write_parquet(folder / "rows.parquet")
        channels = [name.removeprefix("value.") for name in rows.columns if name.startswith("value.")]
        return {"rows": rows.height, "channels": channels, "covariates": [], "grid": options["grid"]}

    ingested = make_artefact("ingest", write_rows, content=rows.hash_rows().to_list(), grid=options["grid"])
    cuts = TimeSplitSettings(**{name: options[name] for name in CUTS})
    splits = make_artefact(
        "split",
        lambda folder: write_splits(folder, rows=ingested, settings=cuts),
        rows=ingested.digest,
        cuts=cuts.model_dump(),
    )
    scale = ScaleSettings(method=options["method"], missing=options["missing"])
    encoded = make_artefact(
        "encode",
        lambda folder: write_encoded(folder, splits=splits, settings=scale),
        splits=splits.digest,
        scale=scale.model_dump(),
    )
    sizes = WindowSettings(look_back=look_back, horizon=options["horizon"], evaluation_stride=stride)
    shards = make_artefact(
        "shard",
        lambda folder: write_shards(folder, encoded=encoded, settings=sizes),
        encoded=encoded.digest,
        sizes=sizes.model_dump(),
    )
    return Lineage(rows=ingested, splits=splits, encoded=encoded, shards=shards)


def canonical_rows(values: np.ndarray) -> pl.DataFrame:
    columns = {f"value.c{channel}": numbers for channel, numbers in enumerate(values.T)}
    rows = pl.DataFrame(columns, nan_to_null=True).with_columns(series=pl.lit("series"))
    rows = rows.with_row_index("row").with_columns(time=pl.col("row").cast(pl.Int64))
    return rows.select("row", "series", "time", pl.col(r"^value\..*$"))


@pytest.fixture
def register(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Make a model's folder as `register` does: `register("1", lineage, is_fitted=True)`; returns the version."""

    def find(reference: str) -> RegisteredModel:
        name, version = reference.split("/")
        return RegisteredModel(name=name, version=version, artifact_uri="", folder=project / "registered" / version)

    monkeypatch.setattr(registry, "resolve_whole_model", find)

    def make(version: str, lineage: Lineage, *, is_fitted: bool = False, damage: Callable | None = None, **serving):
        parts = find(f"waves/{version}").parts
        train, valid = (open_split(lineage.shards, split) for split in ("train", "valid"))
        model = SequenceForecaster(NETWORK, train.shape)
        if is_fitted:
            model.prepare(train, valid)
        if damage:
            damage(model)
        save_model(model, parts)
        (parts / "scaler.json").write_bytes(lineage.encoded.file("scaler.json").read_bytes())
        channels = tuple(lineage.rows.summary["channels"])
        fields = {"name": "line", "source": {}, "covariates": (), "levels": (), "channels": channels}
        fields |= {"grid": lineage.rows.summary["grid"], "cuts": lineage.splits.summary["cuts"]}
        complete_forecaster(parts, Serving(**fields | serving))
        return version

    return make


def judge(version: str, lineage: Lineage, settings: ForecastPromotionSettings = SETTINGS) -> Verdict:
    """Have the gate decide, and the ledger keep it."""
    challenge = Challenge(
        model="waves",
        version=version,
        holdout=settings.performer().read_holdout(lineage),
        splits=lineage.splits.reference,
        trigger="",
        flow_run="",
        mlflow_run="",
    )
    return gate.decide(challenge, settings)[0]


def test_the_first_forecaster_anchors_later_ones(register):
    lineage = make_lineage()

    verdict = judge(register("1", lineage), lineage)

    figures = verdict.figures["anchor"]
    assert verdict.reasons == [
        f"first: no champion yet; MSE {figures['mse']:.4g} on 137 windows is where later ones start from."
    ]
    assert (verdict.verdict, figures["version"], list(figures["unit"])) == ("first", "1", ["c0", "c1"])


def test_equal_forecasters_are_not_exchanged(register):
    lineage = make_lineage()
    judge(register("1", lineage), lineage)

    verdict = judge(register("2", lineage), lineage)

    mse = f"MSE {verdict.figures['champion']['mse']:.4g}"
    assert verdict.reasons == [
        f"kept: {mse} against {mse} of champion v1 on 137 windows; a gain of 0.00 %; "
        "p = 1 > alpha 0.05 (decision 1 on these rows)."
    ]
    assert (verdict.champion, verdict.decisions) == ("1", 1)


@pytest.mark.parametrize("metric", ["mse", "mae"])
def test_a_clearly_better_forecaster_takes_over(register, metric):
    lineage, settings = make_lineage(), ForecastPromotionSettings(metric=metric)
    judge(register("1", lineage), lineage, settings)

    verdict = judge(register("2", lineage, is_fitted=True), lineage, settings)

    champion, challenger = (verdict.figures[side][metric] for side in ("champion", "challenger"))
    assert verdict.verdict == "promoted"
    assert verdict.reasons[0].startswith(
        f"promoted: {metric.upper()} {challenger:.4g} against {metric.upper()} {champion:.4g} of champion v1 on "
        f"137 windows; a gain of {100 * (1 - challenger / champion):.2f} %; p = "
    )
    assert ledger.head("waves").champion == "2"
    assert judge("1", lineage, settings).verdict == "kept"


def test_the_challenger_scores_what_its_evaluation_says(register):
    from rnnmodels.forecasts import forecast_arrays

    lineage = make_lineage()
    register("1", lineage, is_fitted=True)
    windows = open_split(lineage.shards, "test")
    batch = windows.take(np.arange(windows.num_rows))
    outputs = forecast_arrays(SeriesForecaster.load(parts_of("1")).model, batch.history, batch.covariates)

    figures = judge("1", lineage).figures["challenger"]

    error = outputs[..., 0].astype(np.float64) - batch.future
    assert figures["mse"] == pytest.approx(np.square(error).mean(), rel=1e-4)
    assert figures["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-4)


def parts_of(version: str) -> Path:
    return registry.resolve_whole_model(f"waves/{version}").parts


def test_the_scaler_of_another_day_changes_no_comparison(register):
    """A forecast of the last value is the same in the units of the source, whatever the scaler."""
    earlier = make_lineage(waves()[:400], train_until=200, valid_until=260, method="minmax")
    judge(register("1", earlier), earlier)
    later = make_lineage()

    verdict = judge(register("2", later), later)

    champion, challenger = verdict.figures["champion"], verdict.figures["challenger"]
    assert challenger["mse"] == pytest.approx(champion["mse"], rel=1e-4)
    assert challenger["unit"] == champion["unit"]
    assert verdict.figures["anchor"]["version"] == "1"
    assert (verdict.verdict, verdict.decisions) == ("kept", 1)


def test_forecasters_with_other_look_backs_are_compared_on_the_windows_that_both_have(register):
    short, long = (make_lineage(look_back=look_back, gap_at=420) for look_back in (8, 24))
    judge(register("1", short), short)

    verdict = judge(register("2", long, is_fitted=True), long)

    assert verdict.verdict == "promoted"
    assert verdict.figures["rows"] == read_holdout(long).rows == read_holdout(short).rows - 16
    assert judge(register("3", short, is_fitted=True), short).figures["rows"] == verdict.figures["rows"]


def test_models_that_share_no_window_are_refused(register):
    long, short = make_lineage(look_back=200), make_lineage(gap_at=361)
    judge(register("1", long), long)

    verdict = judge(register("2", short), short)

    assert verdict.reasons == [
        "refused: champion v1 and v2 have no test window in common that is free of gaps and whose values are known.",
        "Fix: fill the gaps of the test rows, or train with a lower shard.look_back.",
    ]


def test_only_known_values_are_scored(register):
    values = waves()
    values[400, 0] = values[450:, 1] = np.nan
    filled = make_lineage(values, missing="forward")
    cut = make_lineage(values, missing="cut")
    judge(register("1", filled), filled)
    lineage = read_holdout(filled)

    verdict = judge(register("2", cut), cut)

    assert verdict.verdict == "kept"
    assert lineage.rows == 137


def test_another_horizon_is_refused(register):
    before, after = make_lineage(horizon=6), make_lineage()
    judge(register("1", before), before)

    verdict = judge(register("2", after), after)

    assert (verdict.verdict, verdict.champion) == ("refused", "1")
    assert verdict.reasons == [
        "refused: champion v1 forecasts 6 steps, and the challenger 4.",
        "Fix: set shard.horizon to 6, or accept this version: rnnflow promote waves/2 --reason TEXT",
    ]


def test_a_champion_that_has_seen_the_test_period_is_refused(register):
    late, early = make_lineage(train_until=330, valid_until=400), make_lineage()
    judge(register("1", late), late)

    verdict = judge(register("2", early), early)

    assert verdict.reasons == [
        "refused: champion v1 has learned from rows before 400, and the test rows begin at 360.",
        "Fix: let split.valid_until be 400 or later, or accept this version: rnnflow promote waves/2 --reason TEXT",
    ]
    assert ledger.head("waves").action == "refused"


@pytest.mark.parametrize(
    ("served", "problem", "fix"),
    [
        (
            {"channels": ("c0", "c9")},
            'forecasts "c0", "c9", and the challenger "c0", "c1"',
            "forecast the same source.value_columns",
        ),
        (
            {"grid": {**GRID, "frequency": "2"}},
            "goes in steps of 2 (step), and the challenger in steps of 1 (step)",
            "bring rows with the same steps",
        ),
        (
            {"grid": {**GRID, "frequency": "1h", "clock": "utc"}},
            "goes in steps of 1h (utc), and the challenger in steps of 1 (step)",
            "bring rows with the same steps",
        ),
        (
            {"covariates": ("price",)},
            'reads "price", which the test rows do not have',
            "name it in source.covariate_columns",
        ),
    ],
)
def test_a_champion_that_does_something_else_is_refused(register, served, problem, fix):
    lineage = make_lineage()
    judge(register("1", lineage), lineage)
    register("1", lineage, **served)

    verdict = judge(register("2", lineage), lineage)

    assert verdict.reasons == [
        f"refused: champion v1 {problem}.",
        f"Fix: {fix}, or accept this version: rnnflow promote waves/2 --reason TEXT",
    ]


def test_a_champion_of_another_kind_is_refused(register):
    lineage = make_lineage()
    judge(register("1", lineage), lineage)
    write_serving(parts_of("1"), kind="classify", serving={}, parts=[])

    verdict = judge(register("2", lineage), lineage)

    assert verdict.reasons == [
        "refused: champion v1 is of kind classify.",
        "Fix: set registry.model_name to a name of its own, or accept this version: "
        "rnnflow promote waves/2 --reason TEXT",
    ]


def test_the_same_steps_may_have_two_names(register):
    hours = {"clock": "naive", "zone": None, "anchor": 0}
    holdout = read_holdout(make_lineage())

    named = [TimeGrid(frequency, **hours) for frequency in ("1h", "60m", "1mo", "2h")]

    assert [have_same_steps(grid, named[0]) for grid in named] == [True, True, False, False]
    assert have_same_steps(named[0], replace_anchor(named[0]))
    assert holdout
