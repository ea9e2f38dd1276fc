"""Who competes in a flow run: candidates and baselines, with their evaluations."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Generic, Self, TypeVar

from tasks.contract.evaluation import EvaluationSettings, EvaluationSummary
from tasks.contract.summaries import FittedSummary, NamedSummary
from tasks.statistics.intervals import Interval
from tasks.store.artefacts import Artefact

SettingsT_co = TypeVar("SettingsT_co", bound=EvaluationSettings, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A fitted model (or baseline) with its evaluation."""

    model: Artefact
    evaluation: Artefact

    @property
    def name(self) -> str:
        """Name of the candidate."""
        return NamedSummary.of(self.model).name

    @property
    def device(self) -> str:
        """Where a candidate was fitted."""
        return FittedSummary.of(self.model).device

    @property
    def test(self) -> dict[str, Interval]:
        """The metrics on test."""
        return EvaluationSummary.of(self.evaluation).metrics["test"]

    @property
    def metrics(self) -> dict[str, float]:
        """Flatten an evaluation to `test/accuracy`, `test/accuracy_low`, `test/accuracy_high` and so on."""
        return {
            f"{split}/{metric}{suffix}": interval[bound]
            for split, metrics in EvaluationSummary.of(self.evaluation).metrics.items()
            for metric, interval in metrics.items()
            for suffix, bound in (("", "value"), ("_low", "low"), ("_high", "high"))
        }


@dataclass(frozen=True, kw_only=True)
class Contest(Generic[SettingsT_co]):
    """The candidates and the baselines, and how validation picks among them; the first of equals is taken.

    left_out: baselines that could not be fitted, and a join that is no better; they hold a warning alone.
    """

    candidates: tuple[Scored, ...]
    baselines: tuple[Scored, ...]
    settings: SettingsT_co
    left_out: tuple[Artefact, ...] = ()

    @property
    def everyone(self) -> tuple[Scored, ...]:
        """Candidates in the recipe's order, then the baselines."""
        return (*self.candidates, *self.baselines)

    @property
    def best(self) -> Scored:
        """The best candidate on validation."""
        return min(self.candidates, key=self._penalty)

    @property
    def baseline(self) -> Scored | None:
        """The best baseline on validation, unless all were left out."""
        return min(self.baselines, key=self._penalty, default=None)

    @property
    def baseline_wins(self) -> bool:
        """Whether a baseline is better than every candidate."""
        return self.baseline is not None and self._penalty(self.baseline) < self._penalty(self.best)

    def admit(self, candidates: Iterable[Scored], left_out: Iterable[Artefact]) -> Self:
        """Have others take part, after those that do; of equals they lose."""
        return replace(self, candidates=(*self.candidates, *candidates), left_out=(*self.left_out, *left_out))

    def inputs(self) -> dict[str, Artefact]:
        """Every artefact that takes part, by name."""
        models = {f"model {one.name}": one.model for one in self.everyone}
        models |= {f"model {NamedSummary.of(one).name}": one for one in self.left_out}
        return {**models, **{f"evaluation {one.name}": one.evaluation for one in self.everyone}}

    def _penalty(self, scored: Scored) -> float:
        return self.settings.penalty(scored.evaluation)
