"""The gate compares registered language models on the same text, whatever their tokens are."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tasks.kinds.language.served_language_model import LanguageServing, ServedLanguageModel
from tasks.text.spelling import Speller

from rnnmodels.language.language_config import LanguageArchitecture
from rnnmodels.language.language_model import LanguageModel
from rnnmodels.training.checkpoint import save_model
from tasks.contract.lineage import Lineage
from tasks.kinds.language.gate import LanguageScores, compare_scores, describe_reading, find_other_kind, score_model
from tasks.kinds.language.holdout import PASSAGE_CHARS, LanguageHoldout, cut_for_resampling, read_holdout
from tasks.kinds.language.monitor import reference_profile
from tasks.kinds.language.promotion import LanguagePromotionSettings
from tasks.promotion.comparison import find_objections
from tasks.promotion.decision import NotComparable
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import write_serving
from tasks.store import artefacts
from tasks.store.manifest import Summary
from tasks.text.vocabulary import Vocabulary

SETTINGS = LanguagePromotionSettings(resamples=1000)
ALPHABET = " abcdefghijklmnopqrstuvwxyz"


def documents(number: int, seed: int = 1) -> list[str]:
    generator = np.random.default_rng(seed)
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "ran"]
    return [" ".join(generator.choice(words, int(size))) for size in generator.integers(5, 40, number)]


def make_lineage(texts: list[str]) -> Lineage:
    def write(folder: Path) -> Summary:
        for split in ("valid", "test"):
            pl.DataFrame({"row": range(len(texts)), "text": texts}).write_parquet(folder / f"{split}.parquet")
        return Summary(rows=len(texts))

    splits = artefacts.build("split", write, module="tasks.store.artefacts", config={"texts": texts})
    return Lineage(rows=splits, splits=splits, encoded=splits, shards=splits)


def register(
    project: Path, version: str, *, tokens=tuple(ALPHABET), tokenizer="char", lowercase=False, closed=True
) -> RegisteredModel:
    """A version with a small network of these tokens, whose weights are random."""
    model = RegisteredModel(name="cats", version=version, artifact_uri="", folder=project / "registered" / version)
    model.parts.mkdir(parents=True)
    vocabulary = Vocabulary(tokenizer, lowercase, tokens)
    network = LanguageModel(
        LanguageArchitecture(hidden_size=4, embedding_size=3), vocabulary_size=vocabulary.size, seed=1
    )
    save_model(network, model.parts)
    vocabulary.save(model.parts / "vocabulary.json")
    Speller({}, 0).save(model.parts / "spelling.json")
    ServedLanguageModel.complete(model.parts, LanguageServing(name="cats", closed=closed, source={}))
    return model


def scores(version: str, nats: np.ndarray, reading: str = "whole texts") -> LanguageScores:
    texts = pl.DataFrame({"num_chars": np.full(len(nats), 100, np.uint32), "nats": nats})
    return LanguageScores(version=version, undefined=0, texts=texts, reading=reading)


HOLDOUT = LanguageHoldout(digest="d", unit="passages", texts=tuple("x" * 100 for _ in range(80)))
NOISE = np.random.default_rng(5).normal(0, 8, 80)
BEFORE = 150 + np.random.default_rng(4).normal(0, 30, 80)


def compare(nats: np.ndarray, anchor: dict | None = None, **settings: float):
    settings = LanguagePromotionSettings(resamples=1000, **settings)
    comparison = compare_scores(scores("1", BEFORE), scores("2", nats), HOLDOUT, anchor=anchor or {}, settings=settings)
    return comparison, find_objections(comparison, settings)


@pytest.mark.parametrize(("num_words", "longest"), [(20, 100), (100, 256), (2_000, 333), (40_000, PASSAGE_CHARS)])
def test_few_documents_are_compared_in_passages_that_cut_no_word(num_words, longest):
    unit, passages = cut_for_resampling(["word " * num_words, "end"])

    assert unit == "passages"
    assert longest - 5 < max(map(len, passages)) <= longest
    assert "".join(passages) == "word " * num_words + "end"
    assert all(passage.endswith("word ") for passage in passages[:-1])


def test_the_test_text_is_the_same_in_whatever_order_it_lies(project):
    texts = documents(35)

    one, other = (read_holdout(make_lineage(order)) for order in (texts, texts[::-1]))

    assert one == other
    assert (one.unit, one.rows) == ("documents", 35)
    assert read_holdout(make_lineage(texts[:-1])).digest != one.digest


def test_a_registered_model_is_scored_once_and_as_it_is_served(project, monkeypatch):
    holdout, model = read_holdout(make_lineage(documents(40))), register(project, "1")

    found = score_model(model, holdout)
    monkeypatch.setattr(ServedLanguageModel, "load", lambda _: pytest.fail("it was scored before"))

    assert score_model(model, holdout).figures == found.figures
    assert found.texts["num_chars"].sum() == sum(len(text) + 1 for text in holdout.texts)
    assert found.figures["nats_per_char"] == pytest.approx(np.log(29), rel=0.2)
    assert found.headline == f"{found.figures['nats_per_char']:.4f} nats per character"


def test_what_a_model_has_to_predict_is_named(project):
    named = [
        describe_reading(ServedLanguageModel.load(register(project, version, **told).parts))
        for version, told in {
            "1": {"closed": False},
            "2": {},
            "3": {"tokenizer": "word", "tokens": ("cat",), "lowercase": True},
        }.items()
    ]

    assert named == [
        "whole texts",
        "whole texts and their ends",
        "texts without white space and upper case and their ends",
    ]


def test_a_better_challenger_meets_no_objection():
    comparison, objections = compare(BEFORE - 4 + NOISE)

    assert comparison.gain("nats_per_char") == pytest.approx(0.04 - NOISE.mean() / 100)
    assert comparison.p_value < 0.01
    assert objections == []
    assert comparison.describe_evidence("nats_per_char").startswith("80 passages; a gain of 0.0")


def test_equal_models_are_not_told_apart():
    assert compare(BEFORE + NOISE - NOISE.mean())[0].p_value > 0.3


def test_a_gain_too_small_or_less_than_the_first_champions_is_an_objection():
    anchor = {"version": "0", "nats_per_char": 1.2, "reading": "whole texts"}

    assert compare(BEFORE - 0.1)[1] == [
        "The gain is 0.0010 nats per character, less than the minimum of 0.0020 nats per character."
    ]
    (objection,) = compare(BEFORE - 4, anchor)[1]
    assert objection.startswith("It predicts worse than version 0, the first champion on these rows: 1.")
    assert compare(BEFORE - 4, anchor | {"reading": "texts without upper case"})[1] == []


def test_a_quarter_of_the_text_that_loses_is_an_objection():
    shift = np.repeat([-10.0, -10, -10, 5], 20)

    (objection,) = compare(BEFORE + shift)[1]

    assert objection.startswith("On 20 passages (part of the text: last quarter) it has ")
    assert compare(BEFORE + shift, min_slice_rows=21)[1] == []


def test_models_that_predict_something_else_are_not_compared():
    with pytest.raises(NotComparable, match="champion v1 predicts whole texts, and v2 texts without upper case"):
        compare_scores(
            scores("1", BEFORE), scores("2", BEFORE, "texts without upper case"), HOLDOUT, anchor={}, settings=SETTINGS
        )


def test_a_champion_of_another_kind_is_named(project):
    model = register(project, "1")
    write_serving(model.parts, kind="classify", serving={}, parts=[], model="")

    assert [difference for difference, _ in find_other_kind(model, HOLDOUT)] == ["is of kind classify"]


@pytest.mark.parametrize(
    ("number", "features"), [(40, ["length", "nats_per_char", "oov_share"]), (3, ["nats_per_char", "oov_share"])]
)
def test_the_monitor_compares_with_validation_documents_or_passages(project, number, features):
    served = ServedLanguageModel.load(register(project, "1").parts)

    profile = reference_profile(served, make_lineage(documents(number)))

    assert profile.rows == number
    assert list(profile.histograms) == features
