"""Test rows are known by their content, and each model answers them once."""

import dataclasses

import polars as pl
import pytest

from tasks.contract.lineage import Lineage
from tasks.kinds.classify.classifier import TextClassifier
from tasks.kinds.classify.gate import GATE
from tasks.promotion import named_models
from tasks.store import artefacts
from tasks.store.manifest import Summary


def lineage_of(frame, key):
    def write(folder):
        frame.write_parquet(folder / "test.parquet")
        return Summary.model_validate({"rows": frame.height, "splits": {"test": frame.height}, "labels": ["x", "y"]})

    splits = artefacts.build("split", write, module="tasks.store.artefacts", config={"key": key})
    return Lineage(rows=splits, splits=splits, encoded=splits, shards=splits)


def test_test_rows_are_the_same_whatever_their_order_and_numbers():
    rows = pl.DataFrame({"row": [1, 2, 3], "text": ["b", "a", "c"], "label": ["x", "y", "x"]})
    shuffled = rows.sample(fraction=1, shuffle=True, seed=3).with_columns(row=pl.col("row") + 100)
    relabelled = rows.with_columns(label=pl.Series(["x", "x", "x"]))

    first, second, other = (
        GATE.read_holdout(lineage_of(frame, key)) for key, frame in enumerate([rows, shuffled, relabelled])
    )

    assert first.digest == second.digest != other.digest
    assert (first.questions, first.labels.to_list()) == (["a", "b", "c"], ["y", "x", "x"])


def test_a_model_answers_the_same_rows_once(rivals, reviews, monkeypatch):
    holdout = GATE.read_holdout(reviews[0])
    scores = GATE.score_model(named_models.resolve_whole_model("reviews/2"), holdout)
    monkeypatch.setattr(TextClassifier, "load", lambda folder: pytest.fail("scored twice"))

    again = GATE.score_model(named_models.resolve_whole_model("reviews/2"), holdout)

    assert (again.hits == scores.hits).all()
    assert scores.figures["loss"] > 0
    assert (again.version, again.undefined, holdout.rows) == ("2", 0, 40)
    with pytest.raises(pytest.fail.Exception, match="scored twice"):
        GATE.score_model(named_models.resolve_whole_model("reviews/2"), dataclasses.replace(holdout, digest="other"))
