"""The served classifier: raw tables in, one answer per sequence out, equal to what was evaluated."""

import dataclasses
import json
import types
from pathlib import Path

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest

from rnnmodels.classifiers.series_config import SeriesArchitecture, SeriesTraining
from tasks.contract.contest import Scored
from tasks.contract.lineage import Lineage
from tasks.contract.profile import UNLISTED, read_profile
from tasks.errors import InputError, IntegrityError
from tasks.evaluate import evaluate
from tasks.fit import fit
from tasks.kinds.classify_series import predict
from tasks.kinds.classify_series.classifier import SequenceLabeller
from tasks.kinds.classify_series.fit import SequenceCandidate
from tasks.kinds.classify_series.gate import GATE
from tasks.kinds.classify_series.recipe import CLASSIFY_SERIES
from tasks.kinds.classify_series.register import REGISTRATION
from tasks.labelled.evaluate import ClassificationSettings
from tasks.labelled.scoring import Scores
from tasks.panel.served_table import read_table
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import served_modules
from tasks.sources.inputs import find_inputs
from tasks.store.fingerprint import reached_modules
from tests.tasks.kinds.classify_series.conftest import draw_table


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder in which a small classifier is fitted once."""
    return tmp_path_factory.mktemp("sequences")


@pytest.fixture
def served(home: Path, monkeypatch: pytest.MonkeyPatch, make_lineage) -> tuple[Path, Lineage, Scored]:
    """The folder of a classifier as it is registered, and where it comes from."""
    monkeypatch.setenv("RNNFLOW_HOME", str(home))
    candidate = SequenceCandidate(
        name="gru",
        model=SeriesArchitecture(hidden_size=8, bidirectional=True),
        training=SeriesTraining(epochs=3, learning_rate=0.03, batch_steps=60, device="cpu"),
    )
    lineage = make_lineage(draw_table(40), shards={"max_length": 8})
    model = fit.fn(CLASSIFY_SERIES, lineage.shards, candidate)
    best = Scored(
        model=model, evaluation=evaluate.fn(CLASSIFY_SERIES, model, lineage, ClassificationSettings(resamples=100))
    )
    parts = home / "model" / "artifacts" / "parts"
    if not parts.exists():
        parts.parent.mkdir(parents=True)
        REGISTRATION.assemble_parts(parts, lineage, best)
    return parts, lineage, best


def as_pyfunc(labeller: SequenceLabeller) -> types.SimpleNamespace:
    """What MLflow makes of the served file, as far as the proof needs it."""
    return types.SimpleNamespace(
        unwrap_python_model=lambda: types.SimpleNamespace(model=labeller),
        predict=lambda table: labeller.answer_frame(pl.from_pandas(table)).to_pandas(),
    )


def test_what_is_done_to_rows_is_said_by_warnings_where_mlflow_serves(served):
    from tasks.panel.served_model import ServedPanelModel

    labeller, model = SequenceLabeller.load(served[0]), ServedPanelModel()
    sorting = dataclasses.replace(labeller.serving, source={**labeller.serving.source, "unsorted": "sort"})
    model.model = dataclasses.replace(labeller, serving=sorting)
    table = draw_table(4).drop("label")

    with pytest.warns(UserWarning, match="sorted"):
        answers = model.predict(None, table.reverse().to_pandas())

    assert pl.from_pandas(answers).reverse().equals(labeller.answer_frame(table))


def test_a_raw_table_gets_one_answer_per_sequence_in_its_order(served):
    labeller = SequenceLabeller.load(served[0])
    table = draw_table(6, seed=9).drop("label").sort("id", "time", descending=[True, False])

    answers = labeller.answer_frame(table)

    assert answers.columns == ["sequence", "label", "probability_down", "probability_up"]
    assert answers["sequence"].to_list() == ["s005", "s004", "s003", "s002", "s001", "s000"]
    np.testing.assert_allclose(answers.select("probability_down", "probability_up").sum_horizontal(), 1)
    likelier = pl.when(pl.col("probability_up") > 0.5).then(pl.lit("up")).otherwise(pl.lit("down"))
    assert answers["label"].to_list() == answers.select(likelier).to_series().to_list()


def test_numbers_of_any_type_are_answered_alike(served):
    labeller = SequenceLabeller.load(served[0])
    table = draw_table(6, seed=9).drop("label").with_columns(pl.col("id").str.slice(1).cast(pl.Int64))
    numbered = table.with_columns(cs.float().round()).to_pandas()

    answers = labeller.answer_frame(numbered.astype({"id": str}))

    assert answers["sequence"].to_list() == [str(number) for number in range(6)]
    for changed in ({}, {"id": float}, {"x": int, "y": int}):
        assert labeller.answer_frame(numbered.astype(changed)).equals(answers)


@pytest.mark.parametrize("longest", [1, 12])
def test_one_channel_is_enough(make_lineage, project, longest):
    table = draw_table(24).filter(pl.col("time") < longest).drop("y")
    table = table.with_columns(id=pl.col("id").str.slice(1).cast(pl.Int64))
    table = table.with_columns(x=pl.col("x") + pl.when(pl.col("label") == "up").then(9).otherwise(-9))
    training = SeriesTraining(epochs=20, patience=20, learning_rate=0.03, batch_steps=60, device="cpu")
    candidate = SequenceCandidate(name="gru", model=SeriesArchitecture(hidden_size=4), training=training)

    lineage = make_lineage(table, value_columns=("x",))
    model = fit.fn(CLASSIFY_SERIES, lineage.shards, candidate)
    best = Scored(
        model=model, evaluation=evaluate.fn(CLASSIFY_SERIES, model, lineage, ClassificationSettings(resamples=100))
    )
    REGISTRATION.assemble_parts(project / "parts", lineage, best)
    labeller = SequenceLabeller.load(project / "parts")

    REGISTRATION.prove_served(as_pyfunc(labeller), lineage, best)
    answers = labeller.answer_frame(table.drop("label"))
    assert answers["sequence"].to_list() == [str(number) for number in range(24)]
    assert answers["label"].to_list() == ["down", "up"] * 12


def test_an_answer_does_not_depend_on_the_other_sequences(served):
    labeller = SequenceLabeller.load(served[0])
    table = draw_table(6, seed=9).drop("label")
    together = labeller.answer_frame(table)

    for number, one in enumerate(table.partition_by("id", maintain_order=True)):
        alone = labeller.answer_frame(one)
        np.testing.assert_allclose(alone["probability_up"][0], together["probability_up"][number], atol=1e-6)


@pytest.mark.numeric
def test_what_is_served_is_bit_by_bit_what_was_evaluated_and_depends_on_the_sequence_alone(served):
    parts, lineage, best = served
    labeller = SequenceLabeller.load(parts)

    figures = REGISTRATION.prove_served(as_pyfunc(labeller), lineage, best)

    assert figures["bitwise"]
    assert figures["deviations"]["probabilities"] <= figures["tolerance"] == 1e-5
    certificate = REGISTRATION.certify_parts(parts, lineage, 5)
    assert certificate["passed"]
    assert certificate["num_sequences"] == 5


@pytest.mark.parametrize(("file", "code"), [("scaler.json", "E-REG-005"), ("model", "E-REG-006")])
def test_another_scaler_or_other_weights_are_no_proof(served, file, code):
    parts, lineage, best = served
    labeller = SequenceLabeller.load(parts)
    if file == "model":
        labeller.model.head.weight.data += 0.1
    else:
        name, scale = next(iter(labeller.scaler.columns.items()))
        labeller.scaler.columns[name] = type(scale)(scale.centre + 1, scale.scale, scale.mean, False)

    with pytest.raises(IntegrityError, match=code):
        REGISTRATION.prove_served(as_pyfunc(labeller), lineage, best)


def test_the_gate_scores_it_on_the_test_sequences(served):
    parts, lineage, best = served
    holdout = GATE.read_holdout(lineage)

    scores = GATE.score_model(RegisteredModel(name="m", version="1", artifact_uri="", folder=parts.parents[1]), holdout)

    evaluated = json.loads(best.evaluation.file("metrics.json").read_bytes())["metrics"]["test"]
    assert isinstance(scores, Scores)
    assert scores.figures["accuracy"] == pytest.approx(evaluated["accuracy"]["value"])
    assert scores.figures["loss"] == pytest.approx(evaluated["loss_scaled"]["value"], abs=1e-6)
    assert scores.undefined == 0


def test_a_file_is_predicted_from_and_labels_are_not_asked_for(served, tmp_path, monkeypatch):
    parts, lineage, _ = served
    model = RegisteredModel(name="m", version="3", artifact_uri="", folder=parts.parents[1])
    monkeypatch.setattr("tasks.promotion.named_models.resolve_model", lambda name: model)
    REGISTRATION.write_example(tmp_path / REGISTRATION.EXAMPLE, lineage)

    done = predict.predict_file("m", tmp_path / REGISTRATION.EXAMPLE, tmp_path / "answers.csv")

    answers = pl.read_csv(tmp_path / "answers.csv")
    expected = pl.read_parquet(lineage.splits.file("test.parquet")).head(2)["series"].to_list()
    assert answers["sequence"].to_list() == expected
    assert answers["model"].to_list() == ["m/3"] * 2
    assert done.describe().startswith(f"{tmp_path / 'answers.csv'}: 2 sequences classified by m/3 (")
    with pytest.raises(InputError, match="E-OUT-004 this model reads numbers, but a text or label column"):
        predict.predict_file("m", tmp_path / "a.csv", tmp_path / "b.csv", text_column="body")
    with pytest.raises(InputError, match="E-OUT-001"):
        predict.predict_file("m", tmp_path / REGISTRATION.EXAMPLE, tmp_path / "answers.csv")


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("id,time,x,y\na,0,1,oops\n", 'E-SER-001 {file}:2 column "y": got "oops", expected a number.'),
        (
            "id,time,x\na,0,1\n",
            'E-SRC-005 {file}:1 column "y": is missing, found "id", "time", "x". The first row reads "a", "0", "1".',
        ),
        ("id,time,x,y\na,0,1,\na,1,,2\n", 'E-SER-009 column "x": a number is missing at 1 in series "a".'),
        ("id,time,x,y\na,0,,\n", 'E-SEQ-001 {file}:2: sequence "a" has no number at any step.'),
    ],
)
def test_what_cannot_be_labelled_is_named(served, tmp_path, monkeypatch, rows, problem):
    model = RegisteredModel(name="m", version="3", artifact_uri="", folder=served[0].parents[1])
    monkeypatch.setattr("tasks.promotion.named_models.resolve_model", lambda name: model)
    path = tmp_path / "bad.csv"
    path.write_text(rows)

    with pytest.raises(InputError) as caught:
        predict.predict_file("m", path, tmp_path / "answers.csv")

    assert str(caught.value).split("\n")[0] == problem.replace("{file}", str(path))
    assert not (tmp_path / "answers.csv").exists()


def test_sequences_that_cannot_be_labelled_leave_the_others_their_answers(served, tmp_path, monkeypatch):
    model = RegisteredModel(name="m", version="3", artifact_uri="", folder=served[0].parents[1])
    monkeypatch.setattr("tasks.promotion.named_models.resolve_model", lambda name: model)
    good = draw_table(7, seed=9).drop("label")
    gappy = pl.when(pl.col("id").is_in(["s001", "s005"]) & (pl.col("time") == 1)).then(None).otherwise("x")
    empty = pl.when(pl.col("id") != "s003").then("y")
    table = good.with_columns(x=gappy).with_columns(pl.when(pl.col("id") != "s003").then("x"), y=empty)
    table.write_csv(tmp_path / "in.csv")

    done = predict.predict_file("m", tmp_path / "in.csv", tmp_path / "out.csv")

    answers = pl.read_csv(tmp_path / "out.csv")
    assert answers["sequence"].to_list() == ["s000", "s002", "s004", "s006"]
    labeller = SequenceLabeller.load(served[0])
    alone = labeller.answer_frame(good.filter(pl.col("id").is_in(answers["sequence"].implode())))
    np.testing.assert_allclose(answers["probability_up"], alone["probability_up"], atol=1e-6)
    faults = [json.loads(line) for line in done.errors.read_text().splitlines()]
    assert [(one["series"], one["code"]) for one in faults] == [
        ("s003", "E-SEQ-001"),
        ("s001", "E-SER-009"),
        ("s005", "E-SER-009"),
    ]
    assert (done.rows, done.bad, done.rows_read) == (4, 3, table.height)


def test_a_missing_channel_is_named(served):
    labeller = SequenceLabeller.load(served[0])
    sequences = read_table(labeller, draw_table(2).drop("label")).rows.drop("value.y")

    with pytest.raises(InputError) as caught:
        labeller.label_sequences(sequences)

    assert str(caught.value) == (
        'E-SEQ-003 channel "y" is missing, which the model was trained on.\n'
        "Fix: add what is missing, or name the channels as in training."
    )


def test_the_served_code_knows_neither_the_flow_nor_the_store(served):
    reached = set(reached_modules(*served_modules(served[0], CLASSIFY_SERIES.served_model)))

    assert "tasks.kinds.classify_series.classifier" in reached
    assert not {name for name in reached if name.startswith("flows")} | reached & {
        "tasks.register",
        "tasks.tracking.mlflow_client",
    }


def test_the_reference_is_what_the_served_model_sees_in_the_validation_sequences(served):
    parts, lineage, _ = served
    labeller, profiles = SequenceLabeller.load(parts), []
    sequences = pl.read_parquet(lineage.splits.file("valid.parquet"))

    labeller.label_sequences(sequences, profiles)

    [seen], reference = profiles, read_profile(parts)
    assert reference.rows == reference.labelled_rows == seen.rows == sequences.height
    assert reference.histograms.keys() == {"length", "missing", "level.x", "level.y", "confidence"}
    for feature in ("length", "missing", "level.x", "level.y"):
        assert reference.histograms[feature] == seen.histograms[feature]
    assert (reference.predicted, reference.true, reference.hits) == (seen.predicted, seen.true, seen.hits)


@pytest.mark.parametrize("labels", [["down", "up"], ["up", None], ["Up", "other"], None])
def test_labels_that_a_file_has_count_for_the_monitor_alone(served, tmp_path, labels):
    labeller, path, profiles = SequenceLabeller.load(served[0]), tmp_path / "new.csv", []
    table = draw_table(2, seed=9).drop("label")
    if labels is not None:
        table = table.with_columns(label=pl.col("id").replace_strict(["s000", "s001"], labels, return_dtype=pl.String))
    table.write_csv(path)

    answers = labeller.answer_files(find_inputs(labeller.serving.settings_for(path)), profiles=profiles)

    assert answers.drop("sequence").equals(labeller.answer_frame(table).drop("sequence"))
    known = {"down": "down", "up": "up", "Up": "up", "other": UNLISTED}
    assert sum((profile.labelled_rows for profile in profiles), 0) == sum(one is not None for one in labels or [])
    assert set(profiles[0].true) == {known[one] for one in labels or [] if one is not None}
