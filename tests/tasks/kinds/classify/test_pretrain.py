"""What classifiers of texts start from: which texts a language model learns, and what becomes of its weights."""

import collections
import dataclasses
import json
import math
import random
import re
from pathlib import Path

import polars as pl
import pytest
import torch

from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.classifiers.naive_bayes import measure_class_ratios
from rnnmodels.config import Architecture, Training
from rnnmodels.language.language_config import LanguageArchitecture, LanguageTraining
from rnnmodels.language.language_model import LanguageModel
from rnnmodels.training.checkpoint import load_model
from tasks.contract.lineage import Lineage
from tasks.contract.summaries import FittedSummary, InitialSummary
from tasks.corpus import corpus
from tasks.encode import encode
from tasks.errors import InputError
from tasks.fit import fit
from tasks.ingest import ingest
from tasks.kinds.classify.candidate import TextCandidate
from tasks.kinds.classify.encode import EncodeSettings
from tasks.kinds.classify.fit import open_data
from tasks.kinds.classify.pretrain import PretrainSettings, measure_frequencies, plan_models
from tasks.kinds.classify.recipe import CLASSIFY, ShardSettings
from tasks.kinds.classify.source import SourceSettings
from tasks.kinds.classify.split import SplitSettings
from tasks.kinds.language.fit import LanguageCandidate
from tasks.kinds.language.recipe import LANGUAGE
from tasks.kinds.language.shard import StreamSettings
from tasks.pretrain import pretrain
from tasks.shard import shard
from tasks.split import split
from tasks.store.artefacts import Artefact

SIZES = {"cell": "gru", "hidden_size": 8, "embedding_size": 6}
WORDS = [f"word{number}" for number in range(30)]


def draw_text(generator: random.Random) -> str:
    return " ".join(generator.choices(WORDS, k=12))


def write_texts(path: Path) -> list[str]:
    """Texts of two classes with an official split, and some without a label, of which one repeats a test text."""
    generator = random.Random(3)
    rows = [
        (draw_text(generator), label, part) for part in ("train", "valid", "test") for label in "ab" for _ in range(30)
    ]
    rows += [(draw_text(generator), None, "unlabelled") for _ in range(40)]
    rows.append((rows[-50][0].upper(), None, "unlabelled"))
    pl.DataFrame(rows, schema=["text", "label", "split"], orient="row").write_csv(path)
    return [text for text, _, part in rows if part in ("valid", "test")]


@pytest.fixture
def lineage(project: Path) -> Lineage:
    """Real texts through the data stages, those without a label encoded, too."""
    write_texts(project / "texts.csv")
    rows = ingest.fn(CLASSIFY, SourceSettings(path=str(project / "texts.csv"), split_column="split"))
    splits = split.fn(CLASSIFY, rows, SplitSettings(near_duplicates=False), None)
    encoded = encode.fn(CLASSIFY, splits, EncodeSettings(unlabelled=True, min_count=1))
    return Lineage(rows=rows, splits=splits, encoded=encoded, shards=shard.fn(CLASSIFY, encoded, ShardSettings()))


@pytest.fixture
def learned(lineage: Lineage) -> Artefact:
    return corpus.fn(CLASSIFY, lineage, PretrainSettings())


def fit_language_model(learned: Artefact, name: str = "lm", *, streams: int = 4, **architecture: object) -> Artefact:
    training = LanguageTraining(epochs=1, streams=streams, bptt=16, device="cpu")
    model = LanguageArchitecture(**SIZES | architecture, tied=True)
    candidate = LanguageCandidate(name=name, model=model, training=training)
    return fit.fn(LANGUAGE, shard.fn(LANGUAGE, learned, StreamSettings()), candidate)


def test_no_validation_or_test_text_is_learned(lineage: Lineage, learned: Artefact) -> None:
    rows = pl.concat([pl.read_parquet(learned.file(f"{name}.parquet")) for name in ("train", "valid")])["row"]
    texts = pl.read_parquet(lineage.rows.file("rows.parquet")).filter(pl.col("row").is_in(rows.to_list()))["text"]
    held = pl.concat([pl.read_parquet(lineage.splits.file(f"{name}.parquet")) for name in ("valid", "test")])["text"]
    assert len(rows) == rows.n_unique() == 60 + 40
    assert not set(texts.str.to_lowercase()) & set(held.str.to_lowercase())
    assert learned.summary["kept_out"] == {"valid": 60, "test": 60, "repeats": 1}


def test_a_corpus_is_encoded_as_the_classifier_reads(lineage: Lineage, learned: Artefact) -> None:
    own = pl.read_parquet(lineage.encoded.file("train.parquet")).select("row", "tokens")
    read = pl.concat([pl.read_parquet(learned.file(f"{name}.parquet")) for name in ("train", "valid")])
    both = own.join(read.select("row", "tokens"), on="row", suffix="_read")
    assert both.height == 60
    assert (both["tokens"] == both["tokens_read"]).all()
    assert read["num_chars"].min() >= 5 * 12


