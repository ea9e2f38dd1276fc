"""The flow of one candidate: what a worker of the GPU pool runs for the flow `train`."""

from typing import Any

from prefect import flow

from flows.lifecycle import LIFECYCLE
from tasks.contract.candidate import Candidate
from tasks.fit import fit
from tasks.kinds import find_kind
from tasks.progress import listening
from tasks.store import artefacts
from tasks.tracking import dashboard
from tasks.tracking.outbox import tracking_epochs


@flow(name="fit", **LIFECYCLE)
def fit_candidate(
    kind: str,
    shards: str,
    candidate: dict[str, Any],
    *,
    resume: bool = True,
    refresh: bool = False,
    initial: str = "",
    parent: str = "",
    mlflow_run: str = "",
) -> str:
    """Fit one candidate and return the artefact's reference; the flow train sends its candidates here.

    Args:
        kind: The kind of problem, as recipes name it.
        shards: The shards to fit on, `shard/<key>`.
        candidate: The model, and how it is trained, as a recipe of this kind says it.
        resume: Go on from the last checkpoint of an interrupted fit.
        refresh: Fit although the result is there.
        initial: Weights to start from, `initial/<key>`; empty starts afresh.
        parent: The flow run that sent the candidate.
        mlflow_run: The MLflow run of that flow run, under which the curves appear.
    """
    run = dashboard.run_context("", parent_flow_run_id=parent, mlflow_run=mlflow_run)
    found = find_kind(kind)
    start = artefacts.open_artefact(initial) if initial else None
    with artefacts.refreshing(refresh), tracking_epochs(run) as live, listening(dashboard.progress_bars(), live):
        return fit(
            found,
            artefacts.open_artefact(shards),
            found.recipe.settings_of("candidates", Candidate).model_validate(candidate),
            resume=resume,
            initial=start,
            tracked_as=parent or run.flow_run_id,
        ).reference
