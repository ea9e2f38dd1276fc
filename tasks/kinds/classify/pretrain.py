"""What classifiers of texts start from: language models of the training texts and of those without a label.

Validation and test texts, and whatever repeats one of them exactly or nearly, have been taken out by the split.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from rnnmodels.config import Settings
from rnnmodels.language.language_config import LanguageTraining
from tasks.contract.initial import MATCHED, WEIGHTS
from tasks.contract.lineage import Lineage
from tasks.contract.summaries import FittedSummary, InitialSummary
from tasks.errors import InputError, plural
from tasks.kinds.classify.candidate import FOLDERS, LANGUAGE_MODELS, TextCandidate
from tasks.kinds.classify.registered_start import write_registered_start
from tasks.labelled.summaries import UNLABELLED, EncodedSummary, LabelledSplitSummary
from tasks.store.artefacts import Artefact
from tasks.store.fingerprint import digest_of
from tasks.store.manifest import Summary
from tasks.text.vocabulary import BOUNDARY_ID, Vocabulary

__all__ = ["PretrainSettings", "plan_models", "write_corpus", "write_registered_start", "write_start"]

# Texts that choose the epoch of a language model; more of them would choose no better.
MOST_HELD = 500
LEAST_TEXTS = 20
DROPOUTS = {"embedding_dropout", "locked_dropout", "output_dropout", "weight_dropout"}


class CorpusSummary(Summary):
    """The texts of a language model: tokens by split, and how many rows were kept out, `repeats` of held ones too."""

    num_tokens: dict[str, int]
    kept_out: dict[str, int]


class PretrainTraining(LanguageTraining):
    """How a language model is fitted whose layers a classifier takes over: in one epoch of short chunks."""

    epochs: int = Field(1, ge=1, le=1000, description="Maximum number of epochs.")
    learning_rate: float = Field(4e-3, gt=0, le=10, description="Peak learning rate of AdamW.")
    warmup_share: float = Field(0.1, gt=0, lt=1, description="Share of the one-cycle schedule spent rising.")
    bptt: int = Field(64, ge=1, le=65_536, description="Tokens of a chunk, through which gradients flow back.")
    sampled_tokens: int = Field(
        1024,
        ge=0,
        le=1_000_000,
        description="Tokens drawn per chunk for a sampled softmax; 0 for the whole vocabulary.",
    )


class PretrainSettings(Settings):
    """How the language models are fitted that candidates with `pretrained` start from, or which registered ones are."""

    models: list[str] = Field(
        [],
        max_length=2,
        description="Registered language models to start from, NAME or NAME/VERSION, instead of fitting any: a forward "
        "one, and for bidirectional candidates a backward one, too.",
    )
    held_share: float = Field(
        0.02, gt=0, le=0.5, description="Share of the texts, at most 500, held out to choose the epoch."
    )
    tied: bool = Field(True, description="The language model's softmax shares the embedding's weights.")
    embedding_dropout: float = Field(0.0, ge=0, lt=1, description="Share of vocabulary entries dropped per batch.")
    locked_dropout: float = Field(0.1, ge=0, lt=1, description="Locked dropout at the input of each layer.")
    output_dropout: float = Field(0.1, ge=0, lt=1, description="Locked dropout before the softmax.")
    weight_dropout: float = Field(0.0, ge=0, lt=1, description="Share of recurrent weights dropped per batch.")
    training: PretrainTraining = Field(PretrainTraining(), description="How it is fitted.")


def plan_models(candidates: Sequence[TextCandidate], settings: PretrainSettings) -> dict[str, list[dict[str, Any]]]:
    """Which language models each candidate starts from, as a recipe would say them; equal layers share them.

    Their names tell their layers, so that the order of candidates changes nothing.
    """
    own = settings.model_dump(include=DROPOUTS | {"tied"})
    training = settings.training.model_dump()
    return {
        candidate.name: [
            {"name": f"language-model-{digest_of(layers | own)[:8]}", "model": layers | own, "training": training}
            for layers in _layers_by_direction(candidate)
        ]
        for candidate in candidates
        if candidate.pretrained
    }


def write_corpus(folder: Path, *, lineage: Lineage, settings: PretrainSettings) -> CorpusSummary:
    """Write the texts as a language model reads them, encoded; those held for validation are drawn by their rows.

    Raises InputError (E-DATA-061) where there are too few.
    """
    encoded = lineage.encoded
    shuffled = _gather_texts(lineage).sort(pl.col("row").hash(seed=1), "row").collect()
    if shuffled.height < LEAST_TEXTS:
        raise InputError(
            "E-DATA-061",
            f"found {plural(shuffled.height, 'training text')} to learn a language model from, expected at least "
            f"{LEAST_TEXTS}.",
            fix="add texts, with or without a label, or leave out pretrained = true.",
        )
    num_held = max(1, min(MOST_HELD, int(settings.held_share * shuffled.height)))
    held = shuffled.head(num_held)
    parts = {"train": shuffled.tail(-num_held), "valid": held, "test": held}
    for name, part in parts.items():
        part.write_parquet(folder / f"{name}.parquet", compression="lz4")
    shutil.copyfile(encoded.file("vocabulary.json"), folder / "vocabulary.json")
    tokens, chars = pl.col("tokens").list.len().cast(pl.UInt64).sum(), pl.col("num_chars").cast(pl.UInt64).sum()
    return CorpusSummary(
        rows=shuffled.height,
        tokenizer=Vocabulary.load(encoded.file("vocabulary.json")).tokenizer,
        vocabulary_size=EncodedSummary.of(encoded).vocabulary_size,
        num_tokens={name: part.select(tokens).item() for name, part in parts.items()},
        num_chars={name: part.select(chars).item() for name, part in parts.items()},
        oov_share={},
        kept_out=count_kept_out(lineage.splits),
        warnings=find_unread(lineage),
    )


def find_unread(lineage: Lineage) -> list[str]:
    """Warn of rows without a label that are not encoded, and so not read."""
    num_unlabelled = LabelledSplitSummary.of(lineage.splits).splits.get(UNLABELLED, 0)
    if not num_unlabelled or _reads_unlabelled(lineage):
        return []
    unread = plural(num_unlabelled, "row")
    return [f"language models do not read {unread} without a label; set encode.unlabelled = true to learn from them"]


def count_kept_out(splits: Artefact) -> dict[str, int]:
    """How many validation and test rows a corpus does without, and how many others that repeat one of them."""
    counts = {name: LabelledSplitSummary.of(splits).splits.get(name, 0) for name in ("valid", "test")}
    held = pl.concat([pl.scan_parquet(splits.file(f"{name}.parquet")).select("row") for name in counts])
    dropped = pl.scan_parquet(splits.file("dropped.parquet"))
    repeats = dropped.join(held, left_on="of_row", right_on="row", how="semi").select(pl.len())
    return counts | {"repeats": repeats.collect().item()}


def write_start(folder: Path, *, models: Sequence[Artefact], corpus: Artefact) -> InitialSummary:
    """Take fitted language models as what classifiers start from; their token ids are the classifiers'."""
    for model, place in zip(models, FOLDERS, strict=False):
        folder.joinpath(place).mkdir(exist_ok=True)
        for name in WEIGHTS:
            shutil.copyfile(model.file(name), folder / place / name)
    names = [FittedSummary.of(model).name for model in models]
    (folder / MATCHED).write_text(json.dumps({LANGUAGE_MODELS: names}), encoding="utf-8")
    read = CorpusSummary.of(corpus)
    warnings = [*read.warnings, *find_untaught(models, corpus)]
    return InitialSummary(rows=corpus.rows, start=describe_start(names, read), warnings=warnings)


