"""Classifiers that start from a registered language model: its weights by token, and nothing that it may not know."""

import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch

from rnnmodels.classifiers.classifier import EMBEDDING_RANGE, SequenceClassifier
from rnnmodels.config import Architecture, Training
from rnnmodels.language.language_config import LanguageArchitecture
from rnnmodels.language.language_model import LanguageModel
from rnnmodels.training.checkpoint import load_model, save_model
from tasks.contract.lineage import Lineage
from tasks.contract.summaries import FittedSummary
from tasks.encode import encode
from tasks.errors import InputError
from tasks.fit import fit
from tasks.ingest import ingest
from tasks.kinds.classify.candidate import TextCandidate
from tasks.kinds.classify.encode import EncodeSettings
from tasks.kinds.classify.pretrain import PretrainSettings, plan_models
from tasks.kinds.classify.recipe import CLASSIFY, ClassifyRecipe, ShardSettings
from tasks.kinds.classify.registered_start import find_known, write_registered_start
from tasks.kinds.classify.source import SourceSettings
from tasks.kinds.classify.split import SplitSettings
from tasks.kinds.language.served_language_model import LanguageServing, ServedLanguageModel
from tasks.registry.registered_model import RegisteredModel
from tasks.shard import shard
from tasks.split import split
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tasks.text.spelling import Speller
from tasks.text.vocabulary import Vocabulary

WORDS = [f"word{number}" for number in range(30)]
SIZES = {"cell": "gru", "hidden_size": 8, "embedding_size": 6}
CANDIDATE = TextCandidate(
    name="gru",
    pretrained=True,
    model=Architecture(**SIZES),
    training=Training(epochs=1, gradual_unfreezing=True, device="cpu", batch_tokens=512),
)


def draw_texts(number: int, seed: int) -> list[str]:
    generator = random.Random(seed)
    return [" ".join(generator.choices(WORDS, k=30)) for _ in range(number)]


@pytest.fixture
def lineage(project: Path) -> Lineage:
    """Labelled texts through the data stages."""
    texts = draw_texts(120, seed=3)
    labels = ["ab"[number % 2] for number in range(120)]
    pl.DataFrame({"text": texts, "label": labels}).write_csv(project / "texts.csv")
    rows = ingest.fn(CLASSIFY, SourceSettings(path=str(project / "texts.csv")))
    splits = split.fn(CLASSIFY, rows, SplitSettings(), None)
    encoded = encode.fn(CLASSIFY, splits, EncodeSettings(min_count=1))
    return Lineage(rows=rows, splits=splits, encoded=encoded, shards=shard.fn(CLASSIFY, encoded, ShardSettings()))


def register(
    folder: Path, *, tokens: list[str] = WORDS, tokenizer: str = "word", **architecture: object
) -> RegisteredModel:
    """A version with a small network of these tokens, whose weights are random."""
    model = RegisteredModel(name="notes", version="3", artifact_uri="", folder=folder)
    model.parts.mkdir(parents=True)
    vocabulary = Vocabulary(tokenizer, lowercase=True, tokens=tuple(tokens))
    network = LanguageModel(LanguageArchitecture(**SIZES | architecture), vocabulary_size=vocabulary.size, seed=5)
    save_model(network, model.parts)
    vocabulary.save(model.parts / "vocabulary.json")
    Speller({}, 0).save(model.parts / "spelling.json")
    ServedLanguageModel.complete(model.parts, LanguageServing(name="notes", closed=True, source={}))
    return model


def learned_from(texts: list[str]) -> Artefact:
    """A split of a language model with these texts to train on."""

    def write(folder: Path) -> Summary:
        frame = pl.DataFrame({"row": range(len(texts)), "text": texts}, schema_overrides={"row": pl.UInt32})
        for name in ("train", "valid", "test"):
            frame.write_parquet(folder / f"{name}.parquet")
        return Summary(rows=len(texts))

    return artefacts.build("split", write, module="tasks.store.artefacts", config={"texts": texts})


def start_from(
    lineage: Lineage, model: RegisteredModel, texts: list[str], candidate: TextCandidate = CANDIDATE
) -> Artefact:
    plan = plan_models([CANDIDATE], PretrainSettings(models=["notes/3"]))

    def write(folder: Path) -> Summary:
        return write_registered_start(folder, models=[model], learned=[learned_from(texts)], plan=plan, lineage=lineage)

    return artefacts.build("initial", write, module="tasks.store.artefacts", config={"texts": texts})


