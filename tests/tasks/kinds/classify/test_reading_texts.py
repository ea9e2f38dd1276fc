"""A file of texts is read as the training rows were: answers, accuracy and drift are those of the evaluation."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.contract.contest import Contest
from tasks.contract.lineage import Lineage
from tasks.errors import InputError
from tasks.kinds.classify.predict import predict_file
from tasks.labelled.calibration import calibrated_probabilities
from tasks.monitoring.examination import examine_drift
from tasks.promotion import named_models
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import SERVING

STATED = {
    "path": "of/training.tsv", "quoted": False, "encoding": "gbk", "text_column": "body", "label_column": "stars",
    "labels": {"0": "neg", "1": "pos"}, "where": {"shop": "温度"},
}  # fmt: skip


@pytest.fixture
def register_as(project: Path, registered_home: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that has the model for generated reviews answer as if it had been trained on another source."""
    monkeypatch.setenv("RNNFLOW_HOME", str(registered_home))
    folder = shutil.copytree(named_models.resolve_model("reviews").folder, project / "model")
    monkeypatch.setenv("RNNFLOW_HOME", str(project))
    model = RegisteredModel(name="reviews", version="7", artifact_uri="", folder=folder)
    monkeypatch.setattr(named_models, "resolve_model", lambda _: model)

    def register(source: dict | None) -> RegisteredModel:
        fields = json.loads((model.parts / SERVING).read_bytes())
        fields["serving"].pop("source")
        fields["serving"] |= {} if source is None else {"source": source}
        (model.parts / SERVING).write_text(json.dumps(fields))
        return model

    return register


def write_shops(path: Path, rows: pl.DataFrame, encoding: str = "gbk") -> int:
    """Write reviews with an opening quote, and after each one of another shop; returns the number of reviews."""
    shown = {"neg": "0", "pos": "1"}
    lines = ["body\tstars\tshop"]
    for text, label in rows.select("text", "label").iter_rows():
        lines += [f"{text}\t{shown[label]}\t温度", f'"{text}\t{shown[label]}\tothers']
    path.write_bytes("\n".join([*lines, ""]).encode(encoding))
    return rows.height


def test_the_training_file_gets_the_answers_of_the_evaluation(
    tmp_path: Path, register_as, reviews: tuple[Lineage, Contest]
):
    register_as(STATED)
    lineage, contest = reviews
    rows = pl.read_parquet(lineage.splits.file("test.parquet"))
    number = write_shops(tmp_path / "in.tsv", rows)

    predicted = predict_file("reviews", tmp_path / "in.tsv", tmp_path / "out.parquet")

    answers = pl.read_parquet(tmp_path / "out.parquet")
    stored = pl.read_parquet(contest.best.model.file("predictions.parquet")).filter(split="test")
    logits = rows.join(stored, on="row", maintain_order="left")["logits"].to_list()
    temperature = json.loads(contest.best.evaluation.file("metrics.json").read_bytes())["temperature"]
    expected = calibrated_probabilities(np.array(logits, dtype=np.float32), temperature)
    np.testing.assert_allclose(answers.select("probability_neg", "probability_pos").to_numpy(), expected, atol=1e-6)
    assert answers["row"].to_list() == list(range(2, 2 * number + 2, 2))
    assert (predicted.rows_read, predicted.left_out, predicted.bad) == (2 * number, number, 0)
    accuracy = (answers["label"] == rows["label"]).mean()
    assert (predicted.labelled_rows, predicted.unlisted_rows, predicted.accuracy) == (number, 0, accuracy)


def test_the_training_file_is_no_drift(tmp_path: Path, register_as, reviews: tuple[Lineage, Contest]):
    register_as(STATED)
    lineage = reviews[0]
    rows = pl.concat(pl.read_parquet(lineage.splits.file(f"{name}.parquet")) for name in ("train", "valid", "test"))
    write_shops(tmp_path / "in.tsv", rows)

    predict_file("reviews", tmp_path / "in.tsv", tmp_path / "out.csv", label_column="stars")

    report = examine_drift("reviews", window_days=1, min_rows=100, psi_limit=0.2)
    assert (report.status, report.rows, report.labelled_rows) == ("stable", rows.height, rows.height)
    assert {one.feature for one in report.comparisons} >= {"true", "accuracy"}


def test_labels_are_known_by_the_names_of_the_recipe_and_by_those_of_the_file(tmp_path: Path, register_as):
    register_as({"path": "a.csv", "labels": {"0": "neg", "1": "pos"}})
    (tmp_path / "in.csv").write_text("text,label\ngreat,1\ngreat,pos\ndull,0\ndull,neg\nso so,2\n")

    predicted = predict_file("reviews", tmp_path / "in.csv", tmp_path / "out.csv")

    assert (predicted.labelled_rows, predicted.unlisted_rows) == (4, 1)


