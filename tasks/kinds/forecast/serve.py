"""Histories sent over HTTP: the shape of questions, and the forecasts."""

from functools import partial
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, JsonValue

from tasks.contract.interface import with_example
from tasks.kinds.forecast.forecaster import SeriesForecaster
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
    {"shop": "a", "time": "2026-01-01", "sales": 31.0},
    {"shop": "a", "time": "2026-01-02", "sales": 28.5},
]
FORECAST: dict[str, JsonValue] = {
    **{"series": "a", "time": "2026-01-03T00:00:00", "step": 1, "channel": "sales"},
    **{"forecast": 29.2, "q0.1": 24.9, "q0.5": 29.1, "q0.9": 33.8},
}


class Question(TableQuestion):
    """The history of series, a row per series and step, with the columns of the training rows.

    Rows after the last value of a series hold covariates that are known in advance.
    """

    model_config = with_example({"rows": ROWS})


class Forecast(BaseModel):
    """The forecast of a channel of a series, `step` steps after its last row; quantiles are named as in `q0.1`."""

    model_config = ConfigDict(extra="allow") | with_example(FORECAST)

    series: str
    time: str | int
    step: int
    channel: str
    forecast: float | None


class ForecastAnswer(TableAnswer):
    """The steps ahead of each series, all by the version `model`."""

    model_config = with_answer("forecasts", FORECAST)

    forecasts: list[Forecast]


class ModelAnswer(TableState):
    """The version that answers, since when, the alias it follows, and what it reads and forecasts."""

    covariates: list[str]
    frequency: str
    look_back: int
    horizon: int
    quantiles: list[float]


INTERFACE = TableInterface(
    purpose="Forecasts series",
    summary="Forecast series",
    description="Return the steps that follow the history of each series, and the model version that forecast them.",
    question=Question,
    answer=ForecastAnswer,
    state=ModelAnswer,
)

load_model = SeriesForecaster.load


def warm_up(forecaster: SeriesForecaster) -> bool:
    """Have a forecaster answer once; returns whether its numbers are finite."""
    from rnnmodels.forecasters.forecasts import forecast_arrays

    shape = forecaster.model.shape
    history_BLC = np.zeros((1, shape.look_back, shape.num_channels), np.float32)
    covariates_BTD = np.zeros((1, shape.num_steps, len(forecaster.scaler.covariates)), np.float32)
    return bool(np.isfinite(forecast_arrays(forecaster.model, history_BLC, covariates_BTD)).all())


def describe_model(forecaster: SeriesForecaster) -> dict[str, Any]:
    """What it reads, how far it looks back and ahead, and its quantiles."""
    shape, serving = forecaster.model.shape, forecaster.serving
    return {
        **describe_table(forecaster, serving.channels),
        "covariates": list(serving.covariates),
        "frequency": forecaster.grid.frequency,
        "look_back": shape.look_back,
        "horizon": shape.horizon,
        "quantiles": list(serving.levels),
    }


def answer(
    forecaster: SeriesForecaster, _question: Question, read: ReadTable, options: dict[str, Any], _label: str
) -> dict[str, Any]:
    """Forecast the series of a question."""
    return {"forecasts": to_records(forecaster.answer_window(read.rows, read.settings, **options))}


answer_questions = partial(answer_tables, answer=answer)
