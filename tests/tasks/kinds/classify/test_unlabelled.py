"""Classifiers that learn from texts without a label."""

import random
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from rnnmodels.classifiers.paired import PairedShards
from rnnmodels.config import Architecture, Training
from tasks.encode import encode
from tasks.errors import InputError
from tasks.fit import fit
from tasks.ingest import ingest
from tasks.kinds.classify.candidate import TextCandidate
from tasks.kinds.classify.encode import EncodeSettings
from tasks.kinds.classify.fit import open_data
from tasks.kinds.classify.recipe import CLASSIFY, ClassifyRecipe, ShardSettings
from tasks.kinds.classify.source import SourceSettings
from tasks.kinds.classify.split import SplitSettings
from tasks.labelled.summaries import UNLABELLED
from tasks.shard import shard
from tasks.split import split
from tasks.store.artefacts import Artefact

WORDS = [f"word{number}" for number in range(30)]
SETTINGS = {"epochs": 2, "batch_tokens": 256, "device": "cpu"}


def write_texts(path: Path, *, num_unlabelled: int) -> None:
    """Texts of two classes, each with a word of its own, and some without a label."""
    generator = random.Random(3)

    def draw(label: str) -> str:
        return " ".join([label * 2, *generator.choices(WORDS, k=8)])

    rows = [(draw(label), label, part) for part in ("train", "valid", "test") for label in "ab" for _ in range(30)]
    rows += [(draw("ab"[number % 2]), None, UNLABELLED) for number in range(num_unlabelled)]
    pl.DataFrame(rows, schema=["text", "label", "split"], orient="row").write_csv(path)


def make_shards(project: Path, *, num_unlabelled: int) -> Artefact:
    write_texts(project / "texts.csv", num_unlabelled=num_unlabelled)
    rows = ingest.fn(CLASSIFY, SourceSettings(path=str(project / "texts.csv"), split_column="split"))
    splits = split.fn(CLASSIFY, rows, SplitSettings(near_duplicates=False), None)
    encoded = encode.fn(CLASSIFY, splits, EncodeSettings(unlabelled=True, min_count=1))
    return shard.fn(CLASSIFY, encoded, ShardSettings())


def adversarial(weight: float = 1.0) -> TextCandidate:
    training = Training(adversarial_weight=weight, **SETTINGS)
    return TextCandidate(name="gru", model=Architecture(hidden_size=8, embedding_size=6), training=training)


def test_rows_without_a_label_are_read_beside_the_training_rows(project: Path) -> None:
    shards = make_shards(project, num_unlabelled=90)
    data = open_data(adversarial(), shards)
    assert isinstance(data["train"], PairedShards)
    assert data["train"].num_rows == 60
    assert data["train"].unlabelled.num_rows == 90
    assert shards.rows == 180
    assert not isinstance(open_data(adversarial(0), shards)["train"], PairedShards)

    fitted = fit.fn(CLASSIFY, shards, adversarial())
    predicted = pl.read_parquet(fitted.file("predictions.parquet"))
    assert predicted["split"].unique().sort().to_list() == ["test", "valid"]
    alone = pl.read_parquet(fit.fn(CLASSIFY, shards, adversarial(0)).file("predictions.parquet"))
    assert not predicted.equals(alone)


def test_without_such_rows_the_error_says_what_to_add(project: Path) -> None:
    shards = make_shards(project, num_unlabelled=0)
    with pytest.raises(InputError, match="no row is without a label") as caught:
        fit.fn(CLASSIFY, shards, adversarial())
    assert caught.value.code == "E-TRN-007"
    assert "training.adversarial_weight = 0" in caught.value.fix
    assert fit.fn(CLASSIFY, shards, adversarial(0)).rows == 120


def test_a_recipe_must_encode_what_its_candidates_read() -> None:
    recipe = {"name": "texts", "source": {"path": "texts.csv"}, "candidates": [adversarial().model_dump()]}
    with pytest.raises(ValidationError, match="expected true for the adversarial_weight of candidate gru"):
        ClassifyRecipe.model_validate(recipe)
    assert ClassifyRecipe.model_validate({**recipe, "encode": {"unlabelled": True}})