def find_untaught(models: Sequence[Artefact], corpus: Artefact) -> list[str]:
    """What was said of the fits of language models, and which of them know no more than how frequent tokens are."""
    warnings = [
        f"{FittedSummary.of(model).name}: {warning.replace('set training.', 'set pretrain.training.')}"
        for model in models
        for warning in FittedSummary.of(model).warnings
    ]
    by_frequency = measure_frequencies(corpus)
    for model in models:
        history = json.loads(model.file("history.json").read_bytes())
        loss = min(epoch["valid_loss"] for epoch in history)
        if loss >= by_frequency:
            warnings.append(
                f"{FittedSummary.of(model).name} predicts no better than the frequencies of tokens ({loss:.2f} against "
                f"{by_frequency:.2f} nats per token), so that starting from it gains nothing; raise "
                "pretrain.training.epochs, add texts, or leave out pretrained = true"
            )
    return warnings


def measure_frequencies(corpus: Artefact) -> float:
    """Nats per token of the held texts, their ends included, by how frequent tokens are in the others."""
    size = Vocabulary.load(corpus.file("vocabulary.json")).size
    learned, held = (_count_tokens(corpus.file(f"{name}.parquet"), size) for name in ("train", "valid"))
    shares = (learned + 1) / (learned + 1).sum()
    return float(-(held * np.log(shares)).sum() / held.sum())


def describe_start(names: Sequence[str], read: CorpusSummary) -> str:
    """Say what language models have learned from, and what was kept from them."""
    kept, models = read.kept_out, "a language model" if len(names) == 1 else "language models"
    repeats = f"{kept['repeats']:,} that {'repeats' if kept['repeats'] == 1 else 'repeat'} one of them"
    return (
        f"{' and '.join(names)}, {models} of {read.rows:,} texts ({read.num_tokens['train']:,} tokens), without the "
        f"{kept['valid']:,} validation and {kept['test']:,} test texts and {repeats}"
    )


def _layers_by_direction(candidate: TextCandidate) -> list[dict[str, Any]]:
    """The settings of the layers that a classifier has in common with its language models, one for each of these."""
    from rnnmodels.language.language_config import LanguageArchitecture

    shared = set(LanguageArchitecture.model_fields) & set(type(candidate.model).model_fields)
    layers = candidate.model.model_dump(include=shared - DROPOUTS - {"bidirectional"})
    return [layers | {"embedding_size": candidate.pretrained_size, "direction": one} for one in candidate.directions]


def _count_tokens(path: Path, vocabulary_size: int) -> np.ndarray:
    """How often each token occurs in the texts of a file; of several, each ends with a boundary [vocabulary]."""
    tokens = pl.read_parquet(path, columns=["tokens"])["tokens"]
    counts = np.bincount(tokens.explode().drop_nulls().to_numpy(), minlength=vocabulary_size)
    counts[BOUNDARY_ID] += len(tokens) if len(tokens) > 1 else 0
    return counts


def _reads_unlabelled(lineage: Lineage) -> bool:
    return lineage.encoded.path.joinpath(f"{UNLABELLED}.parquet").exists()


def _gather_texts(lineage: Lineage) -> pl.LazyFrame:
    """Row, tokens and characters of training and unlabelled texts."""
    names = ["train", UNLABELLED] if _reads_unlabelled(lineage) else ["train"]
    tokens = [pl.scan_parquet(lineage.encoded.file(f"{name}.parquet")).select("row", "tokens") for name in names]
    texts = [pl.scan_parquet(lineage.splits.file(f"{name}.parquet")).select("row", "text") for name in names]
    num_chars = pl.col("text").str.len_chars().alias("num_chars")
    joined = pl.concat(tokens).join(pl.concat(texts), on="row", how="left", validate="1:1")
    return joined.select("row", "tokens", num_chars, spelling_nats=pl.lit(0.0))
