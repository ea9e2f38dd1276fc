"""Rows of series that come over HTTP: how they are asked about, and how surprising each of them is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from tasks.contract.interface import Answered, FieldError, Interface
from tasks.kinds.detect.sent_memory import SeriesState, receive_memories, send_memory
from tasks.kinds.detect.served_detector import SeriesDetector
from tasks.panel.served_table import ReadTable
from tasks.prediction.asked_tables import (
    REFUSED,
    TableAnswer,
    TableCaps,
    TableQuestion,
    TableState,
    answer_tables,
    describe_columns,
    to_records,
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
    """Rows of series in the order of their times, with the columns of the training rows, the label aside.

    A series that was there in training goes on from its last row there. With `return_state` the answer holds a state
    for each series; sent along with the next rows, these are judged as if all had been sent at once.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"rows": ROWS}]})

    return_state: bool = Field(False, description="Return what must be sent along to go on from here.")
    state: list[SeriesState] = Field([], description="The `state` of an earlier answer, as it came.")

    def check(self, caps: TableCaps) -> None:
        """Raise FieldError naming what is beyond a cap."""
        super().check(caps)
        if len(self.state) > caps.max_series:
            problem = f"got {len(self.state)} states, expected at most max_series = {caps.max_series}."
            raise FieldError("state", problem, "send fewer series at once.")


class Judged(BaseModel):
    """How surprising a row is, in decades, what was expected in its place, and whether an event begins with it.

    Of several channels there are one `value.<channel>` and one `expected.<channel>` each. `status` is `judged`, `seen`
    (in training), `warm-up` or `forgotten`; rows of the last two have no surprise. Events are numbered in the answer.
    """

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [JUDGED]})

    series: str
    time: str | int
    surprise: float | None
    is_anomaly: bool | None
    alarm: bool
    event: int | None
    status: str


class JudgedAnswer(TableAnswer):
    """One entry per row, series by series, all by the version `model`; `state` only where it was asked for."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "pumps/3", "rows": [JUDGED], "refused": [REFUSED], "notes": []}]}
    )

    rows: list[Judged]
    state: list[SeriesState] | None = None


class ModelAnswer(TableState):
    """The version that answers, since when, the alias it follows, what it reads, and from which surprise on it alarms.

    `series` counts those that were there in training.
    """

    channels: list[str]
    threshold: float
    look_back: int
    horizon: int
    series: int


INTERFACE = Interface(
    purpose="Watches series",
    summary="Judge rows of series",
    description="Return how surprising each row is, and the model version that judged them.",
    items="rows",
    sample='{"rows": [{"time": "...", ...}, ...]}',
    caps=TableCaps,
    question=Question,
    answer=JudgedAnswer,
    state=ModelAnswer,
)

load_model = SeriesDetector.load


def warm_up(detector: SeriesDetector) -> bool:
    """Have a detector forecast a row; tells whether its numbers are finite."""
    from tasks.kinds.detect.forecasting import forecast_row

    shape, scaler = detector.model.shape, detector.scaler
    history_LC = np.zeros((shape.look_back, len(scaler.channels)), np.float32)
    calendar_TD = np.zeros((shape.num_steps, 2 * len(scaler.calendar)), np.float32)
    return bool(np.isfinite(forecast_row(detector.model, history_LC, calendar_TD, 0)).all())


def describe_model(detector: SeriesDetector) -> dict[str, Any]:
    """What it reads, how far it looks, from which surprise on it alarms, and how many series there were in training."""
    shape, serving = detector.model.shape, detector.serving
    return {
        "columns": describe_columns(detector),
        "channels": list(serving.channels),
        "threshold": serving.threshold,
        "look_back": shape.look_back,
        "horizon": shape.horizon,
        "series": len(serving.series),
    }


def answer_questions(
    detector: SeriesDetector, questions: Sequence[Question], caps: TableCaps, *, label: str
) -> Answered:
    """Judge the rows of each question; `label` names the version in states."""

    def answer(question: Question, read: ReadTable, told: dict[str, Any]) -> dict[str, Any]:
        memories = receive_memories(question.state, detector, label)
        answers = {"rows": to_records(detector.answer_rows(read.rows, **told, memories=memories))}
        if not question.return_state:
            return answers
        states = [send_memory(memory, series, detector, label) for series, memory in memories.items()]
        return {**answers, "state": states}

    return answer_tables(detector, questions, caps, answer)
