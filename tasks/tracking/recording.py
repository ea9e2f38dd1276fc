"""What MLflow's runs hold: each candidate's settings, curves and metrics, and the data they came from.

Recording is a projection of artefacts on disk: it may be repeated and adds only what is missing. So epochs lost
with a server while fitting are completed when the model is registered. Every function that writes or lists raises
ServiceError (E-SVC-004) if MLflow fails.
"""

import datetime
import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.store.artefacts import Artefact
from tasks.tracking import mlflow_client
from tasks.tracking.mlflow_client import check_name
from tasks.tracking.runs import FITTED_BY, FLOW_RUN, PARENT_RUN, RunContext, find_run, link_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

VERSION = "rnnflow.version"
METRIC = "rnnflow.metric"  # which one decides between champion and challenger
MAX_DIGEST = 36  # characters MLflow keeps of a data set's digest
MAX_METRICS = 1000  # in one call


class Point(NamedTuple):
    """One value of a metric; `at_ms` is when it was seen, in milliseconds since 1970, None if just now."""

    metric: str
    step: int
    value: float
    at_ms: int | None = None


@dataclass(frozen=True, kw_only=True)
class CandidateRecord:
    """What is known of one fitted model: flat parameters, one dict of metrics per epoch, final metrics, tags."""

    name: str
    params: Mapping[str, object] = field(default_factory=dict)
    history: Sequence[Mapping[str, float]] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """One flow run as MLflow knows it; `version` is the model version it registered (`name/3`), else empty.

    metric: the one that decides between champion and challenger; test: its value on the test rows. Empty and None
    until the gate has decided.
    """

    run_id: str
    recipe: str
    name: str
    flow_run_id: str
    started: datetime.datetime
    status: str
    metric: str
    test: float | None
    version: str


def open_child_run(parent_id: str, name: str, *, fitted_by: RunContext | None = None, reopen: bool = False) -> str:
    """Return the id of the child run of that name, creating it at the first call.

    A new one leads to the flow run that fits the candidate, `fitted_by`; with `reopen` an old one does, and runs again.
    """
    condition = f"tags.{PARENT_RUN} = '{parent_id}' AND attributes.run_name = '{check_name(name, what='candidate')}'"
    tags = {} if fitted_by is None else {FITTED_BY: fitted_by.flow_run_id, **link_tags(fitted_by)}
    with mlflow_client.answering():
        client = mlflow_client.connect()
        experiment_id = client.get_run(parent_id).info.experiment_id
        run = find_run(client, [experiment_id], condition)
        if run is None:
            run = client.create_run(experiment_id, run_name=name, tags={PARENT_RUN: parent_id, **tags})
        elif reopen and (run.info.status, run.data.tags.get(FITTED_BY)) != ("RUNNING", tags[FITTED_BY]):
            client.update_run(run.info.run_id, status="RUNNING")
            record_settings(run.info.run_id, tags=tags)
    return run.info.run_id


def record_candidate(parent_id: str, record: CandidateRecord) -> str:
    """Write a fitted model into its child run, end that run and return its id; repeating it changes nothing."""
    run_id = open_child_run(parent_id, record.name)
    record_settings(run_id, params=record.params, tags=record.tags)
    record_metrics(run_id, [*epoch_points(record.history), *final_points(record.metrics)])
    with mlflow_client.answering():
        mlflow_client.connect().set_terminated(run_id, "FINISHED")
    return run_id


def record_settings(
    run_id: str, *, params: Mapping[str, object] | None = None, tags: Mapping[str, str] | None = None
) -> None:
    """Write parameters, which MLflow makes immutable, and tags."""
    with mlflow_client.answering():
        entities = mlflow_client.load_mlflow().entities
        mlflow_client.connect().log_batch(
            run_id,
            params=[entities.Param(name, str(value)) for name, value in (params or {}).items()],
            tags=[entities.RunTag(name, value) for name, value in (tags or {}).items()],
        )


