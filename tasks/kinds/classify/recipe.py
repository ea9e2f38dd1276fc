"""One label per text: the recipe, its settings by stage, and the modules that do the stages' work."""

from typing import ClassVar, Literal

from pydantic import Field

from rnnmodels.config import Architecture, Optimization, Training
from tasks.classification.evaluating import ClassificationSettings
from tasks.classification.modelling import ClassifierCandidate
from tasks.contract.kind import Kind, LazyModule
from tasks.contract.recipe import Recipe
from tasks.promotion.settings import PromotionSettings
from tasks.sources.settings import SourceSettings
from tasks.text.baseline import BASELINES, BaselineSettings
from tasks.text.encoding import EncodeSettings
from tasks.text.sharding import ShardSettings
from tasks.text.splitting import SplitSettings

RECURRENT_CLASSIFIERS = [
    ClassifierCandidate(name="gru", model=Architecture(cell="gru", bidirectional=True)),
    ClassifierCandidate(name="lstm", model=Architecture(cell="lstm", bidirectional=True)),
]


class ClassifyRecipe(Recipe):
    """One label per text."""

    training: ClassVar[type[Optimization]] = Training
    baselines: ClassVar[tuple[str, ...]] = tuple(BASELINES)

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
    promotion: PromotionSettings = Field(PromotionSettings(), description="What a new model must show to take over.")


CLASSIFY = Kind(
    name="classify",
    recipe=ClassifyRecipe,
    ingest=LazyModule("tasks.text.reading"),
    split=LazyModule("tasks.text.splitting"),
    encode=LazyModule("tasks.text.encoding"),
    shard=LazyModule("tasks.text.sharding"),
    fit=LazyModule("tasks.classification.modelling"),
    baseline=LazyModule("tasks.text.baseline"),
    evaluate=LazyModule("tasks.text.evaluating"),
    register=LazyModule("tasks.text.registration"),
    gate=LazyModule("tasks.classification.judging"),
    report=LazyModule("tasks.classification.presenting"),
    predict=LazyModule("tasks.predict"),
    served_model="tasks.text.served_model",
    warm_start=LazyModule("tasks.text.starting"),
)
