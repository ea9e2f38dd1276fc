"""What is registered is what was judged: it reads, scores and writes alike, and loads where the project is absent."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rnnmodels.language.language_config import LanguageArchitecture, LanguageTraining
from tasks.contract.contest import Contest, Scored
from tasks.contract.lineage import Lineage
from tasks.contract.profile import read_profile
from tasks.errors import IntegrityError
from tasks.evaluate import evaluate
from tasks.fit import fit
from tasks.kinds.language import register
from tasks.kinds.language.evaluate import LanguageEvaluationSettings
from tasks.kinds.language.fit import LanguageCandidate
from tasks.kinds.language.recipe import LANGUAGE
from tasks.kinds.language.served_language_model import ServedLanguageModel
from tasks.kinds.language.text_reader import TextReader
from tasks.registry import registered_model
from tasks.registry.packaging import package_model
from tasks.registry.registered_model import RegisteredModel
from tests.tasks.kinds.language.preparing import prepared
from tests.tasks.kinds.language.test_split import write_book, write_table

EVALUATION = LanguageEvaluationSettings()


@dataclasses.dataclass(frozen=True)
class Trained:
    """A model that was trained for a moment, with all that it came from, and its package."""

    lineage: Lineage
    best: Scored
    packaged: RegisteredModel


def train(home: Path, documents: str, direction: str, **settings: dict) -> Trained:
    source = home / "texts.csv"
    if documents == "many":
        write_table(source, [f"text {number} " * (3 + number) for number in range(40)])
    else:
        source = home / "book.txt"
        write_book(source, 300)
    lineage = prepared(source, **settings)
    candidate = LanguageCandidate(
        name="small",
        model=LanguageArchitecture(hidden_size=8, embedding_size=4, direction=direction),
        training=LanguageTraining(epochs=1, streams=4, bptt=32, device="cpu"),
    )
    model = fit.fn(LANGUAGE, lineage.shards, candidate)
    best = Scored(model=model, evaluation=evaluate.fn(LANGUAGE, model, lineage, EVALUATION))
    register.assemble_parts(home / "parts", lineage, best)
    packaging = register.choose_packaging(lineage)
    package_model(home / "parts", home / "model", packaging, module=LANGUAGE.served_model)
    registered = RegisteredModel(name="small", version="1", artifact_uri="", folder=home / "model")
    return Trained(lineage, best, registered)


CASES = {
    "book": ("one", "forward", {}),
    "texts": ("many", "forward", {"encode": {"tokenizer": "word", "min_count": 2}}),
    "backward": ("many", "backward", {"split": {"test": 0}}),
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def trained(case: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    documents, direction, settings = CASES[case]
    home = tmp_path_factory.mktemp(case)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNFLOW_HOME", str(home))
        yield train(home, documents, direction, **settings)


def test_what_is_served_is_what_was_judged(trained: Trained):
    served = registered_model.load_pyfunc(trained.packaged)

    proof = register.prove_served(served, trained.lineage, trained.best)

    assert proof["rows"] >= 3
    assert proof["deviations"]["nats_per_token"] < 1e-5


def test_documents_are_certified_not_to_change_each_other(trained: Trained):
    certificate = register.certify_parts(trained.packaged.parts, trained.lineage, 8)

    assert certificate["passed"]
    assert 4 <= certificate["num_sequences"] <= 8


def test_ends_are_learned_where_there_are_several_documents(trained: Trained, case: str):
    assert ServedLanguageModel.load(trained.packaged.parts).serving.closed is (case != "book")


def test_the_nats_of_a_text_add_up_to_what_was_judged(trained: Trained, case: str):
    if case == "book":
        pytest.skip("the beginning of a book was judged in blocks")
    model = ServedLanguageModel.load(trained.packaged.parts)
    texts = pl.read_parquet(trained.lineage.splits.file("test.parquet"))
    judged = pl.read_parquet(trained.best.model.file("scores.parquet")).filter(pl.col("split") == "test")
    sums = judged.group_by("row").agg((pl.col("nats") + pl.col("spelling_nats")).sum(), pl.col("num_chars").sum())
    expected = texts.join(sums, on="row", how="left", maintain_order="left")

    scores = model.score_texts(texts["text"].to_list())

    np.testing.assert_allclose(scores["nats"], expected["nats"], rtol=1e-5)
    np.testing.assert_allclose(scores["num_chars"], expected["num_chars"], rtol=1e-9)


def test_a_model_with_other_weights_is_refused(trained: Trained):
    served = registered_model.load_pyfunc(trained.packaged)
    served.unwrap_python_model().model.model.output_bias.data[3] += 1

    with pytest.raises(IntegrityError, match="E-REG-006 the registered model differs from the evaluated one by"):
        register.prove_served(served, trained.lineage, trained.best)


def test_a_model_that_reads_otherwise_is_refused(trained: Trained, monkeypatch: pytest.MonkeyPatch):
    served, read = registered_model.load_pyfunc(trained.packaged), TextReader.read
    monkeypatch.setattr(TextReader, "read", lambda self, texts: read(self, [f"{text} more" for text in texts]))

    with pytest.raises(IntegrityError, match=r"E-REG-005 row [0-9]+: the served model encodes it differently"):
        register.prove_served(served, trained.lineage, trained.best)


def test_the_package_states_parameters_and_holds_no_pickle(trained: Trained, case: str):
    signature = json.loads(json.dumps(registered_model.load_pyfunc(trained.packaged).metadata.signature.to_dict()))
    files = {path.name for path in trained.packaged.folder.rglob("*") if path.is_file()}

    params = {one["name"]: (one["type"], one["default"]) for one in json.loads(signature["params"])}
    assert params == {
        "length": ("long", 200),
        "temperature": ("double", 0.8),
        "top_k": ("long", 0),
        "top_p": ("double", 1.0),
        "seed": ("long", 0),
    }
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".pt", ".bin"))]
    assert {"input_example.json", "serving.json", "spelling.json", "requirements.txt"} <= files


def test_the_use_that_is_shown_works(trained: Trained, case: str):
    if case == "backward":
        pytest.skip("it writes nothing")
    model = registered_model.load_pyfunc(trained.packaged)
    shown = register.show_use(register.choose_packaging(trained.lineage))

    [text] = eval(shown, {"model": model})

    assert len(text) > 0
    assert model.predict(["", ""], params={"length": 9, "seed": 3}) == [
        *model.predict([""], params={"length": 9, "seed": 3}),
        *model.predict([""], params={"length": 9, "seed": 4}),
    ]


def test_an_example_is_a_file_that_the_model_reads(trained: Trained, tmp_path: Path):
    register.write_example(tmp_path / register.EXAMPLE, trained.lineage)

    [nats] = ServedLanguageModel.load(trained.packaged.parts).score_texts([(tmp_path / "text.txt").read_text()])["nats"]

    assert nats > 0


def test_what_validation_texts_look_like_is_registered(trained: Trained):
    profile = read_profile(trained.packaged.parts)

    assert profile is not None
    assert profile.rows > 0
    assert sum(profile.histograms["nats_per_char"]) == profile.rows


def test_a_version_says_what_it_scores(trained: Trained):
    contest = Contest(candidates=(trained.best,), baselines=(), settings=EVALUATION)

    assert "nats per character" in register.describe_model(contest)
    assert len(register.name_encoder(trained.lineage)["rnnflow.vocabulary"]) == 64


def test_the_model_loads_where_the_repository_is_absent(trained: Trained, case: str, tmp_path: Path):
    if case != "book":
        pytest.skip("a process takes seconds")
    folder = shutil.copytree(trained.packaged.folder, tmp_path / "elsewhere" / "model")
    code = """if True:
        import json, sys
        sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
        sys.path = [path for path in sys.path if path != sys.argv[2]]
        import mlflow
        model = mlflow.pyfunc.load_model(sys.argv[1])
        texts = model.predict([""], params={"length": 20, "seed": 5})
        import tasks.kinds.language.served_language_model as served
        print(json.dumps([texts, served.__file__, sorted(sys.modules)]))"""
    environment = {name: value for name, value in os.environ.items() if name not in ("RNNFLOW_HOME", "PYTHONPATH")}
    process = subprocess.run(
        [sys.executable, "-I", "-c", code, str(folder), str(Path(__file__).parents[4])],
        env={**environment, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    texts, module, imported = json.loads(process.stdout.splitlines()[-1])

    assert module == str(folder / "code" / "tasks" / "kinds" / "language" / "served_language_model.py")
    assert "prefect" not in imported
    assert texts == registered_model.load_pyfunc(trained.packaged).predict([""], params={"length": 20, "seed": 5})
