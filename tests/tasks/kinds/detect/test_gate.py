"""The gate compares the forecasters of detectors on the same rows, whatever each was scaled by, and asks no label."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from rnnmodels.training.checkpoint import save_model
from tasks import gate
from tasks.contract.contest import Scored
from tasks.contract.lineage import Lineage
from tasks.contract.summaries import FittedSummary
from tasks.kinds.detect import scoring
from tasks.kinds.detect.encode import LevelSettings
from tasks.kinds.detect.fit import DetectorCandidate, create_model, finish_model, open_data
from tasks.kinds.detect.gate import find_differences
from tasks.kinds.detect.recipe import DETECT, DetectionPromotionSettings
from tasks.kinds.detect.register import assemble_parts
from tasks.kinds.detect.scoring import DetectionHoldout, choose_origins, read_holdout, score_model
from tasks.kinds.detect.shard import DetectionWindowSettings
from tasks.panel.frames import TEST
from tasks.promotion import ledger, named_models
from tasks.promotion.verdicts import Challenge, Verdict
from tasks.registry import registrations
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import write_serving
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tests.tasks.kinds.detect.conftest import CANDIDATE, NUM_ROWS, START, WARM_UP, draw_panel, prepare, source_of

LINE = DetectorCandidate(
    **CANDIDATE.model_dump() | {"model": {"hidden_size": 2, "segment_length": 4, "line_views": ["steps"]}}
)
NUM_TEST = 2 * (NUM_ROWS - WARM_UP)
Take = Callable[..., Lineage]


@pytest.fixture(autouse=True)
def registered(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions lie in the project folder and are registered nowhere else."""

    def find(reference: str) -> RegisteredModel:
        name, version = reference.split("/")
        return RegisteredModel(name=name, version=version, artifact_uri="", folder=project / "registered" / version)

    monkeypatch.setattr(named_models, "resolve_whole_model", find)
    monkeypatch.setattr(named_models, "open_identity", lambda name, who, _: find(f"{name}/{who.version}"))
    monkeypatch.setattr(registrations, "holds_version", lambda *_: True)


@pytest.fixture(scope="module")
def lineage(tmp_path_factory: pytest.TempPathFactory) -> Lineage:
    """The lineage of most models; not to be written to."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("lineage")
        patch.setenv("RNNFLOW_HOME", str(home))
        return prepare(source_of(home / "rows.csv", draw_panel()))


def write_model(folder: Path, *, shards: Artefact, is_fitted: bool, weights: float) -> FittedSummary:
    """It expects the last value that it sees, or what a line in closed form says, or one of these weights."""
    data = open_data(LINE, shards)
    model = create_model(LINE, data, shards, None)
    for parameters in model.parameters():
        torch.nn.init.zeros_(parameters)
    if is_fitted:
        model.prepare(data["train"], data["valid"])
    else:
        torch.nn.init.constant_(model.line_LH, weights)
    finished = finish_model(folder, model, data, LINE)
    save_model(model, folder)
    fitted = {
        "name": "line",
        "device": "cpu",
        "train_s": 0.0,
        "best_epoch": 1,
        "num_parameters": 1,
        "clipped_share": 0.0,
    }
    return FittedSummary.model_validate({**finished, **fitted})


def fit_line(lineage: Lineage, *, is_fitted: bool = False, weights: float = 0.0) -> Artefact:
    how = {"is_fitted": is_fitted, "weights": weights}
    config = LINE.model_dump(mode="json") | {key: str(value) for key, value in how.items()}
    write = partial(write_model, shards=lineage.shards, **how)
    return artefacts.build(
        "fit", write, module="tasks.store.artefacts", config=config, inputs={"shards": lineage.shards}
    )


def register(version: str, lineage: Lineage, **how) -> str:
    """Make a version's folder."""
    parts = find_parts(version)
    parts.parent.mkdir(parents=True)
    model = fit_line(lineage, **how)
    assemble_parts(parts, lineage, Scored(model=model, evaluation=model))
    return version


def find_parts(version: str) -> Path:
    return named_models.resolve_whole_model(f"waves/{version}").parts


def judge(version: str, lineage: Lineage, **settings) -> Verdict:
    """Have the gate decide, and the ledger keep it."""
    rows = {"holdout": read_holdout(lineage), "splits": lineage.splits.reference}
    run = {"trigger": "", "flow_run": "", "mlflow_run": ""}
    challenge = Challenge(model="waves", version=version, content=f"content of {version}", **rows, **run)
    return gate.decide(DETECT, challenge, DetectionPromotionSettings(**settings))[0]