def test_without_unlabelled_texts_the_training_texts_are_the_corpus(lineage: Lineage) -> None:
    encoded = encode.fn(CLASSIFY, lineage.splits, EncodeSettings(min_count=1))
    without = dataclasses.replace(lineage, encoded=encoded)

    learned = corpus.fn(CLASSIFY, without, PretrainSettings())

    assert learned.rows == 60
    assert learned.summary["warnings"] == [
        "language models do not read 40 rows without a label; set encode.unlabelled = true to learn from them"
    ]


def test_frequencies_of_tokens_cost_what_a_sum_over_them_says(learned: Artefact) -> None:
    read, held = (pl.read_parquet(learned.file(f"{name}.parquet"))["tokens"].to_list() for name in ("train", "valid"))
    assert len(held) > 1  # a single text has no end
    counts = collections.Counter(token for text in read for token in [*text, 0])
    total = sum(counts.values()) + learned.summary["vocabulary_size"]
    nats = [-math.log((counts[token] + 1) / total) for text in held for token in [*text, 0]]

    assert measure_frequencies(learned) == pytest.approx(sum(nats) / len(nats))


@pytest.mark.parametrize(("shift", "is_warned"), [(0.01, True), (-0.01, False)])
def test_a_language_model_that_learned_nothing_is_told_with_each_candidate(
    lineage: Lineage, learned: Artefact, monkeypatch: pytest.MonkeyPatch, shift: float, is_warned: bool
) -> None:
    model = fit_language_model(learned)
    loss = min(epoch["valid_loss"] for epoch in json.loads(model.file("history.json").read_bytes()))
    monkeypatch.setattr("tasks.kinds.classify.pretrain.measure_frequencies", lambda _: loss - shift)
    start = pretrain.fn(CLASSIFY, [model], learned)
    candidate = TextCandidate(name="gru", pretrained=True, model=Architecture(**SIZES), training=Training(epochs=1))

    warnings = FittedSummary.of(fit.fn(CLASSIFY, lineage.shards, candidate, initial=start)).warnings

    told = [one for one in warnings if one.startswith("lm predicts no better than the frequencies of tokens (")]
    assert len(told) == is_warned


def test_few_updates_of_a_language_model_are_told(learned: Artefact) -> None:
    start = pretrain.fn(CLASSIFY, [fit_language_model(learned, streams=64)], learned)

    assert re.match(
        r"lm: an epoch has only 2 updates, .* set pretrain.training.streams = \"auto\"",
        InitialSummary.of(start).warnings[0],
    )


def test_a_classifier_starts_from_the_weights_of_the_language_model(lineage: Lineage, learned: Artefact) -> None:
    model = fit_language_model(learned)
    start = pretrain.fn(CLASSIFY, [model], learned)
    training = Training(epochs=1, gradual_unfreezing=True, device="cpu", batch_tokens=512)
    candidate = TextCandidate(name="gru", pretrained=True, model=Architecture(**SIZES), training=training)
    fitted = fit.fn(CLASSIFY, lineage.shards, candidate, initial=start)
    weights = load_model(SequenceClassifier, fitted.path).state_dict()
    source = load_model(LanguageModel, model.path).state_dict()
    shared = [name for name in weights if name.startswith(("embedding.", "encoder."))]
    assert shared
    assert all(torch.equal(weights[name], source[name]) for name in shared)
    assert "lm" in FittedSummary.of(fitted).start
    assert "60 validation and 60 test texts and 1 that repeats one of them" in FittedSummary.of(fitted).start


def test_a_classifier_of_two_directions_starts_from_two_language_models(lineage: Lineage, learned: Artefact) -> None:
    both = [fit_language_model(learned, one, embedding_size=3, direction=one) for one in ("forward", "backward")]
    start = pretrain.fn(CLASSIFY, both, learned)
    training = Training(epochs=1, gradual_unfreezing=True, device="cpu", batch_tokens=512)
    architecture = Architecture(**SIZES, bidirectional=True)
    candidate = TextCandidate(name="gru", pretrained=True, model=architecture, training=training)
    fitted = fit.fn(CLASSIFY, lineage.shards, candidate, initial=start)
    weights = load_model(SequenceClassifier, fitted.path).state_dict()
    sources = [load_model(LanguageModel, model.path).state_dict() for model in both]
    assert torch.equal(weights["embedding.weight"], torch.cat([source["embedding.weight"] for source in sources], 1))
    for number, source in enumerate(sources):
        name = "encoder.layers.0.directions.{}.weight_hh_l0"
        assert torch.equal(weights[name.format(number)], source[name.format(0)])
    assert "forward and backward, language models of" in FittedSummary.of(fitted).start


