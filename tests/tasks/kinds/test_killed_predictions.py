"""A prediction from a table, killed after any window and run again, is the one that was not interrupted."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rnnmodels.classifiers.series_classifier import SeriesClassifier
from rnnmodels.classifiers.series_config import SeriesArchitecture
from tasks.contract.table_model import TableModel
from tasks.kinds.classify_series import classifier as series_classifier
from tasks.kinds.classify_series.predict import LabelledFile
from tasks.kinds.classify_series.source import SequenceSource
from tasks.kinds.detect.predict import JudgedFile
from tasks.kinds.forecast.predict import ForecastFile
from tasks.panel.scaler import ColumnScale, Scaler
from tasks.prediction import tables_of_numbers
from tasks.prediction.counts import AnsweredFile
from tasks.prediction.tables_of_numbers import predict_table
from tasks.progress import listening
from tasks.promotion import named_models
from tasks.registry import registered_model
from tests.tasks.crashes import interrupted_after
from tests.tasks.kinds.classify_series.conftest import COLUMNS, draw_table
from tests.tasks.kinds.detect.conftest import draw_more, served_in, unlabelled
from tests.tasks.kinds.forecast.ramps import LOOK_BACK, Steps, exact_forecaster, ramp

UNLIKE = {"wall_s": 0, "rows_per_s": 0, "kept_rows": 0, "output": Path(), "errors": None}
WINDOW_ROWS = {"forecast": 12, "classify-series": 30, "detect": 100}
Case = tuple[TableModel, type[AnsweredFile], pl.DataFrame]


def forecasts(_: Path) -> Case:
    """Histories, one of which is too short and one of which has a gap."""
    steps = Steps(frequency="1h")
    parts = [
        ramp(steps, range(2 if number == 3 else LOOK_BACK + number % 3)).with_columns(id=pl.lit(f"s{number}"))
        for number in range(9)
    ]
    return exact_forecaster(steps, missing="cut", id_column="id"), ForecastFile, pl.concat(parts)


def labels(_: Path) -> Case:
    """Sequences, of which one has a number missing and one has none."""
    scale = ColumnScale(centre=0.0, scale=2.0, mean=0.0, is_constant=False)
    labeller = series_classifier.SequenceLabeller(
        model=SeriesClassifier(SeriesArchitecture(hidden_size=4), num_channels=2, num_classes=2).eval(),
        scaler=Scaler("standard", "error", (), None, {"value.x": scale, "value.y": scale}),
        labels=("down", "up"),
        serving=series_classifier.Serving(
            name="gru",
            source=SequenceSource(path="in.csv", **COLUMNS).model_dump(),
            max_length=8,
            keep="both",
            temperature=1.0,
            batch_steps=60,
        ),
    )
    table = draw_table(14, seed=9).drop("label").sort("id", descending=True, maintain_order=True)
    is_missing = (pl.col("id") == "s005") & (pl.col("time") == 1)
    table = table.with_columns(
        x=pl.when(~is_missing & (pl.col("id") != "s009")).then("x"), y=pl.when(pl.col("id") != "s009").then("y")
    )
    return labeller, LabelledFile, table


def judgements(folder: Path) -> Case:
    """Rows that follow those of training, series that are new, and one that is too short."""
    new = unlabelled((3, 4))
    short = new.head(5).with_columns(id=pl.lit("short"))
    return served_in(folder, unlabelled()), JudgedFile, pl.concat([draw_more(1), new, short])


CASES: dict[str, Callable[[Path], Case]] = {
    "forecast": forecasts, "classify-series": labels, "detect": judgements
}  # fmt: skip


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Case]:
    return request.param, CASES[request.param](tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def _registered(case: tuple[str, Case], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The case's model answers to the name `model`, a few rows at a time."""
    folder = tmp_path / "model"
    (folder / "artifacts" / "parts").mkdir(parents=True)
    (folder / "artifacts" / "parts" / "serving.json").write_text("{}")
    found = registered_model.RegisteredModel(name="model", version="1", artifact_uri="", folder=folder)
    monkeypatch.setattr(named_models, "resolve_model", lambda _: found)
    monkeypatch.setattr(tables_of_numbers, "WINDOW_ROWS", WINDOW_ROWS[case[0]])


class Counted:
    """A model that counts how often it reads, and which windows it answers."""

    def __init__(self, model: TableModel) -> None:
        self.model, self.num_read, self.answered = model, 0, []

    def __getattr__(self, name: str) -> object:
        return getattr(self.model, name)

    def store_rows(self, *arguments: object) -> Path:
        self.num_read += 1
        return self.model.store_rows(*arguments)

    def answer_window(self, rows: pl.DataFrame, *arguments: object, **options: object) -> pl.DataFrame:
        self.answered.append(rows["series"][0])
        return self.model.answer_window(rows, *arguments, **options)


def results(folder: Path, name: str) -> tuple[bytes, bytes]:
    return (folder / name).read_bytes(), (folder / f"{name}.errors.jsonl").read_bytes()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_prediction_killed_after_any_window_ends_as_if_nothing_had_happened(
    case: tuple[str, Case], tmp_path: Path, suffix: str
):
    model, told, table = case[1]
    table.write_csv(tmp_path / "in.csv")

    def predict(output: str, model: TableModel = model) -> AnsweredFile:
        return predict_table("model", tmp_path / "in.csv", tmp_path / output, load=lambda _: model, told=told)

    expected, whole = predict(f"whole{suffix}"), results(tmp_path, f"whole{suffix}")
    for number in range(1, 1_000):
        counted, output = Counted(model), f"{number}{suffix}"
        try:
            with listening(interrupted_after(number)):
                predict(output, counted)
            break
        except KeyboardInterrupt:
            assert not (tmp_path / output).exists()
        done = predict(output, counted)
        assert counted.num_read == 1
        assert len(counted.answered) == len(set(counted.answered)), "a window is answered once"
        assert results(tmp_path, output) == whole
        assert dataclasses.replace(done, **UNLIKE) == dataclasses.replace(expected, **UNLIKE)
    assert number > 4, "windows"
    assert expected.refused_items >= 1
    assert not list(tmp_path.glob(".*"))


def test_windows_do_not_show_in_the_answers(case: tuple[str, Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model, told, table = case[1]
    table.write_csv(tmp_path / "in.csv")

    def predict(output: str) -> AnsweredFile:
        return predict_table("model", tmp_path / "in.csv", tmp_path / output, load=lambda _: model, told=told)

    many = predict("many.parquet")
    monkeypatch.setattr(tables_of_numbers, "WINDOW_ROWS", 1_000_000)
    once = predict("once.parquet")

    assert dataclasses.replace(many, **UNLIKE) == dataclasses.replace(once, **UNLIKE)
    answers, answers_at_once = (pl.read_parquet(tmp_path / name) for name in ("many.parquet", "once.parquet"))
    numbers = [name for name, kind in answers.schema.items() if kind.is_float()]
    assert answers.drop(numbers).equals(answers_at_once.drop(numbers))
    np.testing.assert_allclose(
        answers.select(numbers).to_numpy(), answers_at_once.select(numbers).to_numpy(), rtol=1e-5, atol=1e-6
    )
    faults = [path.read_text().splitlines() for path in tmp_path.glob("*.errors.jsonl")]
    assert [json.loads(line) for line in faults[0]] == [json.loads(line) for line in faults[1]]