def mean_error(lineage: Lineage, forecasts: np.ndarray, series: str | None = None) -> float:
    """What the levels of test rows are off forecasts, on average."""
    levels = pl.read_parquet(lineage.encoded.file("levels.parquet"))
    is_test = (levels["split"] == TEST) & (pl.Series([True]) if series is None else levels["series"] == series)
    return float((levels["level.value"].cast(pl.Float64) - pl.Series(forecasts)).abs().filter(is_test).mean())


def last_values(lineage: Lineage) -> np.ndarray:
    """The level of each row's series a horizon before it."""
    levels = pl.read_parquet(lineage.encoded.file("levels.parquet"))
    return levels.select(pl.col("level.value").shift(4).over("series")).to_numpy()[:, 0]


def later(table: pl.DataFrame, num_rows: int) -> pl.DataFrame:
    """Each series goes on, for as many rows, as it was."""
    again = table.group_by("id", maintain_order=True).head(num_rows)
    table = pl.concat([table, again.with_columns(pl.col("time") + timedelta(minutes=30 * NUM_ROWS))])
    return table.sort("id", "time", maintain_order=True)


def test_the_first_detector_anchors_later_ones(lineage):
    verdict = judge(register("1", lineage), lineage)

    anchor = verdict.figures["anchor"]
    assert verdict.reasons == [
        f"first: becomes champion; MAE {anchor['mae']:.4g} on {NUM_TEST} windows is the reference for later models."
    ]
    assert (verdict.verdict, anchor["version"]) == ("first", "1")


def test_a_version_scores_what_its_evaluation_says(lineage):
    verdict = judge(register("1", lineage, is_fitted=True), lineage)

    forecasts = np.load(fit_line(lineage, is_fitted=True).file("forecasts.npy"))[:, 0]
    assert verdict.figures["challenger"]["mae"] == pytest.approx(mean_error(lineage, forecasts), rel=1e-5)


def test_equal_detectors_are_not_exchanged(lineage):
    judge(register("1", lineage), lineage)

    verdict = judge(register("2", lineage), lineage)

    mae = f"MAE {verdict.figures['champion']['mae']:.4g}"
    assert verdict.reasons == [
        f"kept: {mae} against {mae} of champion v1 on {NUM_TEST} windows; a gain of 0.00 %; "
        "p = 1 > alpha 0.05 (decision 1 on these rows)."
    ]


def test_a_clearly_better_forecaster_takes_over(lineage):
    judge(register("1", lineage, weights=0.5), lineage)

    verdict = judge(register("2", lineage, is_fitted=True), lineage)

    assert verdict.reasons[0].startswith("promoted: MAE ")
    assert (verdict.verdict, len(verdict.reasons), ledger.head("waves").champion) == ("promoted", 1, "2")


def test_labels_do_not_decide(lineage, take_through: Take):
    unlabelled = take_through(draw_panel().drop("anomaly"))

    assert read_holdout(unlabelled).digest == read_holdout(lineage).digest


def test_scales_of_another_day_are_counted_in_the_challengers(take_through: Take):
    earlier = take_through(draw_panel())
    register("1", earlier)
    judge("1", earlier)
    now = take_through(later(draw_panel(), 80))

    verdict = judge(register("2", now, is_fitted=True), now)

    champion, challenger = verdict.figures["champion"], verdict.figures["challenger"]
    # The last value is the same forecast in the units of the source, whatever the scale.
    assert champion["mae"] == pytest.approx(mean_error(now, last_values(now)), rel=1e-5)
    assert champion["unit"] == challenger["unit"] == verdict.figures["anchor"]["unit"]
    assert verdict.figures["rows"] == 2 * (240 - 90)


def test_series_that_the_champion_does_not_know_are_scaled_by_their_training_rows(take_through: Take):
    earlier = take_through(draw_panel((1,)))
    register("1", earlier)
    judge("1", earlier)
    now = take_through(pl.concat([later(draw_panel((1,)), 80), draw_panel((2,))]))

    verdict = judge(register("2", now, is_fitted=True), now)

    holdout = read_holdout(now)
    scores = score_model(named_models.resolve_whole_model("waves/1"), holdout)
    of_champion = scores.errors.filter(pl.col("series") == "s2")
    assert verdict.figures["rows"] == holdout.rows == 150 + 100
    assert of_champion.height == 100
    assert of_champion["mae"].mean() == pytest.approx(mean_error(now, last_values(now), "s2"), rel=1e-5)


def test_only_numbers_that_are_known_are_scored(take_through: Take):
    row = pl.int_range(pl.len()).over("id")
    gappy = draw_panel().with_columns(value=pl.when(row != 100).then("value"))
    filling = take_through(gappy, stages={"encode": LevelSettings(missing="forward")})

    verdict = judge(register("1", filling), filling)

    scored = pl.concat(map(pl.read_parquet, artefacts.home().glob("data/score/*/errors.parquet")))
    assert (verdict.figures["rows"], scored["steps"].sum()) == (NUM_TEST, NUM_TEST - 2)
    assert np.isfinite(verdict.figures["challenger"]["mae"])


