"""One label per line of 0s and 1s: the recipe, and the modules that do the stages' work."""

from typing import ClassVar, Literal

from pydantic import Field

from rnnflow_bits.baseline import BASELINES, BitBaselineSettings
from rnnflow_bits.encode import BitSettings
from rnnflow_bits.ingest import LabelledLineSource
from rnnflow_bits.split import LineSplitSettings
from rnnmodels.config import Architecture, Optimization, Training
from tasks.contract.kind import Kind, LazyModule
from tasks.contract.recipe import Recipe
from tasks.labelled.evaluate import ClassificationSettings
from tasks.labelled.fit import ClassifierCandidate
from tasks.labelled.promotion import PromotionSettings
from tasks.labelled.shard import BucketSettings

CANDIDATES = [ClassifierCandidate(name="gru", model=Architecture(embedding_size=8, hidden_size=16))]


class BitsRecipe(Recipe):
    """One label per line of 0s and 1s."""

    training: ClassVar[type[Optimization]] = Training
    baselines: ClassVar[tuple[str, ...]] = tuple(BASELINES)

    kind: Literal["bits"] = Field(description="Problem to solve: one label per line of 0s and 1s.")
    source: LabelledLineSource = Field(description="Which lines to read.")
    split: LineSplitSettings = Field(LineSplitSettings(), description="How lines are divided.")
    encode: BitSettings = Field(BitSettings(), description="How lines become ids.")
    shard: BucketSettings = Field(BucketSettings(), description="How lines are cut, bucketed and padded.")
    candidates: list[ClassifierCandidate] = Field(CANDIDATES, min_length=1, description="Models to fit and compare.")
    baseline: BitBaselineSettings = Field(BitBaselineSettings(), description="The linear model to beat.")
    evaluate: ClassificationSettings = Field(ClassificationSettings(), description="How models are scored.")
    promotion: PromotionSettings = Field(PromotionSettings(), description="What a new model must show to take over.")


BITS = Kind(
    name="bits",
    recipe=BitsRecipe,
    ingest=LazyModule("rnnflow_bits.ingest"),
    split=LazyModule("rnnflow_bits.split"),
    encode=LazyModule("rnnflow_bits.encode"),
    shard=LazyModule("tasks.labelled.shard"),
    fit=LazyModule("tasks.labelled.fit"),
    baseline=LazyModule("rnnflow_bits.baseline"),
    evaluate=LazyModule("rnnflow_bits.evaluate", "EVALUATION"),
    register=LazyModule("rnnflow_bits.register", "REGISTRATION"),
    gate=LazyModule("rnnflow_bits.gate", "GATE"),
    report=LazyModule("rnnflow_bits.report"),
    predict=LazyModule("rnnflow_bits.predict"),
    serve=LazyModule("rnnflow_bits.serve", "SERVICE"),
    monitor=LazyModule("tasks.labelled.profile"),
    served_model="tasks.text.served_model",
)
