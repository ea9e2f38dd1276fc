"""One label per text: the recipe, its settings by stage, and the modules that do the stages' work."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from rnnmodels.config import Architecture, Optimization, Training
from tasks.contract.kind import Kind, LazyModule
from tasks.contract.recipe import Recipe
from tasks.contract.stacking import StackSettings
from tasks.kinds.classify.baseline import BASELINES, BaselineSettings
from tasks.kinds.classify.candidate import TextCandidate
from tasks.kinds.classify.encode import EncodeSettings
from tasks.kinds.classify.pretrain import PretrainSettings
from tasks.kinds.classify.source import SourceSettings
from tasks.kinds.classify.split import SplitSettings
from tasks.labelled.evaluate import ClassificationSettings
from tasks.labelled.promotion import PromotionSettings
from tasks.labelled.shard import BucketSettings

RECURRENT_CLASSIFIERS = [
    TextCandidate(name="gru", model=Architecture(cell="gru", bidirectional=True)),
    TextCandidate(name="lstm", model=Architecture(cell="lstm", bidirectional=True)),
]


class ShardSettings(BucketSettings):
    """How sequences are cut, bucketed and padded."""

    max_length: int = Field(400, ge=1, le=1_000_000, description="Maximum number of tokens kept of a sequence.")


class ClassifyRecipe(Recipe):
    """One label per text."""

    training: ClassVar[type[Optimization]] = Training
    baselines: ClassVar[tuple[str, ...]] = tuple(BASELINES)

    kind: Literal["classify"] = Field("classify", description="Problem to solve: one label per text.")
    source: SourceSettings = Field(description="Which rows to read.")
    split: SplitSettings = Field(SplitSettings(), description="How rows are divided.")
    encode: EncodeSettings = Field(EncodeSettings(), description="How texts become token ids.")
    shard: ShardSettings = Field(ShardSettings(), description="How sequences are cut, bucketed and padded.")
    pretrain: PretrainSettings = Field(
        PretrainSettings(), description="The language model that candidates with `pretrained` start from."
    )
    candidates: list[TextCandidate] = Field(
        RECURRENT_CLASSIFIERS, min_length=1, max_length=32, description="Models to fit and compare."
    )
    baseline: BaselineSettings = Field(BaselineSettings(), description="The linear models to beat.")
    stack: StackSettings = Field(StackSettings(), description="Whether the best candidate is joined with a baseline.")
    evaluate: ClassificationSettings = Field(
        ClassificationSettings(), description="How models are scored and compared."
    )
    promotion: PromotionSettings = Field(PromotionSettings(), description="What a new model must show to take over.")

    @model_validator(mode="after")
    def _names_a_model_for_each_direction(self) -> Self:
        num_named = len(self.pretrain.models)
        if num_named and not any(one.pretrained for one in self.candidates):
            raise ValueError("pretrain.models: got some, but no candidate has pretrained = true")
        for one in self.candidates:
            if num_named and one.pretrained and len(one.directions) != num_named:
                raise ValueError(
                    f"pretrain.models: got {num_named}, expected {len(one.directions)}: candidate {one.name} reads "
                    f"{' and '.join(one.directions)}"
                )
        return self

    @model_validator(mode="after")
    def _encodes_what_candidates_read(self) -> Self:
        for one in self.candidates:
            if one.training.adversarial_weight and not self.encode.unlabelled:
                raise ValueError(f"encode.unlabelled: expected true for the adversarial_weight of candidate {one.name}")
        return self

    @property
    def settings_without_effect(self) -> list[str]:
        """Those of language models that no candidate starts from, or that are not fitted but named."""
        fitting = self.pretrain.model_copy(update={"models": []})
        if fitting == PretrainSettings():
            return []
        if not any(one.pretrained for one in self.candidates):
            return ["the section pretrain has no effect, because no candidate has pretrained = true."]
        if self.pretrain.models:
            return ["of the section pretrain, only models has an effect: registered language models are not fitted."]
        return []

    @property
    def stacking(self) -> StackSettings:
        """Whether the best candidate is joined with the best baseline."""
        return self.stack


CLASSIFY = Kind(
    name="classify",
    recipe=ClassifyRecipe,
    ingest=LazyModule("tasks.kinds.classify.ingest"),
    split=LazyModule("tasks.kinds.classify.split"),
    encode=LazyModule("tasks.kinds.classify.encode"),
    shard=LazyModule("tasks.labelled.shard"),
    pretrain=LazyModule("tasks.kinds.classify.pretrain"),
    fit=LazyModule("tasks.kinds.classify.fit"),
    baseline=LazyModule("tasks.kinds.classify.baseline"),
    stack=LazyModule("tasks.kinds.classify.stack", "STACK"),
    evaluate=LazyModule("tasks.kinds.classify.evaluate", "EVALUATION"),
    register=LazyModule("tasks.kinds.classify.register", "REGISTRATION"),
    gate=LazyModule("tasks.kinds.classify.gate", "GATE"),
    report=LazyModule("tasks.labelled.report"),
    predict=LazyModule("tasks.kinds.classify.predict"),
    served_model="tasks.text.served_model",
    warm_start=LazyModule("tasks.text.warm_start"),
    serve=LazyModule("tasks.kinds.classify.serve", "SERVICE"),
    monitor=LazyModule("tasks.labelled.profile"),
    drafts=LazyModule("tasks.kinds.classify.drafts"),
)