def test_a_champion_that_cannot_read_the_rows_is_refused(lineage, take_through: Take):
    judge(register("1", lineage), lineage)
    row = pl.int_range(pl.len()).over("id")
    gappy = draw_panel().with_columns(value=pl.when(row != 100).then("value"))
    filling = take_through(gappy, stages={"encode": LevelSettings(missing="forward")})

    verdict = judge(register("2", filling), filling)

    assert verdict.reasons[0] == (
        'refused: v1 cannot be scored: E-SER-009 column "value": a number is missing at 2026-03-03 02:00:00 in series '
        '"s1".'
    )


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_forecasts_without_a_value_are_refused(lineage):
    judge(register("1", lineage), lineage)

    verdict = judge(register("2", lineage, weights=1e30), lineage)

    assert verdict.reasons[0] == f"refused: v2 gives no defined answer to {NUM_TEST} of {NUM_TEST} windows."


@pytest.mark.parametrize(
    ("table", "stages", "difference"),
    [
        (
            draw_panel(),
            {"shard": DetectionWindowSettings(look_back=8, horizon=6)},
            ("forecasts a row from 6 rows before, and the challenger from 4", "set shard.horizon to 6"),
        ),
        (
            draw_panel(num_channels=2),
            {},
            ('monitors "value", "value_1", and the challenger "value"', "use the same source.value_columns"),
        ),
        (
            draw_panel().with_columns(pl.col("time").dt.to_string("%Y-%m-%dT%H:%M:%SZ")),
            {},
            ("reads times as utc, and the challenger as naive", "provide rows with times of the same kind"),
        ),
        (
            later(draw_panel(), 80),
            {},
            (
                'was trained on rows of series "s1" that are test rows now; these begin at 2026-03-02 06:00:00',
                "raise split.warm_up",
            ),
        ),
    ],
    ids=["lead", "channels", "clock", "learned"],
)  # fmt: skip
def test_a_champion_that_does_otherwise_is_refused(
    lineage, take_through: Take, table: pl.DataFrame, stages: dict, difference: tuple
):
    before = take_through(table, stages=stages)
    judge(register("1", before), before)

    verdict = judge(register("2", lineage), lineage)

    assert (verdict.verdict, verdict.champion) == ("refused", "1")
    assert verdict.reasons == [
        f"refused: champion v1 {difference[0]}.",
        f"Fix: {difference[1]}, or accept this version: rnnflow promote waves/2 --reason TEXT",
    ]


def test_a_champion_of_another_kind_is_refused(lineage):
    judge(register("1", lineage), lineage)
    write_serving(find_parts("1"), kind="forecast", serving={}, parts=[], model="")

    differences = find_differences(named_models.resolve_whole_model("waves/1"), read_holdout(lineage))

    assert next(differences) == ("is of kind forecast", "set registry.model_name to an unused name")


def test_few_rows_are_taken_of_many_and_not_always_at_the_same_hour(lineage, monkeypatch):
    assert read_holdout(lineage).stride == 1
    monkeypatch.setattr("tasks.kinds.forecast.holdout.MAX_WINDOWS", 20)

    holdout = read_holdout(lineage)

    rows = pl.read_parquet(lineage.splits.file("rows.parquet")).filter(pl.col("row").is_in(holdout.origins.tolist()))
    assert holdout.stride == 11  # 10 shares factors with the hours of a day
    assert holdout.rows == 20
    for part in rows.partition_by("series"):
        assert part["time"].max() == START + timedelta(minutes=30 * (NUM_ROWS - 1))
        assert part["row"].diff().drop_nulls().unique().to_list() == [11]


def test_of_very_many_series_some_are_taken(monkeypatch):
    test = pl.DataFrame(
        {"series": [f"{number:03}" for number in range(100)], "row": pl.Series(range(100), dtype=pl.UInt32)}
    )
    monkeypatch.setattr(scoring, "MAX_WINDOWS", 20)

    assert choose_origins(test, 101).tolist() == list(range(0, 100, 5))


@pytest.mark.parametrize(("offsets", "overlap"), [((0, 0), 3), ((0, 1), 6), ((0, 1000), 3)])
def test_rows_hang_together_as_far_as_the_horizon_reaches(offsets, overlap):
    """At the same times, between each other's times, or one series after the other."""
    parts = [
        pl.DataFrame({"series": str(number), "time": np.arange(0, 400, 2) + offset})
        for number, offset in enumerate(offsets)
    ]
    holdout = DetectionHoldout(digest="", splits=None, origins=np.arange(400), horizon=30, stride=10, scaler=None)

    plan = holdout.plan_resampling(pl.concat(parts))

    assert (plan.by, plan.overlap) == ("origin", overlap)
