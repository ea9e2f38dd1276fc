"""A fit may start from the champion's weights, and then is another fit."""

import json
import sys
from pathlib import Path

import pytest

from tasks.contract.contest import Contest
from tasks.contract.lineage import Lineage
from tasks.errors import InputError
from tasks.fit import find_fitted, find_tracked, fit
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.labelled.fit import ClassifierCandidate
from tasks.progress import Progress, listening
from tasks.registry.registered_model import RegisteredModel
from tasks.store import artefacts
from tasks.text.vocabulary import Vocabulary
from tasks.text.warm_start import match_tokens, match_tokens_of
from tasks.warm_start import warm_start
from tests.tasks.conftest import CANDIDATES


def test_tokens_keep_the_id_they_had():
    earlier = Vocabulary("word", lowercase=True, tokens=("the", "film", "dull"))
    present = Vocabulary("word", lowercase=True, tokens=("film", "new", "the"))

    assert match_tokens(present, earlier) == [0, 1, 3, -1, 2]


@pytest.mark.parametrize(
    ("earlier", "reason"),
    [
        (("char", ("a", "i")), r'made by the tokenizer "char", and these by "word"\.'),
        (("word", ("der", "Film")), r"knows no token of the new texts\."),
    ],
)
def test_a_champion_that_knows_nothing_of_the_texts_is_refused(
    reviews: tuple[Lineage, Contest], tmp_path: Path, earlier: tuple[str, tuple[str, ...]], reason: str
):
    champion = RegisteredModel(name="reviews", version="1", artifact_uri="", folder=tmp_path)
    champion.parts.mkdir(parents=True)
    tokenizer, tokens = earlier
    Vocabulary(tokenizer, lowercase=True, tokens=tokens).save(champion.parts / "vocabulary.json")

    with pytest.raises(InputError, match=f"E-TRN-002 .*reviews/1 cannot be started from: i.*{reason}"):
        match_tokens_of(champion, reviews[0].encoded)


def notes_of(**arguments: object) -> tuple[artefacts.Artefact, list[str]]:
    events: list[Progress] = []
    with listening(events.append):
        artefact = fit.fn(CLASSIFY, **arguments)
    return artefact, [event.note for event in events if event.note]


def first_loss(artefact: artefacts.Artefact) -> float:
    return json.loads(artefact.file("history.json").read_bytes())[0]["train_loss"]


def test_a_fit_that_starts_warm_begins_better_and_has_a_key_of_its_own(
    registered_home: Path, reviews: tuple[Lineage, Contest], monkeypatch: pytest.MonkeyPatch
):
    lineage, contest = reviews
    champion = next(candidate for candidate in CANDIDATES if candidate.name == contest.best.name)
    monkeypatch.setenv("RNNFLOW_HOME", str(registered_home))
    initial = warm_start.fn(CLASSIFY, "reviews/1", lineage.encoded)

    assert initial.summary["known_tokens"] == lineage.encoded.summary["vocabulary_size"]
    assert find_fitted(CLASSIFY, lineage.shards, champion, initial) is None
    warm, notes = notes_of(shards=lineage.shards, candidate=champion, initial=initial)

    assert notes == ["starts from the champion's weights"]
    assert first_loss(warm) < first_loss(contest.best.model)
    assert warm.key != contest.best.model.key
    assert find_fitted(CLASSIFY, lineage.shards, champion, initial) == artefacts.open_artefact(warm.reference)


def test_a_candidate_of_another_architecture_starts_afresh_and_says_so(
    registered_home: Path, reviews: tuple[Lineage, Contest], monkeypatch: pytest.MonkeyPatch
):
    lineage, contest = reviews
    other = next(candidate for candidate in CANDIDATES if candidate.name != contest.best.name)
    monkeypatch.setenv("RNNFLOW_HOME", str(registered_home))

    _, notes = notes_of(
        shards=lineage.shards, candidate=other, initial=warm_start.fn(CLASSIFY, "reviews/1", lineage.encoded)
    )

    assert notes == [
        f"starts afresh, as the champion has cell = {contest.best.name.removesuffix('-8')}, not {other.model.cell}"
    ]


def test_there_is_no_warm_start_without_a_registered_model(reviews: tuple[Lineage, Contest]):
    with pytest.raises(InputError, match="E-REG-001"):
        warm_start.fn(CLASSIFY, "absent", reviews[0].encoded)


def test_an_interrupted_fit_tells_where_it_was_tracked(
    reviews: tuple[Lineage, Contest], monkeypatch: pytest.MonkeyPatch
):
    shards, candidate = reviews[0].shards, CANDIDATES[0].model_copy(update={"name": "cut-short"})

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tasks.labelled.fit.predict_splits", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit.fn(CLASSIFY, shards, candidate, tracked_as="run-1")

    assert find_tracked(CLASSIFY, shards, candidate, None) == "run-1"
    monkeypatch.setitem(sys.modules, "rnnmodels.training.checkpoint", None)  # whose import takes torch
    assert find_tracked(CLASSIFY, shards, ClassifierCandidate(name="never-begun"), None) == ""
