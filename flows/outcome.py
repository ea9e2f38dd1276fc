"""What a run of the flow came to: the answer of `rnnflow train`."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from flows.recipe import Recipe
from tasks.report import ReportContents
from tasks.store import Artefact

NAMED_STAGES = ("fit", "evaluate")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one flow run, in JSON values only.

    stages: `name`, `key`, `cached`, `wall_s` of each, in the order they ran.
    candidates, baseline: `name`, `metrics` by split and metric, each with `value`, `low`, `high`, and `train_s`,
    the seconds the fit took when it was computed.
    registered: `name`, `version`, `alias` of the model; report: path of the page.
    """

    recipe: str
    kind: str
    flow_run: str
    mlflow_run: str
    wall_s: float
    stages: list[dict]
    candidates: list[dict]
    baseline: dict
    best: str
    baseline_wins: bool
    registered: dict
    report: str

    def as_json(self) -> dict:
        """The one object that `rnnflow train --json` prints."""
        return dataclasses.asdict(self)


def describe_stage(artefact: Artefact) -> dict:
    """Say how this run came by a stage's result."""
    label = artefact.summary["name"] if artefact.stage in NAMED_STAGES else ""
    return {
        "name": f"{artefact.stage} {label}".strip(),
        "key": artefact.key,
        "cached": artefact.cached,
        "wall_s": artefact.wall_s,
    }


def describe_model(model: Artefact, evaluation: Artefact) -> dict:
    """Say what a candidate or the baseline scored."""
    return {
        "name": evaluation.summary["name"],
        "metrics": evaluation.summary["metrics"],
        "train_s": model.summary["train_s"],
    }


def conclude(
    recipe: Recipe, *, flow_run: str, wall_s: float, contents: ReportContents, pages: Sequence[Artefact]
) -> Outcome:
    """Gather the outcome from the artefacts of a run; `pages` are the report and what followed it."""
    contest, registration = contents.contest, contents.registered.summary
    artefacts = (*contents.lineage.by_name().values(), *contest.inputs().values(), contents.registered, *pages)
    *candidates, baseline = (describe_model(scored.model, scored.evaluation) for scored in contest.everyone)
    return Outcome(
        recipe=recipe.name,
        kind=recipe.kind,
        flow_run=flow_run,
        mlflow_run=registration["mlflow_run"],
        wall_s=round(wall_s, 3),
        stages=[describe_stage(artefact) for artefact in artefacts],
        candidates=candidates,
        baseline=baseline,
        best=registration["best"],
        baseline_wins=registration["baseline_wins"],
        registered={name: registration[name] for name in ("name", "version", "alias")},
        report=str(pages[0].path / "report.html"),
    )
