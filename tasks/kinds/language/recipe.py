"""The next token of texts: the recipe, and the modules that do the stages' work."""

from typing import ClassVar, Literal

from pydantic import Field

from rnnmodels.config import Optimization
from rnnmodels.language.language_config import LanguageArchitecture, LanguageTraining
from tasks.contract.kind import Kind, LazyModule, modules_in
from tasks.contract.recipe import Recipe
from tasks.kinds.language.baseline import BASELINES, LanguageBaselineSettings
from tasks.kinds.language.encode import LanguageEncodeSettings
from tasks.kinds.language.evaluate import LanguageEvaluationSettings
from tasks.kinds.language.fit import LanguageCandidate
from tasks.kinds.language.promotion import LanguagePromotionSettings
from tasks.kinds.language.shard import StreamSettings
from tasks.kinds.language.source import LanguageSource
from tasks.kinds.language.split import LanguageSplitSettings

LANGUAGE_MODELS = [
    LanguageCandidate(name="lstm", model=LanguageArchitecture(cell="lstm")),
    LanguageCandidate(name="gru", model=LanguageArchitecture(cell="gru")),
]


class LanguageRecipe(Recipe):
    """The next token of texts."""

    training: ClassVar[type[Optimization]] = LanguageTraining
    baselines: ClassVar[tuple[str, ...]] = tuple(BASELINES)

    kind: Literal["language"] = Field(description="Problem to solve: the next token of texts.")
    source: LanguageSource = Field(description="Which texts to read.")
    split: LanguageSplitSettings = Field(LanguageSplitSettings(), description="How documents are divided.")
    encode: LanguageEncodeSettings = Field(LanguageEncodeSettings(), description="How texts become token ids.")
    shard: StreamSettings = Field(StreamSettings(), description="How documents are laid out for training.")
    candidates: list[LanguageCandidate] = Field(
        LANGUAGE_MODELS, min_length=1, max_length=32, description="Models to fit and compare."
    )
    baseline: LanguageBaselineSettings = Field(LanguageBaselineSettings(), description="The n-gram models to beat.")
    evaluate: LanguageEvaluationSettings = Field(
        LanguageEvaluationSettings(), description="How models are scored and compared."
    )
    promotion: LanguagePromotionSettings = Field(
        LanguagePromotionSettings(), description="What a new model must show to take over."
    )


LANGUAGE = Kind(
    name="language",
    recipe=LanguageRecipe,
    generate=LazyModule("tasks.kinds.language.generate"),
    drafts=LazyModule("tasks.kinds.language.drafts"),
    served_model="tasks.kinds.language.served_model",
    **modules_in("tasks.kinds.language"),
)
