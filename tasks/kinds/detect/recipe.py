"""Anomalous rows of time series: the recipe, and the modules that do the stages' work."""

from typing import ClassVar, Literal

from pydantic import Field

from rnnmodels.config import Optimization
from tasks.contract.kind import Kind, LazyModule
from tasks.contract.recipe import Recipe
from tasks.kinds.detect.baseline import BASELINES, DetectionBaselineSettings
from tasks.kinds.detect.encode import LevelSettings
from tasks.kinds.detect.evaluate import DetectionEvaluationSettings
from tasks.kinds.detect.fit import DetectorCandidate
from tasks.kinds.detect.promotion import DetectionPromotionSettings
from tasks.kinds.detect.settings import DetectorArchitecture, DetectorTraining
from tasks.kinds.detect.shard import DetectionWindowSettings
from tasks.kinds.detect.source import DetectionSource
from tasks.kinds.detect.split import WarmUpSettings

RECURRENT_DETECTORS = [
    DetectorCandidate(name="segment-gru", model=DetectorArchitecture(cell="gru")),
    DetectorCandidate(name="segment-lstm", model=DetectorArchitecture(cell="lstm")),
]


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
    ingest=LazyModule("tasks.kinds.detect.ingest"),
    split=LazyModule("tasks.kinds.detect.split"),
    encode=LazyModule("tasks.kinds.detect.encode"),
    shard=LazyModule("tasks.kinds.detect.shard"),
    fit=LazyModule("tasks.kinds.detect.fit"),
    baseline=LazyModule("tasks.kinds.detect.baseline"),
    evaluate=LazyModule("tasks.kinds.detect.evaluate"),
    register=LazyModule("tasks.kinds.detect.register"),
    gate=LazyModule("tasks.kinds.detect.gate"),
    report=LazyModule("tasks.kinds.detect.report"),
    predict=LazyModule("tasks.kinds.detect.predict"),
    served_model="tasks.kinds.detect.served_model",
    warm_start=LazyModule("tasks.kinds.detect.warm_start"),
    monitor=LazyModule("tasks.kinds.detect.monitor"),
    serve=LazyModule("tasks.kinds.detect.serve"),
)
