"""How models are scored and compared: what the settings of all kinds have in common."""

from typing import ClassVar

from pydantic import Field

from rnnmodels.config import Settings
from tasks.contract.summaries import NamedSummary
from tasks.statistics.intervals import Interval
from tasks.statistics.resampling import Bootstrap
from tasks.store.artefacts import Artefact


class EvaluationSummary(NamedSummary):
    """What a model scores, by split and metric."""

    metrics: dict[str, dict[str, Interval]]


class EvaluationSettings(Settings):
    """How models are scored and compared, whatever they predict; a kind narrows `select_by` to its metrics."""

    higher_is_better: ClassVar[frozenset[str]] = frozenset()

    select_by: str
    resamples: int = Field(1000, ge=100, le=100_000, description="Bootstrap resamples for each interval.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Confidence level of the intervals.")
    seed: int = Field(1, ge=0, lt=2**32, description="Seed of the bootstrap.")

    @property
    def bootstrap(self) -> Bootstrap:
        """How intervals are drawn of sums over units."""
        return Bootstrap(resamples=self.resamples, confidence=self.confidence, seed=self.seed)

    def penalty(self, evaluation: Artefact) -> float:
        """The metric on validation that picks the best model, with the sign that makes lower values better."""
        value = EvaluationSummary.of(evaluation).metrics["valid"][self.select_by]["value"]
        return -value if self.select_by in self.higher_is_better else value