def test_each_token_starts_where_the_language_model_left_it(lineage: Lineage, tmp_path: Path) -> None:
    turned = WORDS[:2:-1]
    model = register(tmp_path / "registered", tokens=turned)
    start = start_from(lineage, model, draw_texts(40, seed=7))
    fitted = fit.fn(CLASSIFY, lineage.shards, CANDIDATE, initial=start)
    weight = load_model(SequenceClassifier, fitted.path).embedding.weight
    learned = load_model(LanguageModel, model.parts)
    own = Vocabulary.load(lineage.encoded.file("vocabulary.json"))
    earlier = Vocabulary.load(model.parts / "vocabulary.json")
    for number, token in enumerate(own.tokens, start=2):
        if token in turned:
            assert torch.equal(weight[number], learned.embedding.weight[2 + earlier.tokens.index(token)]), token
    assert torch.equal(
        load_model(SequenceClassifier, fitted.path).encoder.state_dict()["layers.0.directions.0.weight_hh_l0"],
        learned.encoder.state_dict()["layers.0.directions.0.weight_hh_l0"],
    )
    assert FittedSummary.of(fitted).start == (
        "notes/3, which knows 27 of 30 tokens; no validation or test text was found among those trained on"
    )


@pytest.mark.parametrize(
    "lay_out",
    [
        lambda held: [held[0].upper(), held[1].replace(" ", "  ")],
        lambda held: [f"{text} again" for text in held[:2]],
        lambda held: ["\n".join(draw_texts(50, seed=8) + held[:2])],
        lambda held: [" ".join(draw_texts(50, seed=8) + held[:2])],
        lambda held: ["\n".join([*draw_texts(50, seed=8), f"{held[0]} again", f"well {held[1]}"])],
    ],
    ids=["equal", "nearly equal", "lines of a document", "within a document", "nearly equal lines"],
)
def test_one_that_was_trained_on_a_held_text_is_refused(
    lineage: Lineage, tmp_path: Path, lay_out: Callable[[list[str]], list[str]]
) -> None:
    held = pl.read_parquet(lineage.splits.file("test.parquet"))["text"].to_list()
    texts = [*draw_texts(40, seed=7), *lay_out(held)]
    with pytest.raises(InputError, match=r"E-TRN-005 .* notes/3 was trained on 2 validation or test texts"):
        start_from(lineage, register(tmp_path / "registered"), texts)


def test_near_copies_count_where_they_do_in_the_split(lineage: Lineage) -> None:
    held = pl.read_parquet(lineage.splits.file("test.parquet"))
    words = held["text"][0].split()
    middle = len(words) // 2
    copy = " ".join([*words[: middle - 1], "other", *words[middle:]])
    texts = pl.LazyFrame({"text": [*draw_texts(10, seed=7), copy]})
    asked = held.lazy().select("row", "text")

    assert find_known(asked, texts, SplitSettings(similarity=0.5)) == [held["row"][0]]
    assert find_known(asked, texts, SplitSettings(near_duplicates=False)) == []


@pytest.mark.parametrize(
    ("held", "is_known"),
    [("  ", False), ("OK", False), ("The whole film was seen by all of us.", True), ("Fine", True)],
)
def test_what_every_book_holds_is_no_text_that_was_learned(held: str, is_known: bool) -> None:
    book = "First paragraph.\n\nOk\nthe whole film was seen by all of us.\n"
    texts = pl.LazyFrame({"text": [book, "", "fine"]})
    others = [f"text {number} of some words that nobody has read" for number in range(20)]
    rows = pl.LazyFrame({"row": range(21), "text": [*others, held]})

    assert find_known(rows, texts, SplitSettings(near_duplicates=False)) == [20] * is_known


def test_short_texts_that_a_document_lists_were_learned() -> None:
    intents = ["where is my parcel", "cancel my subscription", "talk to a person"]
    rows = pl.LazyFrame({"row": range(3), "text": intents})

    assert find_known(rows, pl.LazyFrame({"text": ["\n".join(["a list", *intents])]}), SplitSettings()) == [0, 1, 2]


def test_only_blank_texts_are_held() -> None:
    rows = pl.LazyFrame({"row": [3], "text": [" "]})
    assert find_known(rows, pl.LazyFrame({"text": ["a book\n\n"]}), SplitSettings()) == []


def test_texts_of_the_training_rows_may_be_known(lineage: Lineage, tmp_path: Path) -> None:
    trained = pl.read_parquet(lineage.splits.file("train.parquet"))["text"].to_list()
    assert start_from(lineage, register(tmp_path / "registered"), trained).path.is_dir()


def test_a_network_of_other_layers_is_refused(lineage: Lineage, tmp_path: Path) -> None:
    model = register(tmp_path / "registered", hidden_size=9)
    with pytest.raises(InputError, match=r"E-TRN-004 .* has hidden_size = 9, and the candidate needs 8") as refused:
        start_from(lineage, model, draw_texts(40, seed=7))
    assert "set model.hidden_size = 9 in the candidate" in refused.value.fix


