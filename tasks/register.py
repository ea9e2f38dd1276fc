"""Stage `register`: record every candidate, register the best as a model that reads raw data, and prove it.

What is served must be what was evaluated: the registered version is loaded back, fed raw rows, and compared with
what it was judged on, before the gate decides about it.
"""

import json
import tempfile
import textwrap
from collections.abc import Mapping
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.contract.contest import Contest, Scored
from tasks.contract.delivery import RegistrationSummary
from tasks.contract.kind import Kind
from tasks.contract.lineage import Lineage
from tasks.contract.registration import RegistrySettings
from tasks.contract.summaries import FittedSummary
from tasks.progress import Progress, emit
from tasks.registry import registered_model, registrations
from tasks.registry.identity import CHAMPION, Identity
from tasks.registry.packaging import Packaging
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.tracking import outbox, recording, runs
from tasks.tracking.mlflow_client import is_own_store, store_name
from tasks.tracking.recording import CandidateRecord
from tasks.tracking.runs import RunContext

if TYPE_CHECKING:
    from tasks.contract.stages import RegisterModule


def modules_of(kind: Kind) -> tuple[str, ...]:
    """Where the code of a registration begins: the stage, the module that MLflow runs, and the kind's own."""
    return (__name__, kind.served_model, kind.register.name)


