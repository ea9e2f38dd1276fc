"""What a run of the flow came to: the answer of `rnnflow train`."""

import html
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tasks.contract.contest import Contest, Scored
from tasks.contract.delivery import RegistrationSummary, VerdictSummary
from tasks.contract.evaluation import EvaluationSummary
from tasks.contract.kind import Kind
from tasks.contract.lineage import Lineage
from tasks.contract.recipe import Recipe
from tasks.contract.summaries import ModelSummary, NamedSummary
from tasks.kinds import find_kind
from tasks.reporting.findings import describe_outdone, gather_findings
from tasks.store.artefacts import Artefact
from tasks.tracking import outbox

OF_JOINS = ("joins", "joined_with", "weight")
NAMED_STAGES = ("fit", "baseline", "evaluate")
FRAME_HEIGHT = "40em"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one flow run in JSON values only: the one object that `rnnflow train --json` prints.

    stages: `name`, `key`, `cached`, `wall_s` of each, in the order they ran.
    candidates, baselines: `name`, `metrics` by split and metric, each with `value`, `low`, `high`, and `train_s`,
    the seconds the fit took when it was computed. A candidate that is a join also has `joins`, `joined_with`, `weight`.
    registered: `name`, `version`, `alias` of the model; gate: `verdict` and its `reasons`; report: path of the page;
    example: path of an input to try the model with.
    problems: why nothing was learned or no metric can be trusted; outdone: which baselines are better on test than the
    best candidate; warnings: what to know of the data and the metrics; data: what the stages counted, by stage.
    pending: why model and report are still to come; all five of these are then empty.
    """

    recipe: str
    kind: str
    flow_run: str
    mlflow_run: str
    wall_s: float
    stages: list[dict]
    candidates: list[dict]
    baselines: list[dict]
    best: str
    best_baseline: str
    baseline_wins: bool
    registered: dict
    gate: dict
    report: str
    example: str
    problems: list[str] = field(default_factory=list)
    outdone: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    data: dict[str, dict] = field(default_factory=dict)
    pending: str = ""

    @property
    def model(self) -> str:
        """What names the registered version, `NAME/3`; empty while it is still to come."""
        return "{name}/{version}".format_map(self.registered) if self.registered else ""

    @property
    def metrics(self) -> dict[str, dict[str, dict[str, float]]]:
        """Those of the best candidate by split and metric, each with `value`, `low` and `high`."""
        return next(scored["metrics"] for scored in self.candidates if scored["name"] == self.best)

    def _repr_html_(self) -> str | None:
        """What a notebook shows of it: the report, whose styles stay within a frame."""
        if not self.report:
            return None
        page = html.escape(Path(self.report).read_text(encoding="utf-8"))
        return f'<iframe srcdoc="{page}" style="width: 100%; height: {FRAME_HEIGHT}; border: 0"></iframe>'


def describe_stage(artefact: Artefact) -> dict:
    """Say how this run came by a stage's result."""
    label = NamedSummary.of(artefact).name if artefact.stage in NAMED_STAGES else ""
    return {
        "name": f"{artefact.stage} {label}".strip(),
        "key": artefact.key,
        "cached": artefact.cached,
        "wall_s": artefact.wall_s,
    }


def describe_model(scored: Scored) -> dict:
    """Say what a candidate or a baseline scored."""
    return {
        "name": scored.name,
        "metrics": EvaluationSummary.of(scored.evaluation).metrics,
        "train_s": ModelSummary.of(scored.model).train_s,
        **{name: value for name, value in scored.model.summary.items() if name in OF_JOINS},
    }


class Delivery(NamedTuple):
    """What follows the contest: the registered model, the gate's verdict, the report and where it was sent."""

    registered: Artefact
    gated: Artefact
    page: Artefact
    published: Artefact


def conclude(
    recipe: Recipe, *, flow_run: str, wall_s: float, lineage: Lineage, contest: Contest, delivery: Delivery | None
) -> Outcome:
    """Gather the outcome from the artefacts of a run; without a delivery it is pending."""
    kind, later = find_kind(recipe.kind), delivery or ()
    findings = gather_findings(lineage, contest, *later)
    artefacts = (*lineage.by_name().values(), *contest.inputs().values(), *later)
    return Outcome(
        recipe=recipe.name,
        kind=recipe.kind,
        flow_run=flow_run,
        wall_s=round(wall_s, 3),
        stages=[describe_stage(artefact) for artefact in artefacts],
        candidates=[describe_model(scored) for scored in contest.candidates],
        baselines=[describe_model(scored) for scored in contest.baselines],
        best=contest.best.name,
        best_baseline=contest.baseline.name if contest.baseline else "",
        baseline_wins=contest.baseline_wins,
        problems=findings.problems,
        outdone=describe_outdone(contest, kind.report.load()),
        warnings=findings.warnings,
        data=findings.data,
        **(describe_delivery(delivery, kind) if delivery else describe_pending(flow_run)),
    )


def describe_delivery(delivery: Delivery, kind: Kind) -> dict:
    """The part of the outcome that the stages after the contest decide."""
    registration, gate = RegistrationSummary.of(delivery.registered), VerdictSummary.of(delivery.gated)
    return {
        "mlflow_run": registration.mlflow_run,
        "registered": {"name": registration.name, "version": registration.version, "alias": gate.alias},
        "gate": {"verdict": gate.verdict, "reasons": gate.reasons},
        "report": str(delivery.page.path / "report.html"),
        "example": str(delivery.registered.path / kind.register.load().EXAMPLE),
    }


def describe_pending(flow_run: str) -> dict:
    """The same part while MLflow does not answer."""
    pending = f"pending sync: {outbox.pending(flow_run)} records and the registration wait for MLflow."
    return {"mlflow_run": "", "registered": {}, "gate": {}, "report": "", "example": "", "pending": pending}
