"""One label per sequence of numbers: the recipe, and the modules that do the stages' work."""

from typing import ClassVar, Literal

from pydantic import Field

from rnnmodels.classifiers.series_config import SeriesArchitecture, SeriesTraining
from rnnmodels.config import Optimization
from tasks.classification.evaluating import ClassificationSettings
from tasks.contract.kind import Kind, LazyModule
from tasks.contract.recipe import Recipe
from tasks.promotion.settings import PromotionSettings
from tasks.sequences.baseline import BASELINES, SequenceBaselineSettings
from tasks.sequences.modelling import SequenceCandidate
from tasks.sequences.scaling import SequenceScaleSettings
from tasks.sequences.sharding import SequenceShardSettings
from tasks.sequences.source import SequenceSource
from tasks.sequences.splitting import SequenceSplitSettings

RECURRENT_SERIES_CLASSIFIERS = [
    SequenceCandidate(name="gru", model=SeriesArchitecture(cell="gru", bidirectional=True)),
    SequenceCandidate(name="lstm", model=SeriesArchitecture(cell="lstm", bidirectional=True)),
]


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
    ingest=LazyModule("tasks.sequences.reading"),
    split=LazyModule("tasks.sequences.splitting"),
    encode=LazyModule("tasks.sequences.scaling"),
    shard=LazyModule("tasks.sequences.sharding"),
    fit=LazyModule("tasks.sequences.modelling"),
    baseline=LazyModule("tasks.sequences.baseline"),
    evaluate=LazyModule("tasks.sequences.evaluating"),
    register=LazyModule("tasks.sequences.registration"),
    gate=LazyModule("tasks.sequences.judging"),
    report=LazyModule("tasks.sequences.presenting"),
    predict=LazyModule("tasks.sequences.predicting"),
    served_model="tasks.sequences.served_model",
)
