"""One label per sequence of numbers: the recipe, and the modules that do the stages' work."""

from typing import ClassVar, Literal

from pydantic import Field

from rnnmodels.classifiers.series_config import SeriesArchitecture, SeriesTraining
from rnnmodels.config import Optimization
from tasks.contract.kind import Kind, LazyModule
from tasks.contract.recipe import Recipe
from tasks.kinds.classify_series.baseline import BASELINES, SequenceBaselineSettings
from tasks.kinds.classify_series.encode import SequenceScaleSettings
from tasks.kinds.classify_series.fit import SequenceCandidate
from tasks.kinds.classify_series.source import SequenceSource
from tasks.kinds.classify_series.split import SequenceSplitSettings
from tasks.labelled.evaluate import ClassificationSettings
from tasks.labelled.promotion import PromotionSettings
from tasks.labelled.shard import BucketSettings

RECURRENT_SERIES_CLASSIFIERS = [
    SequenceCandidate(name="gru", model=SeriesArchitecture(cell="gru", bidirectional=True)),
    SequenceCandidate(name="lstm", model=SeriesArchitecture(cell="lstm", bidirectional=True)),
]


class SequenceShardSettings(BucketSettings):
    """How sequences are cut, bucketed and padded."""

    num_widths: int = Field(8, ge=1, le=256, description="Maximum number of bucket widths.")


class ClassifySeriesRecipe(Recipe):
    """One label per sequence of numbers."""

    training: ClassVar[type[Optimization]] = SeriesTraining
    baselines: ClassVar[tuple[str, ...]] = tuple(BASELINES)

    kind: Literal["classify-series"] = Field(description="Problem to solve: one label per sequence of numbers.")
    source: SequenceSource = Field(description="Which sequences to read.")
    split: SequenceSplitSettings = Field(SequenceSplitSettings(), description="How sequences are divided.")
    encode: SequenceScaleSettings = Field(SequenceScaleSettings(), description="How numbers are scaled.")
    shard: SequenceShardSettings = Field(
        SequenceShardSettings(), description="How sequences are cut, bucketed and padded."
    )
    candidates: list[SequenceCandidate] = Field(
        RECURRENT_SERIES_CLASSIFIERS, min_length=1, max_length=32, description="Models to fit and compare."
    )
    baseline: SequenceBaselineSettings = Field(SequenceBaselineSettings(), description="The linear model to beat.")
    evaluate: ClassificationSettings = Field(
        ClassificationSettings(), description="How models are scored and compared."
    )
    promotion: PromotionSettings = Field(PromotionSettings(), description="What a new model must show to take over.")


CLASSIFY_SERIES = Kind(
    name="classify-series",
    recipe=ClassifySeriesRecipe,
    ingest=LazyModule("tasks.kinds.classify_series.ingest"),
    split=LazyModule("tasks.kinds.classify_series.split"),
    encode=LazyModule("tasks.kinds.classify_series.encode"),
    shard=LazyModule("tasks.labelled.shard"),
    fit=LazyModule("tasks.kinds.classify_series.fit"),
    baseline=LazyModule("tasks.kinds.classify_series.baseline"),
    evaluate=LazyModule("tasks.kinds.classify_series.evaluate", "EVALUATION"),
    register=LazyModule("tasks.kinds.classify_series.register", "REGISTRATION"),
    gate=LazyModule("tasks.kinds.classify_series.gate", "GATE"),
    report=LazyModule("tasks.kinds.classify_series.report"),
    predict=LazyModule("tasks.kinds.classify_series.predict"),
    served_model="tasks.panel.served_model",
    warm_start=LazyModule("tasks.kinds.classify_series.warm_start"),
    monitor=LazyModule("tasks.kinds.classify_series.profile"),
    serve=LazyModule("tasks.kinds.classify_series.serve"),
    drafts=LazyModule("tasks.kinds.classify_series.drafts"),
)