def test_columns_set_aside_start_at_class_ratios(lineage: Lineage, learned: Artefact) -> None:
    start = pretrain.fn(CLASSIFY, [fit_language_model(learned)], learned)
    training = Training(epochs=1, gradual_unfreezing=True, device="cpu", batch_tokens=512)
    architecture = Architecture(**SIZES | {"embedding_size": 6 + 2})
    settings = {"pretrained": True, "ratio_columns": 2, "model": architecture, "training": training}
    fitted = fit.fn(CLASSIFY, lineage.shards, TextCandidate(name="gru", **settings), initial=start)
    weight = load_model(SequenceClassifier, fitted.path).embedding.weight
    texts = open_data(TextCandidate(name="gru", **settings), lineage.shards)["train"]
    ratios = measure_class_ratios(texts, vocabulary_size=len(weight), num_classes=2)
    torch.testing.assert_close(weight[:, :2], ratios)


@pytest.mark.parametrize(("size", "ratio_columns"), [(7, 0), (8, 3), (2, 2)])
def test_an_embedding_that_language_models_cannot_share_is_refused(size: int, ratio_columns: int) -> None:
    model = Architecture(bidirectional=True, embedding_size=size)
    with pytest.raises(ValueError, match=rf"embedding_size: got {size}, .* for example {128 + ratio_columns}"):
        TextCandidate(name="a", pretrained=True, ratio_columns=ratio_columns, model=model)


def test_candidates_with_equal_layers_share_a_language_model() -> None:
    def candidate(name: str, **model: object) -> TextCandidate:
        return TextCandidate(name=name, pretrained=True, model=Architecture(**{**SIZES, **model}))

    candidates = [candidate("a"), candidate("b", pooling="mean"), candidate("c", hidden_size=9), candidate("d")]
    fresh = TextCandidate(name="e", model=Architecture(**SIZES))
    plan = plan_models([*candidates, fresh], PretrainSettings(weight_dropout=0.3))
    names = {name: model["name"] for name, (model,) in plan.items()}
    assert names["a"] == names["b"] == names["d"] != names["c"]
    assert names.keys() == {"a", "b", "c", "d"}
    assert plan_models(candidates[2:3], PretrainSettings(weight_dropout=0.3))["c"][0]["name"] == names["c"]
    model = LanguageCandidate.model_validate(plan["c"][0]).model
    assert (model.hidden_size, model.weight_dropout, model.tied, model.bidirectional) == (9, 0.3, True, False)


def test_two_directions_have_a_language_model_each() -> None:
    architecture = Architecture(hidden_size=8, embedding_size=6, bidirectional=True)
    candidate = TextCandidate(name="a", pretrained=True, model=architecture)
    models = [LanguageCandidate.model_validate(one) for one in plan_models([candidate], PretrainSettings())["a"]]
    assert [(one.model.direction, one.model.embedding_size) for one in models] == [("forward", 3), ("backward", 3)]
    transformer = Architecture(cell="transformer", hidden_size=16, bidirectional=True)
    candidate = TextCandidate(name="a", pretrained=True, model=transformer)
    assert len(plan_models([candidate], PretrainSettings())["a"]) == 1


def test_texts_that_nearly_repeat_a_drawn_validation_or_test_text_are_kept_out(project: Path) -> None:
    generator = random.Random(5)
    texts = [" ".join(generator.choices(WORDS, k=30)) for _ in range(60)]
    labelled = [{"text": text, "label": "ab"[number % 2]} for number, text in enumerate(texts)]
    nearly = [{"text": f"{text} again", "split": "unlabelled"} for text in texts]
    lines = "\n".join(map(json.dumps, labelled + nearly))
    (project / "texts.jsonl").write_text(lines, encoding="utf-8")
    rows = ingest.fn(CLASSIFY, SourceSettings(path=str(project / "texts.jsonl"), split_column="split"))
    splits = split.fn(CLASSIFY, rows, SplitSettings(valid=0.2, test=0.2), None)
    held = pl.concat([pl.read_parquet(splits.file(f"{name}.parquet")) for name in ("valid", "test")])["text"]
    free = pl.read_parquet(splits.file("unlabelled.parquet"))["text"].str.strip_suffix(" again")
    assert len(held) == 24
    assert not set(free) & set(held)
    assert len(free) == 36


def test_too_few_texts_are_refused(lineage: Lineage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.kinds.classify.pretrain.LEAST_TEXTS", 1_000)
    with pytest.raises(InputError, match="E-DATA-061 found 100 training texts"):
        corpus.fn(CLASSIFY, lineage, PretrainSettings())
