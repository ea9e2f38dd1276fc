"""Who competes in a flow run: candidates and baseline, their evaluations, and the data they share."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.evaluate import EvaluationSettings, best_of
from tasks.store import Artefact


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """The artefacts that the candidates were fitted on."""

    rows: Artefact
    splits: Artefact
    encoded: Artefact
    shards: Artefact

    @property
    def source_digest(self) -> str:
        """SHA-256 over the source's files, as `ingest` found them."""
        return self.rows.manifest["inputs"]["files"]

    def by_name(self) -> dict[str, Artefact]:
        """The artefacts under their names."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A fitted model (or baseline) with its evaluation."""

    model: Artefact
    evaluation: Artefact

    @property
    def name(self) -> str:
        """Name of the candidate."""
        return self.model.summary["name"]

    @property
    def metrics(self) -> dict[str, float]:
        """Flatten an evaluation to `test/accuracy`, `test/accuracy_low`, `test/accuracy_high` and so on."""
        return {
            f"{split}/{metric}{suffix}": interval[bound]
            for split, metrics in self.evaluation.summary["metrics"].items()
            for metric, interval in metrics.items()
            for suffix, bound in (("", "value"), ("_low", "low"), ("_high", "high"))
        }


@dataclass(frozen=True, kw_only=True)
class Contest:
    """The candidates and the baseline, and how validation picks among them."""

    candidates: tuple[Scored, ...]
    baseline: Scored
    settings: EvaluationSettings

    @classmethod
    def between(
        cls, models: Sequence[Artefact], evaluations: Sequence[Artefact], settings: EvaluationSettings
    ) -> "Contest":
        """Pair models with their evaluations; the baseline is the last of each."""
        pairs = zip(models, evaluations, strict=True)
        *candidates, baseline = (Scored(model=model, evaluation=evaluation) for model, evaluation in pairs)
        return cls(candidates=tuple(candidates), baseline=baseline, settings=settings)

    @property
    def everyone(self) -> tuple[Scored, ...]:
        """Candidates in the recipe's order, then the baseline."""
        return (*self.candidates, self.baseline)

    @property
    def best(self) -> Scored:
        """The best candidate on validation."""
        chosen = best_of([scored.evaluation for scored in self.candidates], self.settings)
        return next(scored for scored in self.candidates if scored.evaluation is chosen)

    @property
    def baseline_wins(self) -> bool:
        """Whether the baseline is better than every candidate."""
        chosen = best_of([self.best.evaluation, self.baseline.evaluation], self.settings)
        return chosen is self.baseline.evaluation

    def inputs(self) -> dict[str, Artefact]:
        """Every artefact that takes part, by name."""
        models = {f"model {one.name}": one.model for one in self.everyone}
        return {**models, **{f"evaluation {one.name}": one.evaluation for one in self.everyone}}
