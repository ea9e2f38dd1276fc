"""The next values of time series: the recipe, and the modules that do the stages' work."""

from typing import ClassVar, Literal

from pydantic import Field

from rnnmodels.config import Optimization
from rnnmodels.forecasters.forecast_config import ForecastArchitecture, ForecastTraining
from tasks.contract.kind import Kind, LazyModule
from tasks.contract.recipe import Recipe
from tasks.series.baselines import BASELINES, ForecastBaselineSettings
from tasks.series.evaluating import ForecastEvaluationSettings
from tasks.series.modelling import ForecastCandidate
from tasks.series.promotion import ForecastPromotionSettings
from tasks.series.scaling import ScaleSettings
from tasks.series.segments import WindowSettings
from tasks.series.source import SeriesSource
from tasks.series.splitting import TimeSplitSettings

RECURRENT_FORECASTERS = [
    ForecastCandidate(name="segment-gru", model=ForecastArchitecture(cell="gru")),
    ForecastCandidate(name="direct-lstm", model=ForecastArchitecture(cell="lstm", decoder="direct")),
]


class ForecastRecipe(Recipe):
    """The next values of time series."""

    training: ClassVar[type[Optimization]] = ForecastTraining
    baselines: ClassVar[tuple[str, ...]] = tuple(BASELINES)

    kind: Literal["forecast"] = Field(description="Problem to solve: the next values of time series.")
    source: SeriesSource = Field(description="Which series to read.")
    split: TimeSplitSettings = Field(TimeSplitSettings(), description="At which times the series are cut.")
    encode: ScaleSettings = Field(ScaleSettings(), description="How values are scaled and which calendar is added.")
    shard: WindowSettings = Field(WindowSettings(), description="How far windows look back and ahead.")
    candidates: list[ForecastCandidate] = Field(
        RECURRENT_FORECASTERS, min_length=1, max_length=32, description="Models to fit and compare."
    )
    baseline: ForecastBaselineSettings = Field(ForecastBaselineSettings(), description="The simple models to beat.")
    evaluate: ForecastEvaluationSettings = Field(
        ForecastEvaluationSettings(), description="How forecasts are scored and compared."
    )
    promotion: ForecastPromotionSettings = Field(
        ForecastPromotionSettings(), description="What a new model must show to take over."
    )


FORECAST = Kind(
    name="forecast",
    recipe=ForecastRecipe,
    ingest=LazyModule("tasks.series.reading"),
    split=LazyModule("tasks.series.splitting"),
    encode=LazyModule("tasks.series.scaling"),
    shard=LazyModule("tasks.series.segments"),
    fit=LazyModule("tasks.series.modelling"),
    baseline=LazyModule("tasks.series.baselines"),
    evaluate=LazyModule("tasks.series.evaluating"),
    register=LazyModule("tasks.series.registration"),
    gate=LazyModule("tasks.series.judging"),
    report=LazyModule("tasks.series.presenting"),
    predict=LazyModule("tasks.series.predicting"),
    served_model="tasks.series.served_model",
)
