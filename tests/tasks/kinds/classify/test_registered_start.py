"""Classifiers that start from a registered language model: its weights by token, and nothing that it may not know."""

import random
from pathlib import Path

import polars as pl
import pytest
import torch

from rnnmodels.classifiers.classifier import SequenceClassifier
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
from tasks.kinds.classify.registered_start import write_registered_start
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
    assert FittedSummary.of(fitted).start == "notes/3, which knows 29 of 32 tokens and no validation or test text"


@pytest.mark.parametrize("change", [str.upper, lambda text: f"{text} again"])
def test_one_that_has_learned_a_held_text_is_refused(lineage: Lineage, tmp_path: Path, change) -> None:
    held = pl.read_parquet(lineage.splits.file("test.parquet"))["text"].to_list()
    model = register(tmp_path / "registered")
    texts = [*draw_texts(40, seed=7), change(held[0]), change(held[1])]
    with pytest.raises(InputError, match=r"E-TRN-005 .* notes/3 has learned 2 validation or test texts"):
        start_from(lineage, model, texts)


def test_texts_of_the_training_rows_may_be_known(lineage: Lineage, tmp_path: Path) -> None:
    trained = pl.read_parquet(lineage.splits.file("train.parquet"))["text"].to_list()
    assert start_from(lineage, register(tmp_path / "registered"), trained).path.is_dir()


def test_a_network_of_other_layers_is_refused(lineage: Lineage, tmp_path: Path) -> None:
    model = register(tmp_path / "registered", hidden_size=9)
    with pytest.raises(InputError, match=r"E-TRN-004 .* has hidden_size = 9, and the candidate needs 8") as refused:
        start_from(lineage, model, draw_texts(40, seed=7))
    assert 'cell = "gru", hidden_size = 9, num_layers = 1, embedding_size = 6' in refused.value.fix


def test_a_model_that_reads_other_tokens_is_refused(lineage: Lineage, tmp_path: Path) -> None:
    model = register(tmp_path / "registered", tokens=list("abcde"), tokenizer="char")
    with pytest.raises(InputError, match=r"E-TRN-004 .* of the tokenizer char") as refused:
        start_from(lineage, model, draw_texts(40, seed=7))
    assert 'encode.tokenizer = "char"' in refused.value.fix


def test_a_classifier_is_no_language_model(lineage: Lineage, tmp_path: Path) -> None:
    model = register(tmp_path / "registered")
    serving = model.parts / "serving.json"
    serving.write_text(serving.read_text().replace('"kind": "language"', '"kind": "classify"'))
    with pytest.raises(InputError, match=r"E-TRN-004 notes/3 is a model of the kind classify"):
        start_from(lineage, model, draw_texts(40, seed=7))


def test_a_recipe_names_a_model_for_each_direction() -> None:
    both = TextCandidate(name="both", pretrained=True, model=Architecture(bidirectional=True))
    recipe = {"name": "a", "source": {"path": "a.csv"}, "pretrain": {"models": ["notes"]}}
    with pytest.raises(ValueError, match=r"pretrain.models: got 1, expected 2: candidate both reads forward and"):
        ClassifyRecipe.model_validate({**recipe, "candidates": [both.model_dump()]})
    one_way = both.model_copy(update={"model": Architecture()})
    assert ClassifyRecipe.model_validate({**recipe, "candidates": [one_way.model_dump()]}).pretrain.models == ["notes"]