def test_a_file_without_the_labels_of_training_is_answered(tmp_path: Path, register_as):
    register_as({"path": "a.csv", "text_column": "body"})
    (tmp_path / "in.csv").write_text("body\ngreat\n")
    pl.DataFrame({"body": ["dull"], "label": [0.5]}).write_parquet(tmp_path / "in.parquet")

    for name in ("in.csv", "in.parquet"):
        assert predict_file("reviews", tmp_path / name, tmp_path / f"{name}.csv").labelled_rows == 0
    with pytest.raises(InputError, match=r'E-SRC-005 .* column "label"'):
        predict_file("reviews", tmp_path / "in.csv", tmp_path / "out.csv", label_column="label")


def test_another_form_of_file_is_read_as_the_caller_says(tmp_path: Path, register_as):
    register_as(STATED)
    (tmp_path / "in.csv").write_text('body,shop\n"great, 质量很好一般差",here\n')

    with pytest.raises(InputError, match=r"E-ENC-001 .*: got bytes .*, which are UTF-8"):
        predict_file("reviews", tmp_path / "in.csv", tmp_path / "out.csv")
    changed = {"encoding": "utf-8", "quoted": True, "where": {}}
    assert predict_file("reviews", tmp_path / "in.csv", tmp_path / "out.csv", source=changed).rows == 1


def test_a_file_of_which_where_leaves_nothing_is_refused(tmp_path: Path, register_as):
    register_as({"path": "a.csv", "where": {"shop": "here"}})
    (tmp_path / "in.csv").write_text("text,shop\ngreat,there\n")

    with pytest.raises(InputError) as caught:
        predict_file("reviews", tmp_path / "in.csv", tmp_path / "out.csv")

    assert str(caught.value) == (
        "E-OUT-006 no rows are left: the `where` of training leaves out 1 row.\n"
        "Fix: answer all rows with --set source.where={}."
    )
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("header", "problem", "fix"),
    [
        ("text", 'column "shop": is missing', "--set source.where={}."),
        (
            "texts,shop",
            'column "text": is missing',
            'name the column of the texts with --text-column; did you mean "texts"?',
        ),
    ],
)
def test_a_missing_column_is_named_with_a_remedy_of_prediction(
    tmp_path: Path, register_as, header: str, problem: str, fix: str
):
    register_as({"path": "a.csv", "where": {"shop": "here"}})
    (tmp_path / "in.csv").write_text(f"{header}\n{header}\n")

    with pytest.raises(InputError) as caught:
        predict_file("reviews", tmp_path / "in.csv", tmp_path / "out.csv")

    assert problem in str(caught.value)
    assert str(caught.value).endswith(fix)


def test_a_text_per_line_is_read_in_the_encoding_of_training_and_has_no_columns(tmp_path: Path, register_as):
    register_as(STATED)
    (tmp_path / "in.txt").write_bytes("很好 great\n\n".encode("gbk"))

    predicted = predict_file("reviews", tmp_path / "in.txt", tmp_path / "out.csv")

    assert (predicted.rows, predicted.bad, predicted.rows_read) == (2, 0, 2)
    for options in ({"text_column": "body"}, {"label_column": "stars"}, {"source": {"where": {}}}):
        with pytest.raises(InputError, match=r"E-SRC-011 .* has no effect"):
            predict_file("reviews", tmp_path / "in.txt", tmp_path / "none.csv", **options)


def test_a_model_registered_before_sources_were_recorded_answers_as_before(tmp_path: Path, register_as):
    register_as(None)
    (tmp_path / "in.csv").write_text("text,label\ngreat,1\n")

    predicted = predict_file("reviews", tmp_path / "in.csv", tmp_path / "out.csv")

    assert (predicted.rows, predicted.labelled_rows, predicted.unlisted_rows) == (1, 0, 0)


def test_comments_are_counted_as_in_training(tmp_path: Path, register_as):
    register_as(STATED | {"where": {}, "labels": {}, "comment": "#"})
    path = tmp_path / "more.tsv"
    path.write_text("# made today\nbody\tstars\n# one\ngood film\t1\n")

    predicted = predict_file("reviews", path, tmp_path / "answers.csv")

    assert (predicted.rows_read, predicted.rows, predicted.comment_lines) == (3, 1, 2)
    assert predicted.describe_rows() == "3 rows read: 2 comments."
