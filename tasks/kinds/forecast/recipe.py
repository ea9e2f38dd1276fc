"""The next values of time series: the recipe, and the modules that do the stages' work."""

from typing import ClassVar, Literal

from pydantic import Field

from rnnmodels.config import Optimization
from rnnmodels.forecasters.forecast_config import ForecastArchitecture, ForecastTraining
from tasks.contract.kind import Kind, LazyModule, modules_in
from tasks.contract.recipe import Recipe
from tasks.kinds.forecast.baseline import BASELINES, ForecastBaselineSettings
from tasks.kinds.forecast.encode import ScaleSettings
from tasks.kinds.forecast.evaluate import ForecastEvaluationSettings
from tasks.kinds.forecast.fit import ForecastCandidate
from tasks.kinds.forecast.promotion import ForecastPromotionSettings
from tasks.kinds.forecast.shard import WindowSettings
from tasks.kinds.forecast.split import TimeSplitSettings
from tasks.panel.source import SeriesSource

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
    drafts=LazyModule("tasks.kinds.forecast.drafts"),
    served_model="tasks.panel.served_model",
    **modules_in("tasks.kinds.forecast"),
)