def flatten(settings: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Flatten nested settings to `training.seed` and so on."""
    flat: dict[str, object] = {}
    for name, value in settings.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def candidate_record(scored: Scored) -> CandidateRecord:
    """Gather what MLflow shows of a candidate: settings, curves, metrics, where it came from."""
    manifest = scored.model.manifest
    summary = {name: value for name, value in manifest["summary"].items() if name not in ("rows", "name")}
    settled = summary.pop("settled", {})
    horizons = {f"memory_horizon/{cell}": steps for cell, steps in summary.pop("memory_horizon", {}).items()}
    figures = {name: value for name, value in summary.items() if isinstance(value, int | float)}
    return CandidateRecord(
        name=scored.name,
        params={
            **flatten(manifest["config"]),
            **settled,
            **{name: summary[name] for name in summary.keys() - figures.keys()},
        },
        history=json.loads(scored.model.file("history.json").read_bytes()),
        metrics={**figures, **horizons, **scored.metrics},
        tags={"rnnflow.artefact": f"{manifest['stage']}/{scored.model.key}", "rnnflow.code": manifest["code"]},
    )


def record_all(kind: Kind, run: RunContext, lineage: Lineage, contest: Contest) -> tuple[str, str]:
    """Record the flow run, its data and every model in MLflow; returns the ids of its run and of the best one's."""
    parent_id = runs.open_run(run)
    recording.record_lineage(parent_id, lineage.by_name())
    recording.record_settings(parent_id, params=data_settings(lineage), tags=provenance(kind, lineage, contest))
    recording.record_metrics(parent_id, recording.final_points(contest.best.metrics))
    run_ids = {}
    for scored in contest.everyone:
        run_ids[scored.name] = recording.record_candidate(parent_id, candidate_record(scored))
        recording.record_lineage(run_ids[scored.name], {"shards": lineage.shards, "splits": lineage.splits})
    return parent_id, run_ids[contest.best.name]


def data_settings(lineage: Lineage) -> dict[str, object]:
    """Settings of the stages that made the data, seeds included: `split.seed`, `encode.max_size` and so on."""
    stages = (lineage.splits, lineage.encoded, lineage.shards)
    return flatten({stage.stage: stage.manifest["config"] for stage in stages})


def provenance(kind: Kind, lineage: Lineage, contest: Contest) -> dict[str, str]:
    """Name the data and the code of a model; for a kind from another package its version, too."""
    return {
        "rnnflow.best": contest.best.name,
        "rnnflow.data": lineage.rows.digest,
        registrations.SPLITS: lineage.splits.reference,
        registrations.START: FittedSummary.of(contest.best.model).start,
        "rnnflow.code": contest.best.model.manifest["code"],
        "rnnflow.package": metadata.version("rnnflow"),
        "rnnflow.kind": kind.name,
        **({"rnnflow.kind_package": kind.package} if kind.package else {}),
    }


def describe(contest: Contest, registration: "RegisterModule", packaging: Packaging, name: str) -> str:
    """Say in Markdown what a version is, what it scores and how to load it, in lines that run as they stand."""
    imports = ["import mlflow", *(["import pandas"] if packaging.takes_table else [])]
    address = "the address that `rnnflow up` prints" if is_own_store() else f"`{store_name()}`"
    lines = [
        *imports,
        "",
        f'model = mlflow.pyfunc.load_model("models:/{name}@{CHAMPION}")',
        *registration.show_use(packaging).splitlines(),
    ]
    return (
        f"{registration.describe_model(contest)}\n\n"
        f"Set MLFLOW_TRACKING_URI to {address}, then run:\n\n"
        f"{textwrap.indent(chr(10).join(lines), ' ' * 4)}\n"
    )


def register_best(
    folder: Path, *, kind: Kind, run: RunContext, lineage: Lineage, contest: Contest, settings: RegistrySettings
) -> RegistrationSummary:
    """Record everything, register the best candidate and prove it; the gate decides what it is called.

    Raises IntegrityError (E-REG-005, E-REG-006) if the registered model is not the one that was judged.
    """
    best, registration = contest.best, kind.register.load()
    outbox.settle(run)
    emit(Progress("register", note="recording the candidates in MLflow"))
    parent_id, run_id = record_all(kind, run, lineage, contest)
    with tempfile.TemporaryDirectory() as temporary:
        parts = Path(temporary) / registered_model.PARTS
        registration.assemble_parts(parts, lineage, best)
        emit(Progress("register", note=f"certifying that {best.name} ignores padding and batch-mates"))
        certificate = registration.certify_parts(parts, lineage, settings.certificate_rows)
        name = settings.model_name or run.recipe
        tags = {**provenance(kind, lineage, contest), **registration.name_encoder(lineage)}
        tags["rnnflow.flow_run"] = run.flow_run_id
        packaging = registration.choose_packaging(lineage)
        described = {"tags": tags, "description": describe(contest, registration, packaging, name)}
        model = registered_model.log_version(
            name, parts, packaging, module=kind.served_model, run_id=parent_id, fit_run_id=run_id, **described
        )
    emit(Progress("register", note=f"proving that {model.label} answers as it was evaluated"))
    smoke = registration.prove_served(registered_model.load_pyfunc(model), lineage, best)
    facts = RegistrationSummary(
        rows=1,
        name=model.name,
        version=model.version,
        content=model.content,
        mlflow_run=parent_id,
        mlflow_page=runs.run_page(parent_id),
        model_uri=f"models:/{model.label}",
        artifact_uri=model.artifact_uri,
        best=best.name,
        baseline_wins=contest.baseline_wins,
        certificate=certificate,
        smoke=smoke,
    )
    registration.write_example(folder / registration.EXAMPLE, lineage)
    told = facts.model_dump(mode="json", exclude={"rows", "warnings", "problems"})
    record_registration(facts, told, run_id=run_id)
    (folder / "registration.json").write_text(json.dumps(told, indent=1, allow_nan=False), encoding="utf-8")
    return facts


def record_registration(registration: RegistrationSummary, told: dict, *, run_id: str) -> None:
    """Write what was registered and proved into the flow run's MLflow run and into the best model's."""
    parent_id, certificate = registration.mlflow_run, registration.certificate
    recording.record_settings(parent_id, tags={recording.VERSION: f"{registration.name}/{registration.version}"})
    deviations = {f"invariance/{name}": value for name, value in certificate["deviations"].items()}
    recording.record_metrics(run_id, recording.final_points(deviations))
    recording.record_json(run_id, "certificate.json", certificate)
    recording.record_json(parent_id, "registration.json", told)


def is_held(registered: Artefact) -> bool:
    """Tell whether MLflow still holds what a cached registration names; version or folder may have been deleted."""
    registration = RegistrationSummary.of(registered)
    who = Identity(registration.version, registration.content)
    return registrations.holds_version(registration.name, who) and registered_model.holds_artifact(
        registration.artifact_uri
    )


@task(name="register", cache_policy=NO_CACHE, persist_result=False)
def register(kind: Kind, run: RunContext, lineage: Lineage, contest: Contest, settings: RegistrySettings) -> Artefact:
    """Register the best candidate as a model that takes raw rows; the flow run's id is not part of the key."""
    write = partial(register_best, kind=kind, run=run, lineage=lineage, contest=contest, settings=settings)
    config = {"recipe": run.recipe, "store": store_name(), "select_by": contest.settings.select_by}
    config["settings"] = settings.model_dump(mode="json")
    # A model goes on reading as its rows were read, so another reading of the same rows makes another version.
    config["source"] = {name: value for name, value in lineage.rows.manifest["config"].items() if name != "path"}
    inputs = {**lineage.by_name(), **contest.inputs()}
    build = partial(artefacts.build, "register", write, module=modules_of(kind), config=config, inputs=inputs)
    registered = build()
    if registered.cached and not is_held(registered):
        with artefacts.refreshing(True):
            return build()
    return registered
