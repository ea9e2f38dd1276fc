"""One MLflow run per flow run, with a child per candidate; none stays open after its flow run.

A flow run's MLflow run is found by tag, so that a retried flow run continues its own; one that resumes the work of
an earlier flow run takes over that one's. Whoever opens a run has noted it before (`tasks.tracking.outbox_file`), so
that a death at any instant leaves a note of what must be closed.
"""

import contextlib
import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tasks.errors import ServiceError
from tasks.tracking import mlflow_client
from tasks.tracking.outbox_file import open_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Status = Literal["FINISHED", "FAILED", "KILLED"]

FLOW_RUN, FLOW_RUNS = "rnnflow.flow_run", "rnnflow.flow_runs"  # who owns the run now; all that ever did
FITTED_BY = "rnnflow.fitted_by"  # of a candidate's run: the flow run whose process fits it
FLOW_RUN_URL, DESCRIPTION = "rnnflow.flow_run_url", "mlflow.note.content"
PARENT_RUN = "mlflow.parentRunId"
MAX_FLOW_RUNS = 100  # MLflow keeps 8,000 characters of a tag

# How a Prefect state's type reads in MLflow; the hooks of a cancelled flow run are called while it is still cancelling.
STATUS_OF_STATE: Mapping[str, Status] = {
    "COMPLETED": "FINISHED",
    "FAILED": "FAILED",
    "CRASHED": "FAILED",
    "CANCELLED": "KILLED",
    "CANCELLING": "KILLED",
}


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """Which flow run is being tracked: the recipe's name, Prefect's id, name and page of the run.

    mlflow_run: an MLflow run to reopen; continues: an earlier flow run whose MLflow run is reopened.
    parent_flow_run_id: set for a guest, which fits one candidate for that flow run: its curves go below the MLflow
    run of its parent, which it neither changes nor ends.
    """

    recipe: str
    flow_run_id: str
    flow_run_name: str = ""
    flow_run_url: str = ""
    mlflow_run: str = ""
    continues: str = ""
    parent_flow_run_id: str = ""


def open_run(context: RunContext) -> str:
    """Return the id of a flow run's MLflow run, creating or reopening it; for a guest, that of its parent.

    Raises ServiceError (E-SVC-004, E-SVC-023).
    """
    note_run(context)
    with open_file(context.flow_run_id).sending(), mlflow_client.answering():
        return reach_run(mlflow_client.connect(), context)


def note_run(context: RunContext) -> None:
    """Note durably that a flow run's MLflow run is about to be opened."""
    for what in ("flow_run_id", "mlflow_run", "continues", "parent_flow_run_id"):
        if what == "flow_run_id" or getattr(context, what):
            mlflow_client.check_name(getattr(context, what), what=what.replace("_", " "))
    if not context.parent_flow_run_id:
        mlflow_client.check_name(context.recipe, what="recipe name")
    open_file(context.flow_run_id).begin(dataclasses.asdict(context))


def reach_run(client: "MlflowClient", context: RunContext, *, live: bool = True) -> str:
    """Find or create a flow run's MLflow run; call it within `mlflow_client.answering`.

    A `live` flow run makes it its own and has it run; what is only sent later leaves it to whoever owns it by then.
    Raises ServiceError (E-SVC-023) for a guest whose parent has opened none yet.
    """
    if context.parent_flow_run_id:
        return _host_run(client, context)
    experiment_id = _experiment_id(client, context.recipe)
    run = _known_run(client, context, experiment_id)
    if run is None:
        tags = {FLOW_RUN: context.flow_run_id, FLOW_RUNS: context.flow_run_id, **link_tags(context)}
        return client.create_run(experiment_id, run_name=context.flow_run_name or None, tags=tags).info.run_id
    is_new_owner = context.flow_run_id not in run.data.tags.get(FLOW_RUNS, "").split(",")
    if is_new_owner or (live and run.data.tags.get(FLOW_RUN) != context.flow_run_id):
        _take_over(client, run, context)
    if (is_new_owner or live) and run.info.status != "RUNNING":
        client.update_run(run.info.run_id, status="RUNNING")
    return run.info.run_id


def run_page(run_id: str) -> str:
    """Address of a run in MLflow's pages: on the server in use, else where `mlflow ui` would show the project's store.

    Raises ServiceError (E-SVC-004).
    """
    with mlflow_client.answering():
        experiment_id = mlflow_client.connect().get_run(run_id).info.experiment_id
    return f"{mlflow_client.pages_address()}/#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"


def end_owned_run(client: "MlflowClient", flow_run_id: str, status: Status) -> None:
    """End the run that a flow run owns, and its open children; call it within `mlflow_client.answering`."""
    owned = search_runs(client, all_experiments(client), f"tags.{FLOW_RUN} = '{flow_run_id}'")
    children = {run.info.run_id: children_of(client, run) for run in owned}
    for run in owned:
        end_open_runs(client, children[run.info.run_id], status)
        client.set_terminated(run.info.run_id, status)
    same_name = defaultdict(list)
    for child in itertools.chain.from_iterable(children.values()):
        same_name[child.info.run_name].append(child)
    for copies in same_name.values():
        _delete_copies(client, copies, _num_entries)
    kept = _delete_copies(client, owned, lambda run: _num_entries(run) + len(children[run.info.run_id]))
    # A flow run may have opened one and then found all its results made by another at the same time.
    if status == "FINISHED" and not any(_num_entries(run) or children[run.info.run_id] for run in kept):
        for run in kept:
            client.delete_run(run.info.run_id)


