"""Rows of series sent over HTTP: the shape of questions, and the anomaly score of each row."""

from functools import partial
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from tasks.contract.interface import with_example
from tasks.kinds.detect.sent_memory import SeriesState, receive_memories, send_memory
from tasks.kinds.detect.served_detector import SeriesDetector
from tasks.panel.served_table import ReadTable
from tasks.prediction.asked_tables import (
    TableAnswer,
    TableCaps,
    TableInterface,
    TableQuestion,
    TableState,
    answer_tables,
    describe_table,
    to_records,
    with_answer,
)

ROWS: list[JsonValue] = [
    {"pump": "p1", "time": "2026-03-04T08:00", "pressure": 4.1},
    {"pump": "p1", "time": "2026-03-04T08:30", "pressure": 9.7},
]
JUDGED: dict[str, JsonValue] = {
    **{"series": "p1", "time": "2026-03-04T08:30:00", "value": 9.7, "expected": 4.2, "surprise": 12.1},
    **{"is_anomaly": True, "alarm": True, "event": 1, "status": "judged"},
}


class Question(TableQuestion):
    """Rows of series in the order of their times, with the columns of the training rows except the label.

    A series that was in training continues from its last row there. With `return_state` the answer holds a state for
    each series; if it is sent with the next rows, these are judged as if all had been sent at once.
    """

    model_config = with_example({"rows": ROWS})

    return_state: bool = Field(False, description="Return the states with which the next request continues from here.")
    state: list[SeriesState] = Field([], description="The `state` of an earlier answer, unchanged.")

    def check(self, caps: TableCaps) -> None:
        """Raise RequestError naming what is over a cap."""
        super().check(caps)
        caps.check("max_series", len(self.state), "states", place="state", fix="send fewer series per request.")


class Judged(BaseModel):
    """A row's anomaly score `surprise` (-log10 of its probability), the expected value, and whether an event begins.

    With several channels there are `value.<channel>` and `expected.<channel>` for each. `status` is `judged`, `seen`
    (in training), `warm-up` or `forgotten`; rows of the last two have no score. Events are numbered within the answer.
    """

    model_config = ConfigDict(extra="allow") | with_example(JUDGED)

    series: str
    time: str | int
    surprise: float | None
    is_anomaly: bool | None
    alarm: bool
    event: int | None
    status: str


class JudgedAnswer(TableAnswer):
    """One entry per row, series by series, all by the version `model`; `state` only if it was requested."""

    model_config = with_answer("rows", JUDGED)

    rows: list[Judged]
    state: list[SeriesState] | None = None


class ModelAnswer(TableState):
    """The version that answers, since when, the alias it follows, what it reads, and the score from which it alarms.

    `series` counts those that were in training.
    """

    threshold: float
    look_back: int
    horizon: int
    series: int


INTERFACE = TableInterface(
    purpose="Watches series",
    summary="Judge rows of series",
    description="Return the anomaly score of each row, and the model version that judged them.",
    question=Question,
    answer=JudgedAnswer,
    state=ModelAnswer,
)

load_model = SeriesDetector.load


def warm_up(detector: SeriesDetector) -> bool:
    """Have a detector forecast a row; returns whether its numbers are finite."""
    from tasks.kinds.detect.forecasting import forecast_row

    shape, scaler = detector.model.shape, detector.scaler
    history_LC = np.zeros((shape.look_back, len(scaler.channels)), np.float32)
    calendar_TD = np.zeros((shape.num_steps, 2 * len(scaler.calendar)), np.float32)
    return bool(np.isfinite(forecast_row(detector.model, history_LC, calendar_TD, 0)).all())


def describe_model(detector: SeriesDetector) -> dict[str, Any]:
    """What it reads, how far it looks, the score from which it alarms, and how many series were in training."""
    shape, serving = detector.model.shape, detector.serving
    return {
        **describe_table(detector, serving.channels),
        "threshold": serving.threshold,
        "look_back": shape.look_back,
        "horizon": shape.horizon,
        "series": len(serving.series),
    }


def answer(
    detector: SeriesDetector, question: Question, read: ReadTable, options: dict[str, Any], label: str
) -> dict[str, Any]:
    """Judge the rows of a question; `label` names the version in states."""
    memories = receive_memories(question.state, detector, label)
    answers = {"rows": to_records(detector.answer_rows(read.rows, **options, memories=memories))}
    if not question.return_state:
        return answers
    states = [send_memory(memory, series, detector, label) for series, memory in memories.items()]
    return {**answers, "state": states}


answer_questions = partial(answer_tables, answer=answer)