@pytest.mark.parametrize(
    ("tokenizer", "remedy"),
    [("char", 'set encode.tokenizer = "char", or name a language model'), ("space", "name a language model")],
)
def test_other_tokens_are_refused_with_a_remedy_that_the_recipe_can_take(
    lineage: Lineage, tmp_path: Path, tokenizer: str, remedy: str
) -> None:
    model = register(tmp_path / "registered", tokenizer=tokenizer)
    with pytest.raises(
        InputError, match=rf'E-TRN-004 .*its tokenizer differs, "{tokenizer}" and not "word"'
    ) as refused:
        start_from(lineage, model, draw_texts(40, seed=7))
    assert refused.value.fix.startswith(remedy)


def test_tokens_that_it_does_not_know_start_as_without_it(lineage: Lineage, tmp_path: Path) -> None:
    start = start_from(lineage, register(tmp_path / "registered", tokens=WORDS[:20]), draw_texts(40, seed=7))
    fitted = fit.fn(CLASSIFY, lineage.shards, CANDIDATE, initial=start)
    weight = load_model(SequenceClassifier, fitted.path).embedding.weight
    tokens = Vocabulary.load(lineage.encoded.file("vocabulary.json")).tokens
    unknown = [number for number, token in enumerate(tokens, start=2) if token not in WORDS[:20]]
    assert len(unknown) == 10
    assert weight[unknown].abs().max() <= EMBEDDING_RANGE


def test_one_without_a_common_token_is_refused(lineage: Lineage, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"E-TRN-004 .* knows no token of these texts"):
        start_from(lineage, register(tmp_path / "registered", tokens=["mot", "phrase"]), draw_texts(40, seed=7))


def test_two_models_start_a_candidate_of_two_directions(lineage: Lineage, tmp_path: Path) -> None:
    forward = register(tmp_path / "forward", tokens=WORDS[:20])
    backward = register(tmp_path / "backward", tokens=WORDS[::-1], direction="backward")
    architecture = Architecture(**SIZES | {"embedding_size": 12}, bidirectional=True)
    candidate = CANDIDATE.model_copy(update={"model": architecture})
    plan = plan_models([candidate], PretrainSettings(models=["a", "b"]))
    learned = [learned_from(draw_texts(40, seed=seed)) for seed in (7, 8)]

    def write(folder: Path) -> Summary:
        models = [forward, backward]
        return write_registered_start(folder, models=models, learned=learned, plan=plan, lineage=lineage)

    start = artefacts.build("initial", write, module="tasks.store.artefacts", config={"of": "two"})
    fitted = fit.fn(CLASSIFY, lineage.shards, candidate, initial=start)
    weight = load_model(SequenceClassifier, fitted.path).embedding.weight
    tokens = Vocabulary.load(lineage.encoded.file("vocabulary.json")).tokens
    for number, token in enumerate(tokens, start=2):
        second = load_model(LanguageModel, backward.parts).embedding.weight[2 + WORDS[::-1].index(token)]
        assert torch.equal(weight[number, 6:], second), token
    with pytest.raises(InputError, match="direction") as refused:
        write_registered_start(tmp_path, models=[backward, forward], learned=learned, plan=plan, lineage=lineage)
    assert "name the forward model first" in refused.value.fix


def test_a_model_that_reads_other_tokens_is_refused(lineage: Lineage, tmp_path: Path) -> None:
    model = register(tmp_path / "registered", tokens=list("abcde"), tokenizer="char")
    with pytest.raises(InputError, match=r"E-TRN-004 .* its tokenizer differs") as refused:
        start_from(lineage, model, draw_texts(40, seed=7))
    assert 'encode.tokenizer = "char"' in refused.value.fix


def test_models_that_no_candidate_starts_from_are_refused() -> None:
    recipe = {"name": "a", "source": {"path": "a.csv"}, "pretrain": {"models": ["notes"]}}
    with pytest.raises(ValueError, match="no candidate has pretrained = true"):
        ClassifyRecipe.model_validate(recipe)
    with pytest.raises(ValueError, match="ratio_columns: got a number without pretrained"):
        TextCandidate(name="a", ratio_columns=2)


def test_a_recipe_names_a_model_for_each_direction() -> None:
    both = TextCandidate(name="both", pretrained=True, model=Architecture(bidirectional=True))
    recipe = {"name": "a", "source": {"path": "a.csv"}, "pretrain": {"models": ["notes"]}}
    with pytest.raises(ValueError, match=r"pretrain.models: got 1, expected 2: candidate both reads forward and"):
        ClassifyRecipe.model_validate({**recipe, "candidates": [both.model_dump()]})
    one_way = both.model_copy(update={"model": Architecture()})
    assert ClassifyRecipe.model_validate({**recipe, "candidates": [one_way.model_dump()]}).pretrain.models == ["notes"]
