"""Stage `gate`: whether the model just registered takes the champion's place.

Both are scored on the same test rows; how the verdict is reached stands in `tasks.promotion.decision`, how a kind
scores its models in the kind's own `gate`. The decision is an entry of the ledger, made only if nobody else decided
meanwhile; the artefact, MLflow's aliases and its tags are projections of that entry and may be repeated.
"""

import json
import logging
from dataclasses import replace
from functools import partial
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.contract.delivery import RegistrationSummary, VerdictSummary
from tasks.contract.kind import Kind
from tasks.contract.lineage import Lineage
from tasks.errors import IntegrityError
from tasks.progress import Progress, emit
from tasks.promotion import aliases, ledger, ownership, standing
from tasks.promotion.decision import judge, recall
from tasks.promotion.identities import GONE
from tasks.promotion.ledger import ChampionChanged, Entry
from tasks.promotion.settings import GateSettings
from tasks.promotion.verdicts import Case, Challenge, Verdict
from tasks.registry import registrations
from tasks.registry.identity import CHAMPION
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.tracking import mlflow_client, recording
from tasks.tracking.runs import RunContext

logger = logging.getLogger(__name__)

VERDICT, REASON = "rnnflow.verdict", "rnnflow.verdict_reason"


def open_challenge(kind: Kind, run: RunContext, lineage: Lineage, registered: Artefact, trigger: str) -> Challenge:
    """Gather who challenges, on which rows, and from which run."""
    registration = RegistrationSummary.of(registered)
    return Challenge(
        model=registration.name,
        version=registration.version,
        content=registration.content,
        holdout=kind.gate.load().read_holdout(lineage),
        splits=lineage.splits.reference,
        trigger=trigger,
        flow_run=run.flow_run_id,
        mlflow_run=registration.mlflow_run,
    )


def decide(kind: Kind, challenge: Challenge, settings: GateSettings) -> tuple[Verdict, Entry]:
    """Return the verdict on a challenge and the entry that holds it, judging again whenever another was faster.

    Raises ServiceError (E-SVC-004, E-LED-003 to E-LED-005), IntegrityError (E-LED-002).
    """
    while True:
        entries = ledger.read_entries(challenge.model)
        if not entries and aliases.adopt(challenge.model) is not None:
            continue
        try:
            return settle(kind, Case(entries=entries, challenge=challenge, settings=settings))
        except ChampionChanged as error:
            emit(Progress("gate", challenge.label, note=f"judging again: {error.problem}"))


def settle(kind: Kind, case: Case) -> tuple[Verdict, Entry]:
    """Recall or reach a verdict, and commit what is new about it.

    Raises ChampionChanged if the ledger has grown since the case was opened.
    """
    known = recall(case)
    if known and known[0].verdict != "current" and not registrations.holds_version(case.challenge.model, case.who):
        known = None  # the champion is gone, or has another number, which is news
    if known is None:
        ownership.read_own_decisions(case.challenge.model)  # where another ledger decides, this one must not
        verdict = judge(case, kind.gate.load())
        about = standing.find_latest_about(case.entries, case.challenge.who)
        if about is None or about.verdict != verdict.as_json():
            return verdict, ledger.append(case.draft(verdict), expected=len(case.entries))
        known = verdict, about  # refused once more, for the same reasons
    if case.challenge.trigger and not standing.has_last_trigger(case.entries, case.challenge.trigger):
        ledger.append(case.draft(known[0], action="noted"), expected=len(case.entries))
    return known


def write_verdict(folder: Path, *, verdict: dict, metric: str, model: str, mlflow_run: str) -> VerdictSummary:
    """Fill the artefact's folder with `verdict.json`, and show the verdict in MLflow, at the run and at the version.

    Raises ServiceError (E-SVC-004).
    """
    summary = VerdictSummary(rows=1, **verdict)
    if mlflow_run:
        tags = {VERDICT: summary.verdict, REASON: summary.reasons[0]}
        recording.record_settings(mlflow_run, tags={**tags, recording.METRIC: metric})
        recording.record_json(mlflow_run, "verdict.json", verdict)
        registrations.tag_version(model, summary.challenger, tags)
    (folder / "verdict.json").write_text(json.dumps(verdict, indent=1, allow_nan=False), encoding="utf-8")
    return summary


def keep_verdict(verdict: Verdict, entry: Entry, *, metric: str, mlflow_run: str) -> Artefact:
    """Keep a verdict as an artefact, shown in an MLflow run the first time."""
    shown = {**verdict.as_json(), "entry": entry.number}
    told = {"verdict": shown, "metric": metric, "model": entry.model, "mlflow_run": mlflow_run}
    config = {**told, "store": mlflow_client.store_name()}
    return artefacts.build("gate", partial(write_verdict, **told), module=__name__, config=config)


def project_aliases(challenge: Challenge) -> None:
    """Have MLflow's aliases follow the ledger; that a champion is gone is what the verdict says already."""
    champion = ledger.read_entries(challenge.model)[-1].who(CHAMPION)
    is_renumbered = champion.is_same(challenge.who) and champion != challenge.who
    try:
        aliases.project(challenge.model, anew=is_renumbered)
    except IntegrityError as error:
        if error.code != GONE:
            raise
        logger.info("%s", error)


@task(name="gate", cache_policy=NO_CACHE, persist_result=False)
def gate(
    kind: Kind, run: RunContext, lineage: Lineage, registered: Artefact, settings: GateSettings, *, trigger: str = ""
) -> Artefact:
    """Decide whether a registered model becomes champion; `trigger` is what the training run was started from."""
    challenge = open_challenge(kind, run, lineage, registered, trigger)
    verdict, entry = decide(kind, challenge, settings)
    project_aliases(challenge)
    emit(Progress("gate", challenge.label, note=verdict.reasons[0]))
    # A model's own run goes on showing what was said of it then, so that running it again changes nothing.
    own = entry.mlflow_run == challenge.mlflow_run
    shown = replace(Verdict.from_json(entry.verdict) if own else verdict, challenger=challenge.version)
    return keep_verdict(shown, entry, metric=settings.metric, mlflow_run=challenge.mlflow_run)
