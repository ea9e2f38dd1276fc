"""Anomalous rows of time series: the recipe, and the modules that do the stages' work."""

from typing import ClassVar, Literal

from pydantic import Field

from rnnmodels.config import Optimization
from tasks.contract.kind import Kind, LazyModule
from tasks.contract.recipe import Recipe
from tasks.detection.baselines import BASELINES, DetectionBaselineSettings
from tasks.detection.evaluating import DetectionEvaluationSettings
from tasks.detection.modelling import DetectorCandidate
from tasks.detection.promotion import DetectionPromotionSettings
from tasks.detection.scaling import LevelSettings
from tasks.detection.segments import DetectionWindowSettings
from tasks.detection.settings import DetectorArchitecture, DetectorTraining
from tasks.detection.source import DetectionSource
from tasks.detection.splitting import WarmUpSettings

RECURRENT_DETECTORS = [
    DetectorCandidate(name="segment-gru", model=DetectorArchitecture(cell="gru")),
    DetectorCandidate(name="segment-lstm", model=DetectorArchitecture(cell="lstm")),
]


class DetectRecipe(Recipe):
    """Which rows of time series are anomalous."""

    training: ClassVar[type[Optimization]] = DetectorTraining
    baselines: ClassVar[tuple[str, ...]] = tuple(BASELINES)

    kind: Literal["detect"] = Field(description="Problem to solve: which rows of time series are anomalous.")
    source: DetectionSource = Field(description="Which series to watch.")
    split: WarmUpSettings = Field(WarmUpSettings(), description="Which rows a detector learns from before it judges.")
    encode: LevelSettings = Field(LevelSettings(), description="What stands for missing numbers; which calendar.")
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
    ingest=LazyModule("tasks.detection.reading"),
    split=LazyModule("tasks.detection.splitting"),
    encode=LazyModule("tasks.detection.scaling"),
    shard=LazyModule("tasks.detection.segments"),
    fit=LazyModule("tasks.detection.modelling"),
    baseline=LazyModule("tasks.detection.baselines"),
    evaluate=LazyModule("tasks.detection.evaluating"),
    register=LazyModule("tasks.detection.registration"),
    gate=LazyModule("tasks.detection.judging"),
    report=LazyModule("tasks.detection.presenting"),
    predict=LazyModule("tasks.detection.predicting"),
    served_model="tasks.detection.served_model",
)
