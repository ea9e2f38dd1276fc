"""The best candidate joined with the best baseline takes part, and is served whole: from the registered model alone."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rnnmodels.durable import sha256_of_file
from tasks.contract.contest import Contest
from tasks.contract.lineage import Lineage
from tasks.contract.stacking import StackSettings
from tasks.errors import IntegrityError
from tasks.gate import gate
from tasks.kinds.classify.classifier import TextClassifier
from tasks.kinds.classify.predict import predict_file
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.kinds.classify.register import REGISTRATION
from tasks.kinds.classify.serve import SERVICE, Caps, Question
from tasks.labelled.calibration import join_logits
from tasks.labelled.promotion import PromotionSettings
from tasks.labelled.register import certify_linear
from tasks.promotion import named_models
from tasks.register import candidate_record, register
from tasks.registry.proving import sample_rows
from tasks.registry.registered_model import RegisteredModel
from tasks.stack import stack
from tasks.text.ngram_model import NGRAM_FILES, NgramModel
from tasks.tracking.outbox import end_run
from tasks.tracking.runs import RunContext
from tasks.warm_start import warm_start
from tests.tasks.conftest import REGISTRY, score

TEXTS = ["a great and moving film", "dull, boring and flat", "", "great!", "zzzz qqqq"]
pytestmark = pytest.mark.costly


@pytest.fixture(scope="module")
def stacked_home(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path, reviews: tuple[Lineage, Contest]
) -> tuple[Path, Contest]:
    """A project whose champion is a join, and the contest that chose it."""
    home, (lineage, contest) = tmp_path_factory.mktemp("stacked"), reviews
    (home / "mlruns").mkdir()
    shutil.copyfile(empty_database, home / "mlruns" / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNFLOW_HOME", str(home))
        stacked = stack.fn(CLASSIFY, contest, StackSettings())
        contest = contest.admit([score(one, lineage) for one in stacked.fitted], stacked.left_out)
        run = RunContext(recipe="reviews", flow_run_id="flow-1")
        registered = register.fn(CLASSIFY, run, lineage, contest, REGISTRY)
        gate.fn(CLASSIFY, run, lineage, registered, PromotionSettings())
        end_run("flow-1", "COMPLETED")
    return home, contest


@pytest.fixture
def contest(stacked_home: tuple[Path, Contest], monkeypatch: pytest.MonkeyPatch) -> Contest:
    monkeypatch.setenv("RNNFLOW_HOME", str(stacked_home[0]))
    return stacked_home[1]


@pytest.fixture
def model(contest: Contest) -> RegisteredModel:
    assert contest.best.name == "stacked"
    return named_models.resolve_model("reviews")


@pytest.fixture
def classifier(model: RegisteredModel) -> TextClassifier:
    return TextClassifier.load(model.parts)


def registration_in(home: Path) -> dict:
    [path] = home.glob("data/register/*/registration.json")
    return json.loads(path.read_bytes())


def test_the_join_takes_part_after_those_it_is_made_of_and_wins_on_validation(contest: Contest, reviews):
    *candidates, joined = contest.candidates
    assert candidates == list(reviews[1].candidates)
    assert (joined.model.summary["joins"], joined.model.summary["joined_with"]) == (
        *(reviews[1].best.name, reviews[1].baseline.name),
    )
    assert contest.best is joined


def test_nothing_is_joined_where_it_is_not_wanted_or_there_is_nothing_to_join_with(reviews: tuple[Lineage, Contest]):
    contest, wanted, nothing = reviews[1], StackSettings(), ((), ())
    assert stack.fn(CLASSIFY, contest, None) == nothing
    assert stack.fn(CLASSIFY, contest, StackSettings(with_baseline=False)) == nothing
    assert stack.fn(dataclasses.replace(CLASSIFY, stack=None), contest, wanted) == nothing
    assert stack.fn(CLASSIFY, dataclasses.replace(contest, baselines=()), wanted) == nothing


def test_the_registered_join_repeats_its_evaluation(contest: Contest, stacked_home: tuple[Path, Contest]):
    registration = registration_in(stacked_home[0])
    assert registration["best"] == "stacked"
    assert registration["smoke"]["deviations"]["logits"] < 1e-5
    assert registration["smoke"]["rows"] >= 20
    assert registration["certificate"]["passed"]
    assert registration["certificate"]["deviations"]["linear_batch_mates"] < 1e-5


def test_what_is_served_is_network_and_linear_model_with_their_scales(
    classifier: TextClassifier, contest: Contest, reviews: tuple[Lineage, Contest]
):
    rows = pl.read_parquet(reviews[0].splits.file("test.parquet"))
    predicted = pl.read_parquet(contest.best.model.file("predictions.parquet")).filter(split="test").sort("row")
    expected = np.array(predicted["logits"].to_list())
    logits = classifier.predict_logits(rows.sort("row")["text"].to_list())
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    alone = dataclasses.replace(
        classifier, linear=None, serving=dataclasses.replace(classifier.serving, scales=None)
    ).predict_logits(TEXTS)
    joined = join_logits(alone, classifier.linear.logits(TEXTS), classifier.serving.scales)
    np.testing.assert_allclose(classifier.predict_logits(TEXTS), joined, atol=1e-6)


def test_no_text_changes_the_answer_to_another(classifier: TextClassifier):
    together = classifier.predict_logits([*TEXTS, "a great long text! " * 50])
    for index, text in enumerate(TEXTS):
        np.testing.assert_allclose(classifier.predict_logits([text])[0], together[index], atol=1e-6)
    assert classifier.predict_probabilities([]).shape == (0, 2)


def test_a_linear_model_whose_answers_depend_on_others_passes_no_certificate(
    classifier: TextClassifier, reviews: tuple[Lineage, Contest], monkeypatch: pytest.MonkeyPatch
):
    rows = sample_rows(reviews[0].splits.file("valid.parquet"), 5)
    together = classifier.linear.logits(classifier.take(rows))
    honest = {"deviations": {"packing": 0.0}, "tolerance": 1e-5, "passed": True}
    assert certify_linear(honest, classifier, rows, together)["passed"]
    own = NgramModel.logits
    monkeypatch.setattr(NgramModel, "logits", lambda model, texts: own(model, texts) + len(texts))
    assert not certify_linear(honest, classifier, rows, together)["passed"]


def test_files_and_requests_get_the_same_answers(model: RegisteredModel, classifier: TextClassifier, tmp_path: Path):
    expected = classifier.predict_probabilities(TEXTS)[:, 1]
    table = pl.DataFrame({"text": TEXTS})
    table.write_csv(tmp_path / "texts.csv", quote_style="always")
    predict_file("reviews", tmp_path / "texts.csv", tmp_path / "answers.parquet", text_column="text")
    answers = pl.read_parquet(tmp_path / "answers.parquet")
    asked = [text for text in TEXTS if text]
    by_request = SERVICE.answer_questions(
        SERVICE.load_model(model.parts), [Question(texts=asked)], Caps(), label=model.label
    )
    probabilities = [one["probabilities"]["pos"] for one in by_request.answers[0]["predictions"]]
    shown = [index for index, text in enumerate(TEXTS) if text]
    assert probabilities == pytest.approx(expected[shown], abs=1e-6)
    assert answers["probability_pos"].to_list() == pytest.approx(expected[answers["row"].to_numpy() - 2], abs=1e-6)


@pytest.mark.parametrize("name", NGRAM_FILES)
def test_a_damaged_linear_model_is_refused(model: RegisteredModel, tmp_path: Path, name: str):
    folder = shutil.copytree(model.parts, tmp_path / "parts")
    assert sha256_of_file(folder / name)
    (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    with pytest.raises(IntegrityError, match="E-INT-001"):
        TextClassifier.load(folder)


def test_a_join_loads_where_neither_repository_nor_scikit_learn_is(
    model: RegisteredModel, classifier: TextClassifier, tmp_path: Path
):
    folder = shutil.copytree(model.folder, tmp_path / "model")
    code = """if True:
        import json, sys
        sys.meta_path = [one for one in sys.meta_path if 'editable' not in repr(one)]
        sys.path.insert(0, sys.argv[1] + "/code")
        from pathlib import Path
        from tasks.registry.served_parts import load_served
        model = load_served(Path(sys.argv[1]) / "artifacts" / "parts")
        shares = model.predict_probabilities(json.loads(sys.argv[2]))[:, 1].tolist()
        print(json.dumps([shares, sorted({"sklearn", "scipy", "pickle5"} & sys.modules.keys())]))"""
    ran = subprocess.run(
        [sys.executable, "-I", "-c", code, str(folder), json.dumps(TEXTS)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    shares, imported = json.loads(ran.stdout.splitlines()[-1])
    assert shares == pytest.approx(classifier.predict_probabilities(TEXTS)[:, 1].tolist(), abs=1e-6)
    assert imported == []
    requirements = (folder / "requirements.txt").read_text()
    assert "scikit-learn" not in requirements
    assert "scipy" not in requirements


def test_fits_start_warm_from_the_network_of_a_join(model: RegisteredModel, reviews: tuple[Lineage, Contest]):
    initial = warm_start.fn(CLASSIFY, "reviews", reviews[0].encoded)
    network = next(one for one in reviews[1].candidates if one.name == reviews[1].best.name).model
    assert sha256_of_file(initial.file("model.safetensors")) == sha256_of_file(network.file("model.safetensors"))


def test_description_and_mlflow_tell_what_was_joined(contest: Contest):
    summary = contest.best.model.summary
    told = (
        f"It adds {summary['weight']:g} times the calibrated logits of {summary['joined_with']} to those of "
        f"{summary['joins']}."
    )
    assert told in REGISTRATION.describe_model(contest)
    record = candidate_record(contest.best)
    assert (record.params["joins"], record.params["joined_with"]) == (summary["joins"], summary["joined_with"])
    assert record.metrics["weight"] == summary["weight"]
    assert record.params["training.epochs"] == 2
