"""Kinds of sequence problems: each is a recipe whose sections say what its rows, models and scores are.

A kind is made of parts that stages perform (`tasks.part`); the flow, the trainer, the store and the tracking are the
same for all of them.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from rnnmodels.config import Architecture, Optimization, Settings, Training
from rnnmodels.forecast_config import ForecastArchitecture, ForecastTraining
from rnnmodels.series_config import SeriesArchitecture, SeriesTraining
from tasks.classification.evaluating import ClassificationSettings
from tasks.classification.modelling import ClassifierCandidate
from tasks.detection.baselines import DetectionBaselineSettings
from tasks.detection.evaluating import DetectionEvaluationSettings
from tasks.detection.modelling import DetectorCandidate
from tasks.detection.promotion import DetectionPromotionSettings
from tasks.detection.registration import DetectionRegistrySettings
from tasks.detection.scaling import LevelSettings
from tasks.detection.segments import DetectionWindowSettings
from tasks.detection.settings import DetectorArchitecture, DetectorTraining
from tasks.detection.source import DetectionSource
from tasks.detection.splitting import WarmUpSettings
from tasks.evaluate import EvaluationSettings
from tasks.fit import Candidate
from tasks.names import NAME_PATTERN
from tasks.part import Part
from tasks.promotion.settings import GateSettings, PromotionSettings
from tasks.register import RegistrySettings
from tasks.sequences.baseline import SequenceBaselineSettings
from tasks.sequences.evaluating import SequenceEvaluationSettings
from tasks.sequences.judging import SequencePromotionSettings
from tasks.sequences.modelling import SequenceCandidate
from tasks.sequences.registration import SequenceRegistrySettings
from tasks.sequences.scaling import SequenceScaleSettings
from tasks.sequences.sharding import SequenceShardSettings
from tasks.sequences.source import SequenceSource
from tasks.sequences.splitting import SequenceSplitSettings
from tasks.series.baselines import ForecastBaselineSettings
from tasks.series.evaluating import ForecastEvaluationSettings
from tasks.series.modelling import ForecastCandidate
from tasks.series.promotion import ForecastPromotionSettings
from tasks.series.registration import ForecastRegistrySettings
from tasks.series.scaling import ScaleSettings
from tasks.series.segments import WindowSettings
from tasks.series.source import SeriesSource
from tasks.series.splitting import TimeSplitSettings
from tasks.sources.settings import FileSettings, SourceSettings
from tasks.text.baseline import BaselineSettings
from tasks.text.encoding import EncodeSettings
from tasks.text.sharding import ShardSettings
from tasks.text.splitting import SplitSettings

RECURRENT_CLASSIFIERS = [
    ClassifierCandidate(name="gru", model=Architecture(cell="gru", bidirectional=True)),
    ClassifierCandidate(name="lstm", model=Architecture(cell="lstm", bidirectional=True)),
]

RECURRENT_SERIES_CLASSIFIERS = [
    SequenceCandidate(name="gru", model=SeriesArchitecture(cell="gru", bidirectional=True)),
    SequenceCandidate(name="lstm", model=SeriesArchitecture(cell="lstm", bidirectional=True)),
]

RECURRENT_FORECASTERS = [
    ForecastCandidate(name="segment-gru", model=ForecastArchitecture(cell="gru")),
    ForecastCandidate(name="direct-lstm", model=ForecastArchitecture(cell="lstm", decoder="direct")),
]

RECURRENT_DETECTORS = [
    DetectorCandidate(name="segment-gru", model=DetectorArchitecture(cell="gru")),
    DetectorCandidate(name="segment-lstm", model=DetectorArchitecture(cell="lstm")),
]


class Recipe(Settings):
    """What every kind has: the stages of the flow, a section for each."""

    training: ClassVar[type[Optimization]]

    name: str = Field(pattern=NAME_PATTERN, description="Name of the experiment and of the registered model.")
    kind: str
    source: FileSettings
    split: Part
    encode: Part
    shard: Part
    candidates: Sequence[Candidate]
    baseline: Part
    evaluate: EvaluationSettings
    registry: RegistrySettings
    promotion: GateSettings

    @property
    def model_name(self) -> str:
        """Name under which the best candidate is registered."""
        return self.registry.model_name or self.name

    @model_validator(mode="after")
    def _names_each_candidate_once(self) -> "Recipe":
        names = [candidate.name for candidate in self.candidates]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two candidates are named {twice[0]}")
        for baseline in self.baseline.performer().BASELINES:
            if baseline in names:
                raise ValueError(f"a candidate has a baseline's name, {baseline}")
        return self


class ClassifyRecipe(Recipe):
    """One label per text."""

    training: ClassVar[type[Optimization]] = Training

    kind: Literal["classify"] = Field("classify", description="Problem to solve: one label per text.")
    source: SourceSettings = Field(description="Which rows to read.")
    split: SplitSettings = Field(SplitSettings(), description="How rows are divided.")
    encode: EncodeSettings = Field(EncodeSettings(), description="How texts become token ids.")
    shard: ShardSettings = Field(ShardSettings(), description="How sequences are cut, bucketed and padded.")
    candidates: list[ClassifierCandidate] = Field(
        RECURRENT_CLASSIFIERS, min_length=1, max_length=32, description="Models to fit and compare."
    )
    baseline: BaselineSettings = Field(BaselineSettings(), description="The linear model to beat.")
    evaluate: ClassificationSettings = Field(
        ClassificationSettings(), description="How models are scored and compared."
    )
    registry: RegistrySettings = Field(RegistrySettings(), description="How the best model is registered.")
    promotion: PromotionSettings = Field(PromotionSettings(), description="What a new model must show to take over.")


class ClassifySeriesRecipe(Recipe):
    """One label per sequence of numbers."""

    training: ClassVar[type[Optimization]] = SeriesTraining

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
    evaluate: SequenceEvaluationSettings = Field(
        SequenceEvaluationSettings(), description="How models are scored and compared."
    )
    registry: SequenceRegistrySettings = Field(
        SequenceRegistrySettings(), description="How the best model is registered."
    )
    promotion: SequencePromotionSettings = Field(
        SequencePromotionSettings(), description="What a new model must show to take over."
    )


class ForecastRecipe(Recipe):
    """The next values of time series."""

    training: ClassVar[type[Optimization]] = ForecastTraining

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
    registry: ForecastRegistrySettings = Field(
        ForecastRegistrySettings(), description="How the best model is registered."
    )
    promotion: ForecastPromotionSettings = Field(
        ForecastPromotionSettings(), description="What a new model must show to take over."
    )


class DetectRecipe(Recipe):
    """Which rows of time series are anomalous."""

    training: ClassVar[type[Optimization]] = DetectorTraining

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
    registry: DetectionRegistrySettings = Field(
        DetectionRegistrySettings(), description="How the best model is registered."
    )
    promotion: DetectionPromotionSettings = Field(
        DetectionPromotionSettings(), description="What a new model must show to take over."
    )


RECIPES: "dict[str, type[AnyRecipe]]" = {
    "classify": ClassifyRecipe,
    "classify-series": ClassifySeriesRecipe,
    "forecast": ForecastRecipe,
    "detect": DetectRecipe,
}


class _JudgedByKind:
    """Has a form say what is wrong with a recipe of the chosen kind, and not only that it is of none.

    `anyOf` gives the form its tabs, but a validator says of it no more than that nothing fits.
    """

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict:
        schema = handler(core_schema)
        conditions = [{"properties": {"kind": {"const": kind}}, "required": ["kind"]} for kind in RECIPES]
        parts = zip(conditions, schema["anyOf"], strict=True)
        return {**schema, "allOf": [{"if": condition, "then": dict(part)} for condition, part in parts]}


# What flows take as a parameter: a form offers the kinds, and validation takes the one that fits.
AnyRecipe = Annotated[ClassifyRecipe | ClassifySeriesRecipe | ForecastRecipe | DetectRecipe, _JudgedByKind()]
AnyCandidate = ClassifierCandidate | SequenceCandidate | ForecastCandidate | DetectorCandidate


def validate_recipe(raw: dict) -> AnyRecipe:
    """Read a recipe that was stored as JSON values."""
    return RECIPES[raw["kind"]].model_validate(raw)
