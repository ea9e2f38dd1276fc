"""Stage `evaluate`: what a model is worth, from the predictions it stored once.

No model runs here, so candidates and baselines are treated alike; nothing is chosen on test.
"""

import importlib
from functools import partial
from types import ModuleType
from typing import ClassVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from tasks import store
from tasks.lineage import Lineage
from tasks.part import Part
from tasks.store import Artefact


class EvaluationSettings(Part):
    """How models are scored and compared, whatever they predict; a kind says which metrics may decide."""

    presented_by: ClassVar[str]
    higher_is_better: ClassVar[frozenset[str]] = frozenset()

    resamples: int = Field(1000, ge=100, le=100_000, description="Bootstrap resamples behind each interval.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Confidence level of the intervals.")
    seed: int = Field(1, ge=0, lt=2**32, description="Seed of the bootstrap.")
    select_by: str = Field(description="Validation metric that picks the best model.")

    @classmethod
    def presenter(cls) -> ModuleType:
        """The module that shows people what such an evaluation found."""
        return importlib.import_module(cls.presented_by)

    def penalty(self, evaluation: Artefact) -> float:
        """The metric on validation that picks the best model, turned so that less is better."""
        value = evaluation.summary["metrics"]["valid"][self.select_by]["value"]
        return -value if self.select_by in self.higher_is_better else value


@task(name="evaluate", task_run_name="evaluate-{model.summary[name]}", cache_policy=NO_CACHE, persist_result=False)
def evaluate(model: Artefact, lineage: Lineage, settings: EvaluationSettings) -> Artefact:
    """Score a model's stored predictions on validation and test."""
    evaluating = settings.performer()
    inputs = {"model": model, **lineage.pick(evaluating.INPUTS)}
    write = partial(evaluating.write_evaluation, **inputs, settings=settings)
    return store.build("evaluate", write, module=settings.modules(), config=settings, inputs=inputs)