def record_metrics(run_id: str, points: Iterable[tuple]) -> None:
    """Write the points (see `Point`) the run does not hold; what is not finite becomes a tag, as MLflow distorts it."""
    points = [Point(*point) for point in points]
    finite = [point for point in points if math.isfinite(point.value)]
    distorted = [point for point in points if not math.isfinite(point.value)]
    with mlflow_client.answering():
        client, metric = mlflow_client.connect(), mlflow_client.load_mlflow().entities.Metric
        known = _known_steps(client, run_id, finite)
        now_ms = int(time.time() * 1000)
        missing = [metric(p.metric, p.value, p.at_ms or now_ms, p.step) for p in finite if p[:2] not in known]
        for start in range(0, len(missing), MAX_METRICS):
            client.log_batch(run_id, metrics=missing[start : start + MAX_METRICS])
    if distorted:
        tags = {f"not_finite.{point.metric}": f"{point.value} at step {point.step}" for point in distorted}
        record_settings(run_id, tags=tags)


def record_lineage(run_id: str, data: Mapping[str, Artefact]) -> None:
    """Name the artefacts a run was computed from as MLflow data sets, under the digest of their content."""
    with mlflow_client.answering():
        datasets = [_dataset_input(context, artefact) for context, artefact in data.items()]
        mlflow_client.connect().log_inputs(run_id, datasets=datasets)


def record_json(run_id: str, file: str, value: dict) -> None:
    """Write a JSON file among a run's artifacts."""
    with mlflow_client.answering():
        mlflow_client.connect().log_dict(run_id, value, file)


def record_files(run_id: str, files: Iterable[Path], folder: str) -> None:
    """Copy files into a folder of a run's artifacts."""
    with mlflow_client.answering():
        for file in files:
            mlflow_client.connect().log_artifact(run_id, str(file), folder)


def list_runs(limit: int = 100) -> list[TrackedRun]:
    """List flow runs of all recipes, newest first; a project without a store has none."""
    if mlflow_client.is_absent():
        return []
    with mlflow_client.answering():
        client = mlflow_client.connect()
        recipes = {experiment.experiment_id: experiment.name for experiment in client.search_experiments()}
        order = ["attributes.start_time DESC"]
        runs = client.search_runs([*recipes], f"tags.{FLOW_RUN} LIKE '%'", max_results=limit, order_by=order)
    return [_tracked_run(run, recipes[run.info.experiment_id]) for run in runs]


def epoch_points(history: Iterable[Mapping[str, float]]) -> list[Point]:
    """Curves of a fit: one point per metric and epoch."""
    return [
        Point(f"fit/{name}", int(figures["epoch"]), float(value))
        for figures in history
        for name, value in figures.items()
        if isinstance(value, int | float) and name != "epoch" and not isinstance(value, bool)
    ]


def final_points(metrics: Mapping[str, float]) -> list[Point]:
    """Metrics without a course over epochs."""
    return [Point(name, 0, float(value)) for name, value in metrics.items()]


def _known_steps(client: "MlflowClient", run_id: str, points: Sequence[Point]) -> set[tuple[str, int]]:
    """Which metrics a run holds at which steps, as far as some points ask; a metric it never had costs no call."""
    logged = client.get_run(run_id).data.metrics
    names = {point.metric for point in points} & logged.keys()
    return {(name, known.step) for name in names for known in client.get_metric_history(run_id, name)}


def _dataset_input(context: str, artefact: Artefact) -> "DatasetInput":
    entities = mlflow_client.load_mlflow().entities
    dataset = entities.Dataset(
        name=context,
        digest=artefact.digest[:MAX_DIGEST],
        source_type="rnnflow",
        source=json.dumps({"path": f"data/{artefact.stage}/{artefact.key}", "sha256": artefact.digest}),
        profile=json.dumps({"rows": artefact.rows}),
    )
    return entities.DatasetInput(dataset, tags=[entities.InputTag("mlflow.data.context", artefact.stage)])


def _tracked_run(run: "Run", recipe: str) -> TrackedRun:
    metric = run.data.tags.get(METRIC, "")
    return TrackedRun(
        run_id=run.info.run_id,
        recipe=recipe,
        name=run.info.run_name or "",
        flow_run_id=run.data.tags[FLOW_RUN],
        started=datetime.datetime.fromtimestamp(run.info.start_time / 1000, datetime.UTC),
        status=run.info.status,
        metric=metric,
        test=run.data.metrics.get(f"test/{metric}"),
        version=run.data.tags.get(VERSION, ""),
    )
