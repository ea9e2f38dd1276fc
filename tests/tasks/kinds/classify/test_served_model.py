"""The registered model answers anywhere, for any text, and refuses what is no text."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from rnnmodels.durable import sha256_of_file
from tasks.errors import InputError, IntegrityError
from tasks.kinds.classify.classifier import TextClassifier
from tasks.labelled.calibration import calibrated_probabilities
from tasks.promotion import named_models
from tasks.registry import registered_model
from tasks.text.readable import MAX_CHARACTERS, check_texts

TEXTS = ["a great and moving film", "dull, boring and flat", "", "   \n", "\U0001f600\U0001f600", "zzzz qqqq"]


@pytest.fixture(autouse=True)
def home(registered_home, monkeypatch):
    monkeypatch.setenv("RNNFLOW_HOME", str(registered_home))


@pytest.fixture
def model():
    return named_models.resolve_model("reviews")


@pytest.fixture
def classifier(model):
    return TextClassifier.load(model.parts)


def test_every_text_has_a_defined_answer(classifier):
    probabilities = classifier.predict_probabilities(TEXTS)

    assert probabilities.shape == (6, 2)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_texts_without_a_known_token_are_answered_alike(classifier):
    empty, blank, _, unknown = classifier.predict_logits(["", "   \n", "x", "zzzz"])

    assert empty.tolist() == blank.tolist() == unknown.tolist()


def test_no_texts_have_no_answers(classifier):
    assert classifier.predict_probabilities([]).shape == (0, 2)


def test_an_answer_does_not_depend_on_the_other_texts(classifier):
    together = classifier.predict_logits([*TEXTS, "a much longer text " * 50])

    for index, text in enumerate(TEXTS):
        np.testing.assert_allclose(classifier.predict_logits([text])[0], together[index], atol=1e-6)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "got null, expected a text"),
        (3, "got int, expected a text"),
        (b"a", "got bytes, expected a text"),
        (float("nan"), "got float, expected a text"),
        ("a" * (MAX_CHARACTERS + 1), "got 1,000,001 characters, expected at most 1,000,000"),
        ("a\ud800", 'got half a surrogate pair in "a\\ud800", expected valid Unicode'),
    ],
)
def test_what_is_no_text_is_refused_with_its_index(text, problem):
    with pytest.raises(InputError) as caught:
        check_texts(["fine", text])

    assert str(caught.value) == f"E-TEXT-001 text 1: {problem}.\nFix: leave this text out or correct it."


def test_a_temperature_softens_and_keeps_the_order():
    logits = np.array([[2.0, 0.0]], dtype=np.float32)

    sharp, soft = calibrated_probabilities(logits, 1.0)[0], calibrated_probabilities(logits, 2.0)[0]

    assert sharp[0] == pytest.approx(1 / (1 + np.exp(-2)))
    assert 0.5 < soft[0] < sharp[0]


@pytest.mark.parametrize("name", ["model.safetensors", "model.json", "vocabulary.json", "labels.json", "profile.json"])
def test_a_changed_file_is_refused_before_it_is_read(model, tmp_path, name):
    folder = shutil.copytree(model.parts, tmp_path / "classifier")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)

    with pytest.raises(IntegrityError) as caught:
        TextClassifier.load(folder)

    assert str(caught.value) == (
        f"E-INT-001 {folder / name}: is not the file that was registered (its SHA-256 differs or it is missing).\n"
        "Fix: restore the file, or register the model again."
    )


def test_a_changed_list_of_files_is_refused(model, tmp_path):
    folder = shutil.copytree(model.folder, tmp_path / "model")
    copied = registered_model.RegisteredModel(name="reviews", version="1", artifact_uri="", folder=folder)
    path = copied.parts / "serving.json"
    files_sha256 = sha256_of_file(path)
    assert registered_model.checked_model(copied, files_sha256) == copied

    path.write_text(path.read_text().replace('"keep": "both"', '"keep": "head"'))

    with pytest.raises(IntegrityError, match=r"E-REG-003 .*the files of model reviews/1 are missing or are not those"):
        registered_model.checked_model(copied, files_sha256)


def test_the_model_loads_where_the_repository_is_absent(model, classifier, tmp_path):
    folder = shutil.copytree(model.folder, tmp_path / "elsewhere" / "model")
    code = """if True:
        import json, sys
        import mlflow
        model = mlflow.pyfunc.load_model(sys.argv[1])
        records = [answer.model_dump() for answer in model.predict(json.loads(sys.argv[2]))]
        import tasks.kinds.classify.classifier
        print(json.dumps([records, tasks.kinds.classify.classifier.__file__, sorted(sys.modules)]))"""
    environment = {name: value for name, value in os.environ.items() if name not in ("RNNFLOW_HOME", "PYTHONPATH")}
    # Isolated mode hides the repository: neither the working directory nor an editable install is searched.
    blocker = "import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f)]; "
    blocker += "sys.path = [p for p in sys.path if not p.endswith('/main')]\n"
    process = subprocess.run(
        [sys.executable, "-I", "-c", blocker + code, str(folder), json.dumps(TEXTS)],
        env={**environment, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    records, module, imported = json.loads(process.stdout.splitlines()[-1])

    expected = classifier.predict_probabilities(TEXTS)
    assert module == str(folder / "code" / "tasks" / "kinds" / "classify" / "classifier.py")
    assert "prefect" not in imported
    assert [record["probabilities"]["pos"] for record in records] == expected[:, 1].tolist()
    assert [record["label"] for record in records] == [("neg", "pos")[index] for index in expected.argmax(axis=1)]
    assert not (tmp_path / "mlflow.db").exists()


def test_the_package_names_exact_versions_and_holds_no_pickle(model):
    requirements = (model.folder / "requirements.txt").read_text().split()
    files = {path.name for path in model.folder.rglob("*") if path.is_file()}

    assert {line.partition("==")[0] for line in requirements} >= {"mlflow", "numpy", "polars", "pydantic", "torch"}
    assert all("==" in line and "+" not in line for line in requirements)
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".pt", ".bin"))]


def test_the_model_as_mlflow_loads_it_refuses_a_null(model):
    with pytest.raises(InputError, match=r"E-TEXT-001 text 1: got null"):
        registered_model.load_pyfunc(model).predict(["fine", None])


@pytest.fixture
def of_two_columns(model):
    """The model as if it had been trained on the texts of two columns."""
    served = registered_model.load_pyfunc(model)
    python_model = served.unwrap_python_model()
    source = {"path": "a.csv", "text_columns": ["title", "body"], "text_separator": " "}
    serving = dataclasses.replace(python_model.model.serving, source=source)
    python_model.model = dataclasses.replace(python_model.model, serving=serving)
    return served


def test_mlflow_hands_the_model_every_column_of_a_table(of_two_columns):
    table = pd.DataFrame({"id": ["great", "dull"], "body": TEXTS[:2], "title": ["flat", "moving"]})

    assert of_two_columns.predict(table) == of_two_columns.predict([f"flat {TEXTS[0]}", f"moving {TEXTS[1]}"])
    with pytest.raises(InputError, match=r'E-REG-012 column "title": is missing'):
        of_two_columns.predict(table[["id", "body"]])


def test_mlflows_scoring_server_takes_texts_and_tables(of_two_columns):
    from mlflow.pyfunc.scoring_server import init

    table = pd.DataFrame({"body": TEXTS[:2], "title": ["flat", "moving"]})
    expected = [answer.model_dump() for answer in of_two_columns.predict(table)]
    joined = (table["title"] + " " + table["body"]).tolist()
    split = json.loads(table.to_json(orient="split", index=False))
    with TestClient(init(of_two_columns)) as client:
        bodies = [{"inputs": joined}, {"instances": joined}, {"dataframe_split": split}]
        answers = [client.post("/invocations", json=body) for body in bodies]

    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert answer.json()["predictions"] == expected


def test_loading_a_model_leaves_the_import_path_alone(model):
    before = list(sys.path)

    registered_model.load_pyfunc(model)

    assert sys.path == before


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("reviews", "reviews@champion"),
        ("reviews@challenger", "reviews@challenger"),
        ("reviews/3", "reviews/3"),
        ("models:/reviews/3", "reviews/3"),
        ("models:/reviews@champion", "reviews@champion"),
    ],
)
def test_a_model_is_named_in_several_ways(text, shown):
    assert str(named_models.parse_reference(text)) == shown


@pytest.mark.parametrize(
    "text", ["../x", "a/b/c", "reviews/x", "reviews/@champion", "reviews@", "", "m@a@b", "a/-1", "a/0", "a/1234567890"]
)
def test_a_name_that_names_no_model_is_refused(text):
    with pytest.raises(InputError):
        named_models.parse_reference(text)


@pytest.mark.parametrize(
    ("text", "fix"),
    [("other", "`rnnflow runs` lists what was registered.")]
    + [(known, "choose among the versions of reviews: 1.") for known in ("reviews/9", "reviews@challenger")],
)
def test_a_model_that_is_not_registered_is_named(text, fix):
    shown = named_models.parse_reference(text)

    with pytest.raises(InputError) as caught:
        named_models.resolve_model(text)

    assert str(caught.value) == f'E-REG-001 model "{shown}" is not registered in "mlruns".\nFix: {fix}'


def test_a_project_without_a_store_has_no_models(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNFLOW_HOME", str(tmp_path))

    with pytest.raises(InputError, match="E-REG-001"):
        named_models.resolve_model("reviews")
