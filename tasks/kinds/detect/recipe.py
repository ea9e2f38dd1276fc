"""Anomalous rows of time series: the recipe, and the modules that do the stages' work."""

from typing import ClassVar, Literal

from pydantic import Field

from rnnmodels.config import Optimization
from tasks.contract.kind import Kind, LazyModule, modules_in
from tasks.contract.recipe import Recipe
from tasks.kinds.detect.baseline import BASELINES, DetectionBaselineSettings
from tasks.kinds.detect.encode import LevelSettings
from tasks.kinds.detect.evaluate import DetectionEvaluationSettings
from tasks.kinds.detect.fit import DetectorCandidate
from tasks.kinds.detect.settings import DetectorArchitecture, DetectorTraining
from tasks.kinds.detect.shard import DetectionWindowSettings
from tasks.kinds.detect.source import DetectionSource
from tasks.kinds.detect.split import WarmUpSettings
from tasks.kinds.forecast.promotion import ForecastPromotionSettings

RECURRENT_DETECTORS = [
    DetectorCandidate(name="segment-gru", model=DetectorArchitecture(cell="gru")),
    DetectorCandidate(name="segment-lstm", model=DetectorArchitecture(cell="lstm")),
]


class DetectionPromotionSettings(ForecastPromotionSettings):
    """What a challenger must show on the newest test rows before it takes the champion's place."""

    metric: Literal["mae"] = Field(
        "mae", description="Deciding metric: absolute error of the forecast level (Diebold-Mariano test)."
    )
    min_slice_rows: int = Field(100, ge=1, le=10_000_000, description="Minimum rows of a channel that is checked.")
    max_slice_drop: float = Field(
        0.05, ge=0, le=100, description="Maximum relative growth of the error of any checked channel."
    )


class DetectRecipe(Recipe):
    """Which rows of time series are anomalous."""

    training: ClassVar[type[Optimization]] = DetectorTraining
    baselines: ClassVar[tuple[str, ...]] = tuple(BASELINES)

    kind: Literal["detect"] = Field(description="Problem to solve: which rows of time series are anomalous.")
    source: DetectionSource = Field(description="Which series to monitor.")
    split: WarmUpSettings = Field(WarmUpSettings(), description="Which rows a detector learns from before it judges.")
    encode: LevelSettings = Field(LevelSettings(), description="How missing numbers are filled; which calendar.")
    shard: DetectionWindowSettings = Field(
        DetectionWindowSettings(), description="How far back a forecaster looks, and how far ahead it forecasts."
    )
    candidates: list[DetectorCandidate] = Field(
        RECURRENT_DETECTORS, min_length=1, max_length=32, description="Models to fit and compare."
    )
    baseline: DetectionBaselineSettings = Field(DetectionBaselineSettings(), description="The simple models to beat.")
    evaluate: DetectionEvaluationSettings = Field(
        DetectionEvaluationSettings(), description="How detectors are scored and compared."
    )
    promotion: DetectionPromotionSettings = Field(
        DetectionPromotionSettings(), description="What a new model must show to take over."
    )


DETECT = Kind(
    name="detect",
    recipe=DetectRecipe,
    drafts=LazyModule("tasks.kinds.detect.drafts"),
    served_model="tasks.panel.served_model",
    **modules_in("tasks.kinds.detect"),
)
