"""Classifiers as candidates: their network, the shards they read, the predictions they leave."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from pydantic import Field

from rnnmodels.config import Architecture, Training
from tasks.contract.candidate import Candidate
from tasks.contract.initial import describe_start, open_initial
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact

if TYPE_CHECKING:
    from rnnmodels.classifiers.batches import Shards
    from rnnmodels.classifiers.classifier import AnyClassifier, SequenceClassifier


class ClassifierCandidate(Candidate):
    """A classifier to train, and how."""

    model: Architecture = Field(Architecture(), description="The network.")
    training: Training = Field(Training(), description="How it is fitted.")


def open_data(candidate: Candidate, shards: Artefact) -> "dict[str, Shards]":  # noqa: ARG001 (all read alike)
    """Open what a candidate is trained and scored on."""
    return open_shards_of(shards)


def open_shards_of(shards: Artefact) -> "dict[str, Shards]":
    """Memory-map the verified shards of each split."""
    from rnnmodels.classifiers.batches import open_shards

    paths: dict[str, list[Path]] = {}
    for entry in read_layout(shards)["files"]:
        paths.setdefault(entry["split"], []).append(shards.file(entry["file"]))
    return {split: open_shards(files) for split, files in paths.items()}


def create_model(
    candidate: ClassifierCandidate, data: "dict[str, Shards]", shards: Artefact, initial: Artefact | None = None
) -> "SequenceClassifier":
    """Make the candidate's network with its initial weights, a function of seed, training rows and `initial`."""
    model = make_classifier(candidate, data["train"], read_layout(shards))
    if initial is not None:
        _start_from_champion(model, candidate, initial)
    return model


def make_classifier(candidate: ClassifierCandidate, train: "Shards", layout: dict) -> "SequenceClassifier":
    """Make a network for the sizes of a layout, with what the training rows say of each token."""
    from rnnmodels.classifiers.classifier import SequenceClassifier
    from rnnmodels.classifiers.naive_bayes import start_from_class_ratios

    model = SequenceClassifier(
        candidate.model,
        vocabulary_size=layout["vocabulary_size"],
        num_classes=layout["num_classes"],
        seed=candidate.training.seed,
    )
    if candidate.training.class_ratio_scale:
        start_from_class_ratios(model, train, scale=candidate.training.class_ratio_scale)
    if model.ngrams is not None:
        model.ngrams.learn(train)
    return model


def finish_model(
    folder: Path, model: "AnyClassifier", data: "dict[str, Shards]", candidate: Candidate
) -> dict[str, int]:
    """Store what the model makes of the rows kept back: `predictions.parquet` (split, row, target, logits)."""
    predictions = predict_splits(model, data, batch_steps=candidate.training.batch_size)
    predictions.write_parquet(folder / "predictions.parquet")
    return {"rows": predictions.height}


def predict_splits(model: "AnyClassifier", data: "dict[str, Shards]", *, batch_steps: int) -> pl.DataFrame:
    """Score the validation and test rows: columns split, row, target, logits."""
    from rnnmodels.classifiers.inference import predict_shards

    scored = {name: predict_shards(model, data[name], batch_steps=batch_steps) for name in ("valid", "test")}
    return pl.concat(
        pl.DataFrame(
            {
                "split": [name] * len(predictions.row),
                "row": predictions.row.astype("uint32"),
                "target": predictions.target.astype("uint16"),
                "logits": pl.Series(predictions.logits).arr.to_list(),
            }
        )
        for name, predictions in scored.items()
    )


def read_layout(shards: Artefact) -> dict:
    """Read what the shards hold, and the sizes that a model needs to read them."""
    return json.loads(shards.file("shards.json").read_bytes())


def _start_from_champion(model: "SequenceClassifier", candidate: ClassifierCandidate, initial: Artefact) -> None:
    from rnnmodels.classifiers.warm_start import start_from

    folder, ids = open_initial(initial)
    difference = start_from(model, folder, token_ids=ids["tokens"], class_ids=ids["classes"])
    emit(Progress("fit", candidate.name, note=describe_start(difference)))