def end_fitted_runs(client: "MlflowClient", flow_run_id: str, status: Status) -> None:
    """End what a guest leaves unfinished; a candidate that was fitted is finished by the flow run that registers it."""
    if status != "FINISHED":
        fitted = search_runs(client, all_experiments(client), f"tags.{FITTED_BY} = '{flow_run_id}'")
        end_open_runs(client, fitted, status)


def end_open_runs(client: "MlflowClient", runs: "Iterable[Run]", status: Status) -> None:
    """End those of some runs that still run."""
    for run in runs:
        if run.info.status == "RUNNING":
            client.set_terminated(run.info.run_id, status)


def children_of(client: "MlflowClient", run: "Run") -> "list[Run]":
    """The candidates' runs below a flow run's."""
    return search_runs(client, [run.info.experiment_id], f"tags.{PARENT_RUN} = '{run.info.run_id}'")


def all_experiments(client: "MlflowClient") -> list[str]:
    """Ids of the experiments, one per recipe."""
    return [experiment.experiment_id for experiment in client.search_experiments()]


def search_runs(client: "MlflowClient", experiment_ids: list[str], condition: str) -> "list[Run]":
    """Return the runs that meet a condition, the oldest first."""
    return list(client.search_runs(experiment_ids, condition, order_by=["attributes.start_time ASC"]))


def find_run(client: "MlflowClient", experiment_ids: list[str], condition: str) -> "Run | None":
    """Return the oldest run that meets a condition, if any."""
    return next(iter(search_runs(client, experiment_ids, condition)), None)


def link_tags(context: RunContext) -> dict[str, str]:
    """Tags that lead from an MLflow run to the page of its flow run."""
    url = context.flow_run_url
    return {FLOW_RUN_URL: url, DESCRIPTION: f"[Prefect flow run]({url})"} if url else {}


def _known_run(client: "MlflowClient", context: RunContext, experiment_id: str) -> "Run | None":
    run = _active_run(client, context.mlflow_run)
    for flow_run_id in (context.flow_run_id, context.continues):
        if run is None and flow_run_id:
            run = find_run(client, [experiment_id], f"tags.{FLOW_RUNS} LIKE '%{flow_run_id}%'")
    return run


def _host_run(client: "MlflowClient", guest: RunContext) -> str:
    condition = f"tags.{FLOW_RUNS} LIKE '%{guest.parent_flow_run_id}%'"
    run = _active_run(client, guest.mlflow_run) or find_run(client, all_experiments(client), condition)
    if run is None:
        raise ServiceError(
            "E-SVC-023",
            f"flow run {guest.parent_flow_run_id} has no MLflow run yet that could hold its candidates' runs.",
            fix="let it continue; `rnnflow sync` sends what is pending.",
        )
    return run.info.run_id


def _active_run(client: "MlflowClient", run_id: str) -> "Run | None":
    if not run_id:
        return None
    try:
        run = client.get_run(run_id)
    except mlflow_client.load_mlflow().MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return run if run.info.lifecycle_stage == "active" else None


def _take_over(client: "MlflowClient", run: "Run", context: RunContext) -> None:
    owners = run.data.tags.get(FLOW_RUNS, "").split(",")
    owners = [owner for owner in owners if owner and owner != context.flow_run_id][-MAX_FLOW_RUNS:]
    tags = {FLOW_RUN: context.flow_run_id, FLOW_RUNS: ",".join([*owners, context.flow_run_id]), **link_tags(context)}
    for name, value in tags.items():
        client.set_tag(run.info.run_id, name, value)


def _delete_copies(client: "MlflowClient", runs: "list[Run]", num_entries: "Callable[[Run], int]") -> "list[Run]":
    """Keep the fullest of some runs for one thing and those that are not empty, and delete the others.

    There is more than one where a slow server served a request after its client had given it up and repeated it.
    """
    fullest = max(runs, key=num_entries, default=None)
    kept = [run for run in runs if run is fullest or num_entries(run)]
    for run_id in {run.info.run_id for run in runs} - {run.info.run_id for run in kept}:
        client.delete_run(run_id)
    return kept


def _num_entries(run: "Run") -> int:
    return len(run.data.metrics) + len(run.data.params)


def _experiment_id(client: "MlflowClient", name: str) -> str:
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        location = (
            f"{mlflow_client.ARTIFACT_SCHEME}:/{name}"
            if mlflow_client.store_uri() == mlflow_client.local_store_uri()
            else None
        )
        # Another process may have been faster; its experiment is as good as ours.
        with contextlib.suppress(mlflow_client.load_mlflow().MlflowException):
            return client.create_experiment(name, artifact_location=location)
        experiment = client.get_experiment_by_name(name)
        assert experiment is not None
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return experiment.experiment_id
