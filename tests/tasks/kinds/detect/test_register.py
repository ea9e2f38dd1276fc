"""What is registered of a detector answers as it was evaluated, wherever it is loaded."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import polars as pl
import pytest
from fastapi.testclient import TestClient

from tasks.contract.contest import Contest, Scored
from tasks.contract.lineage import Lineage
from tasks.errors import InputError, IntegrityError
from tasks.evaluate import evaluate
from tasks.fit import fit
from tasks.kinds.detect import register
from tasks.kinds.detect.encode import LevelSettings
from tasks.kinds.detect.evaluate import DetectionEvaluationSettings
from tasks.kinds.detect.recipe import DETECT
from tasks.kinds.detect.served_detector import SeriesDetector
from tasks.prediction.dispatch import predict_file
from tasks.promotion import named_models
from tasks.registry import registered_model
from tasks.registry.packaging import package_model
from tasks.registry.registered_model import RegisteredModel
from tasks.sources.inputs import find_inputs
from tests.tasks.kinds.detect.conftest import CANDIDATE, NUM_ROWS, SPIKE, WARM_UP, draw_panel

ONE_EPOCH = CANDIDATE.model_copy(update={"training": CANDIDATE.training.model_copy(update={"epochs": 1})})


@pytest.fixture(scope="module")
def best(fitted) -> Scored:
    return Scored(model=fitted[1], evaluation=fitted[1])


@pytest.fixture(scope="module")
def packaged(fitted, best: Scored, tmp_path_factory: pytest.TempPathFactory) -> RegisteredModel:
    """The version as MLflow would hold it."""
    folder = tmp_path_factory.mktemp("registered")
    register.assemble_parts(folder / "parts", fitted[0], best)
    package_model(folder / "parts", folder / "model", register.choose_packaging(fitted[0]), module=DETECT.served_model)
    return RegisteredModel(name="waves", version="1", artifact_uri="", folder=folder / "model")


@pytest.fixture(scope="module")
def served(packaged: RegisteredModel):
    return registered_model.load_pyfunc(packaged)


@pytest.fixture
def registered(packaged: RegisteredModel, monkeypatch: pytest.MonkeyPatch) -> RegisteredModel:
    monkeypatch.setattr(named_models, "resolve_model", lambda _: packaged)
    return packaged


def test_what_is_registered_is_certified_and_proved(fitted, best, packaged, served):
    certificate = register.certify_parts(packaged.parts, fitted[0], 8)
    proof = register.prove_served(served, fitted[0], best)

    assert certificate["passed"]
    assert set(certificate["deviations"]) == {"batch_size", "batch_mates"}
    assert proof["rows"] == 2 * NUM_ROWS
    assert proof["deviations"] == {"forecasts": 0.0, "surprise": 0.0}


@pytest.mark.parametrize(("name", "change"), [("forecasts", 1e-3), ("surprise", 0.1)])
def test_a_model_that_answers_otherwise_than_it_was_evaluated_is_refused(fitted, served, monkeypatch, name, change):
    load = np.load
    changed = lambda path, **how: load(path, **how) + change * path.name.startswith(name)  # noqa: E731
    monkeypatch.setattr(register.np, "load", changed)
    lineage, model = fitted

    with pytest.raises(IntegrityError, match=f"E-REG-006 the registered model's {name} differ from the evaluated"):
        register.prove_served(served, lineage, Scored(model=model, evaluation=model))


def test_of_many_long_series_a_few_first_rows_are_proof_enough():
    layout = [{"name": str(number), "rows": 10_000, "warm_up": 700} for number in range(100)]

    proofs = register.choose_proofs([*layout, {"name": "short", "rows": 50, "warm_up": 10}])

    assert proofs == {"0": range(2700), "50": range(500_000, 502_700), "short": range(1_000_000, 1_000_050)}


def test_mlflow_serves_the_same_judgements(packaged, served):
    table = draw_panel().drop("anomaly")

    answers = pl.from_pandas(served.predict(table.to_pandas()))

    judged = SeriesDetector.load(packaged.parts).answer_frame(table)
    assert answers.columns == judged.columns
    assert answers["surprise"].to_list() == judged["surprise"].to_list()
    assert answers.filter("alarm").select("series", "event").rows() == [("s1", 1), ("s2", 1)]


def test_the_served_code_knows_neither_prefect_nor_mlflow(packaged):
    code = packaged.folder / "code"
    modules = [path for path in code.rglob("*.py") if path.name != "served_model.py"]
    imports = [line for path in modules for line in path.read_text().splitlines()]

    assert (code / "tasks" / "kinds" / "detect" / "served_detector.py").is_file()
    assert not [line for line in imports if re.match(r"\s*(import|from) (prefect|mlflow)", line)]


def test_a_file_of_rows_becomes_a_file_of_judgements(registered, tmp_path: Path):
    draw_panel().write_csv(tmp_path / "rows.csv")

    judged = predict_file("waves/1", tmp_path / "rows.csv", tmp_path / "judged.parquet")

    answers = pl.read_parquet(tmp_path / "judged.parquet")
    assert (judged.series, judged.rows, judged.warm_up, judged.alarms) == (2, 2 * NUM_ROWS, 2 * WARM_UP, 2)
    assert answers.with_row_index().filter("alarm")["index"].to_list() == [SPIKE, NUM_ROWS + SPIKE]
    assert answers["model"].unique().to_list() == ["waves/1"]
    assert judged.describe().startswith(
        f"{tmp_path / 'judged.parquet'}: 200 rows of 2 series judged, 2 alarms by waves/1"
    )
    assert judged.describe().splitlines()[2:] == [
        "120 more rows are the warm-up of their series, which is not judged.",
        "320 rows read, none refused.",
    ]
    assert judged.table()["rows judged"] == "200"


def test_columns_of_texts_mean_nothing_to_a_detector(registered, tmp_path: Path):
    (tmp_path / "rows.csv").write_text("time,value\n2024-01-01,1\n")

    with pytest.raises(InputError, match="E-OUT-004 this model reads numbers, but a text or label column"):
        predict_file("waves/1", tmp_path / "rows.csv", tmp_path / "out.csv", text_column="review")


def fit_once(lineage: Lineage) -> Scored:
    model = fit.fn(DETECT, lineage.shards, ONE_EPOCH)
    return Scored(model=model, evaluation=model)


STEPS = pl.int_range(pl.len()).over("id")
NO_CALENDAR = {"encode": LevelSettings(calendar=())}


@pytest.mark.parametrize(
    ("table", "stages", "source"),
    [
        (draw_panel(), {}, {}),
        (draw_panel().with_columns(pl.col("time").dt.to_string("%Y-%m-%dT%H:%M:%SZ")), {}, {}),
        (
            draw_panel().with_columns(pl.col("time").dt.to_string("%d/%m/%Y %H:%M")),
            {},
            {"time_format": "%d/%m/%Y %H:%M", "time_zone": "Europe/Paris"},
        ),
        (draw_panel().with_columns(pl.col("time").dt.epoch("ms")), {}, {"time_unit": "ms"}),
        (draw_panel().with_columns(time=STEPS), NO_CALENDAR, {"time_unit": "step"}),
        (draw_panel((1,)).drop("id"), {}, {"id_column": None}),
        (
            draw_panel((1,)).drop("anomaly").with_columns(sensor=pl.lit("oil")),
            {},
            {"label_column": None, "channel_column": "sensor"},
        ),
    ],
    ids=["naive", "utc", "local", "counted", "steps", "one", "long"],
)
def test_an_example_is_written_as_the_source_is(
    take_through: Callable[..., Lineage], project: Path, table: pl.DataFrame, stages: dict, source: dict
):
    lineage = take_through(table, stages=stages, **source)
    register.assemble_parts(project / "parts", lineage, fit_once(lineage))
    detector = SeriesDetector.load(project / "parts")

    register.write_example(project / "example.csv", lineage)

    inputs = find_inputs(detector.serving.settings_for(project / "example.csv"))
    answers = detector.answer_files(inputs)
    assert answers.with_row_index().filter("alarm")["index"].to_list() == [SPIKE]
    [series] = answers["series"].unique()
    rows = pl.read_parquet(lineage.rows.file("rows.parquet")).filter(series=series)
    assert answers["time"].to_list() == rows["time"].to_list()


def test_the_example_stands_out_and_is_short(take_through: Callable[..., Lineage], monkeypatch: pytest.MonkeyPatch):
    number = pl.int_range(pl.len()).over("id")
    spike = pl.when((pl.col("id") == "s2") & (number == WARM_UP + 5)).then(pl.col("value") + 500).otherwise("value")
    lineage = take_through(draw_panel().with_columns(value=spike))

    assert register.choose_example(lineage) == {"s2": NUM_ROWS}
    monkeypatch.setattr(register, "EXAMPLE_ROWS", WARM_UP + 10)
    monkeypatch.setattr(register, "MIN_EXAMPLES", 8)
    assert register.choose_example(lineage) == {"s2": WARM_UP + 10}
    monkeypatch.setattr(register, "EXAMPLE_ROWS", WARM_UP)
    assert register.choose_example(lineage) == {"s2": WARM_UP + 8}


def test_a_version_says_what_it_scores(fitted, monkeypatch):
    lineage, model = fitted
    settings = DetectionEvaluationSettings(resamples=100)
    with monkeypatch.context() as patch:
        patch.setenv("RNNFLOW_HOME", str(model.path.parents[2]))
        scored = Scored(model=model, evaluation=evaluate.fn(DETECT, model, lineage, settings))

    said = register.describe_model(Contest(candidates=(scored,), baselines=(), settings=settings))

    assert re.fullmatch(
        r"`gru`: test MAE of levels 0\.\d+ \(.*\), events per 1,000 rows 10 \(.*\), NAB score 100 \(.*\)\. "
        "It takes rows of series and gives each an anomaly score.",
        said,
    )


def test_times_may_be_text_or_instants(served, fitted, tmp_path: Path):
    register.write_example(tmp_path / "rows.csv", fitted[0])
    text = pandas.read_csv(tmp_path / "rows.csv")
    instants = text.assign(time=pandas.to_datetime(text["time"]))

    pandas.testing.assert_frame_equal(served.predict(text), served.predict(instants))


def test_mlflows_scoring_server_takes_whole_numbers_in_json_and_csv(served, fitted, tmp_path: Path):
    from mlflow.pyfunc.scoring_server import init

    register.write_example(tmp_path / "rows.csv", fitted[0])
    table = pandas.read_csv(tmp_path / "rows.csv").assign(id=7).astype({"value": int})
    expected = served.predict(table.astype({"id": str, "value": float}))["surprise"].dropna().tolist()
    split = {"dataframe_split": json.loads(table.to_json(orient="split", index=False))}
    with TestClient(init(served)) as client:
        answers = [
            client.post("/invocations", json=split),
            client.post("/invocations", content=table.to_csv(index=False), headers={"content-type": "text/csv"}),
        ]

    for answer in answers:
        assert answer.status_code == 200, answer.text
        surprise = [row["surprise"] for row in answer.json()["predictions"]]
        assert pandas.Series(surprise, dtype=float).dropna().tolist() == pytest.approx(expected)
