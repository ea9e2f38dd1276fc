"""Sequences of numbers sent over HTTP: the shapes of questions and answers."""

from functools import partial
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel, JsonValue

from tasks.contract.interface import with_example
from tasks.kinds.classify_series.classifier import SEQUENCE, SequenceLabeller
from tasks.labelled.labeller import ReadRows
from tasks.labelled.serve import describe_labeller
from tasks.panel.served_table import ReadTable
from tasks.prediction.asked_tables import (
    TableAnswer,
    TableInterface,
    TableQuestion,
    TableState,
    answer_tables,
    describe_table,
    to_records,
    with_answer,
)

ROWS: list[JsonValue] = [
    {"recording": "r1", "step": 0, "pitch": 0.21, "energy": 1.7},
    {"recording": "r1", "step": 1, "pitch": 0.24, "energy": 1.9},
]
PREDICTION: dict[str, JsonValue] = {"sequence": "r1", "label": "up", "probabilities": {"down": 0.03, "up": 0.97}}


class Question(TableQuestion):
    """Sequences, a row per sequence and step, with the columns of the training rows except the label."""

    model_config = with_example({"rows": ROWS})


class Prediction(BaseModel):
    """The most probable label of a sequence and the probability of every label."""

    model_config = with_example(PREDICTION)

    sequence: str
    label: str
    probabilities: dict[str, float]


class PredictAnswer(TableAnswer):
    """One prediction per sequence, in the order in which they first appear, all by the version `model`."""

    model_config = with_answer("predictions", PREDICTION)

    predictions: list[Prediction]


class ModelAnswer(TableState):
    """The version that answers, since when, the alias it follows, its channels and labels, and how it cuts."""

    labels: list[str]
    max_length: int
    keep: str


INTERFACE = TableInterface(
    purpose="Classifies sequences of numbers",
    summary="Classify sequences",
    description="Return a prediction per sequence, and the model version that made them.",
    question=Question,
    answer=PredictAnswer,
    state=ModelAnswer,
)

load_model = SequenceLabeller.load


def warm_up(labeller: SequenceLabeller) -> bool:
    """Have a classifier answer once; returns whether its probabilities are finite."""
    read = ReadRows(sequences=[np.zeros((1, len(labeller.channels)), np.float32)], values={})
    return bool(np.isfinite(labeller.score(read)).all())


def describe_model(labeller: SequenceLabeller) -> dict[str, Any]:
    """What it reads, its labels, and how sequences are cut."""
    return {
        **describe_table(labeller, labeller.channels),
        **describe_labeller(labeller),
    }


def answer(
    labeller: SequenceLabeller, _question: Question, read: ReadTable, options: dict[str, Any], _label: str
) -> dict[str, Any]:
    """Label the sequences of a question."""
    probabilities = pl.struct(pl.col(f"probability_{name}").alias(name) for name in labeller.labels)
    answers = labeller.answer_window(read.rows, read.settings, **options)
    return {"predictions": to_records(answers.select(SEQUENCE, "label", probabilities=probabilities))}


answer_questions = partial(answer_tables, answer=answer)
