"""The flow and the command that watch a model, and the automation that answers a drift, on a server of their own."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.utilities.callables import parameter_schema

from flows.commands.monitoring import monitor as monitor_command
from flows.monitor import monitor
from rnnmodels.durable import sha256_of_file
from tasks.contract.profile import Profile
from tasks.errors import InputError
from tasks.labelled.profile import profile_rows
from tasks.monitoring.seen import record_seen
from tasks.panel.profile import profile_windows
from tasks.promotion import named_models
from tasks.registry.registered_model import RegisteredModel

REACTION_LIMIT_S = 20


def rows(num_rows: int, *, length: float) -> Profile:
    rng = np.random.default_rng(num_rows)
    positive = rng.random(num_rows) * 0.9 + 0.05
    return profile_rows(
        {
            "length": np.round(rng.lognormal(np.log(length), 0.3, num_rows)),
            "oov_share": rng.binomial(50, 0.05, num_rows) / 50,
        },
        probabilities=np.column_stack([1 - positive, positive]),
        labels=("neg", "pos"),
    )


def windows(num_windows: int, *, level: float, begin: int = 0, as_reference: bool = False) -> Profile:
    """Windows of a day of one series, counted as a forecaster of it counts them."""
    rng = np.random.default_rng(num_windows)
    days = begin + np.arange(num_windows)
    numbers = {"level.load": rng.normal(level, 0.3, num_windows), "error.load": rng.lognormal(-1, 0.3, num_windows)}
    places = {"series": ["north"] * num_windows, "begin": 24 * days, "end": 24 * days + 23}
    return profile_windows(pl.DataFrame(places | numbers), as_reference=as_reference)


def registered(model: RegisteredModel, kind: str, reference: Profile) -> RegisteredModel:
    """A registered version, of which the monitor needs the reference alone."""
    model.parts.mkdir(parents=True)
    path = model.parts / "profile.json"
    path.write_text(json.dumps(reference.as_json()))
    serving = {"format": 2, "kind": kind, "sha256": {"profile.json": sha256_of_file(path)}}
    (model.parts / "serving.json").write_text(json.dumps(serving))
    return model


@pytest.fixture(autouse=True)
def champion(project: Path, monkeypatch: pytest.MonkeyPatch) -> RegisteredModel:
    model = RegisteredModel(name="reviews", version="3", artifact_uri="", folder=project / "model")
    registered(model, "classify", rows(1000, length=100))
    monkeypatch.setattr(named_models, "resolve_model", lambda _: model)
    return model


@pytest.fixture
def forecaster(champion: RegisteredModel, project: Path, monkeypatch: pytest.MonkeyPatch) -> RegisteredModel:
    model = RegisteredModel(name="loads", version="2", artifact_uri="", folder=project / "forecaster")
    registered(model, "forecast", windows(100, level=0, as_reference=True))
    monkeypatch.setattr(named_models, "resolve_model", lambda _: model)
    return model


def wait_until(happens: Callable[[], object], *, limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while not happens():
        assert time.monotonic() < deadline, f"not within {limit_s} s"
        time.sleep(0.1)


def ask(url: str, path: str, **body: object) -> dict | list:
    return httpx.post(f"{url}/{path}", json=body, trust_env=False).raise_for_status().json()


def drifts(url: str, name: str) -> list[dict]:
    """The events of drifts of a model."""
    events = ask(url, "events/filter", filter={"event": {"name": ["rnnflow.drift"]}})["events"]
    return [event for event in events if event["resource"]["prefect.resource.id"] == f"rnnflow.model.{name}"]


@flow(name="retrain")
def stand_in() -> None:
    """Stands for the training that an automation starts."""


def automate_retraining() -> str:
    """Start the deployment `retrain`, whose id is returned, at each drift of this model; no worker takes its runs."""
    deployment_id = stand_in.from_source(
        source=str(Path(__file__).parent), entrypoint="test_monitor.py:stand_in"
    ).deploy(name="retrain", work_pool_name="cpu", build=False, push=False, print_next_steps=False)
    trigger = EventTrigger(
        expect={"rnnflow.drift"},
        match={"prefect.resource.id": "rnnflow.model.reviews"},
        posture=Posture.Reactive,
        threshold=1,
    )
    action = RunDeployment(source="selected", deployment_id=deployment_id)
    with get_client(sync_client=True) as client:
        client.create_automation(AutomationCore(name="retrain on drift", trigger=trigger, actions=[action]))
    return str(deployment_id)


def test_a_schedule_older_than_the_first_model_is_skipped(monkeypatch: pytest.MonkeyPatch):
    def find_none(reference: str) -> None:
        raise InputError("E-REG-001", f'model "{reference}" is not registered in "mlruns".', fix="train one.")

    monkeypatch.setattr(named_models, "resolve_model", find_none)

    state = monitor.fn("reviews")

    assert (state.name, state.message) == ("Skipped", 'skipped, model "reviews" is not registered in "mlruns".')


def test_a_drift_starts_one_training_within_seconds_however_often_it_is_seen(server, champion):
    made = httpx.post(f"{server}/work_pools/", json={"name": "cpu", "type": "process"}, trust_env=False)
    assert made.status_code in (httpx.codes.CREATED, httpx.codes.CONFLICT), "other tests of this server may have it"
    retraining = automate_retraining()
    record_seen(champion.label, rows(600, length=200), source="predict", batch="a")

    found = [monitor("reviews") for _ in range(2)]

    started = lambda: [run for run in ask(server, "flow_runs/filter") if run["deployment_id"] == retraining]  # noqa: E731
    wait_until(started, limit_s=REACTION_LIMIT_S)
    assert [one["alarmed"] for one in found] == [True, False]
    assert [one["drifted"] for one in found] == [True, True]
    monitor("reviews")
    assert len(started()) == 1
    [event] = drifts(server, "reviews")
    assert event["payload"]["sentence"] == (
        "reviews/3 saw 600 rows in 30 days that differ from its validation rows: "
        "mean length in tokens from 105.2 to 207.0."
    )


def test_the_run_shows_its_finding_in_words_and_figures(server, champion):
    record_seen(champion.label, rows(600, length=100), source="predict", batch="a")

    state = monitor("reviews", return_state=True)

    assert state.message == ("reviews/3 saw 600 rows in 30 days: they resemble its validation rows, within the limits.")
    run_id = str(state.state_details.flow_run_id)
    artifacts = {one["key"]: one for one in ask(server, "artifacts/filter") if one["flow_run_id"] == run_id}
    table = json.loads(artifacts["drift-reviews-table"]["data"])
    assert [row["what"] for row in table][:3] == ["mean length in tokens", "share of unknown tokens", "mean confidence"]
    assert {row["drifted"] for row in table} == {"no"}
    assert artifacts["drift-reviews"]["data"].startswith("# reviews/3: stable\n\nreviews/3 saw 600 rows")


def test_a_drift_of_series_is_shown_and_alarmed_once_as_that_of_texts_is(server, forecaster):
    record_seen(forecaster.label, windows(60, level=2, begin=200), source="serve", batch="a")

    states = [monitor("loads", return_state=True) for _ in range(2)]

    assert [state.result()["alarmed"] for state in states] == [True, False]
    sentence = (
        "loads/2 saw 60 windows in 30 days that differ from its validation rows: "
        'mean level of "load" from +0.01 to +2.05.'
    )
    assert states[0].message == sentence
    run_id = str(states[0].state_details.flow_run_id)
    artifacts = {one["key"]: one for one in ask(server, "artifacts/filter") if one["flow_run_id"] == run_id}
    table = json.loads(artifacts["drift-loads-table"]["data"])
    assert {row["what"]: row["drifted"] for row in table} == {
        'mean level of "load"': "yes",
        'mean forecast error of "load"': "no",
    }
    assert artifacts["drift-loads"]["data"].startswith(f"# loads/2: drifted\n\n{sentence}\n\n0 of the windows")
    wait_until(lambda: drifts(server, "loads"), limit_s=REACTION_LIMIT_S)
    [event] = drifts(server, "loads")
    assert (event["payload"]["sentence"], event["payload"]["unit"]) == (sentence, "windows")


def test_few_rows_end_without_a_table(server):
    state = monitor("reviews", return_state=True)

    assert state.is_completed()
    assert state.message == "reviews/3 saw 0 rows in 30 days: too few to judge, at least 500 are needed."


@pytest.mark.parametrize("parameter", ["window_days", "min_rows", "psi_limit", "model"])
def test_every_parameter_of_the_form_is_described(parameter):
    field = parameter_schema(monitor).properties[parameter]

    assert field["description"].endswith(".")
    assert "minimum" in field or "exclusiveMinimum" in field or parameter == "model"


def test_the_command_prints_one_json_object(champion):
    record_seen(champion.label, rows(600, length=200), source="serve", batch="a")

    result = CliRunner().invoke(monitor_command, ["reviews", "--json"])

    fields = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (fields["model"], fields["drifted"], fields["rows"]) == ("reviews/3", True, 600)


def test_the_command_says_what_moved(champion):
    record_seen(champion.label, rows(600, length=200), source="serve", batch="a")

    result = CliRunner().invoke(monitor_command, ["reviews", "--window-days", "7"])

    assert result.exit_code == 0
    assert result.stdout.startswith(
        "reviews/3 saw 600 rows in 7 days that differ from its validation rows: mean length in"
    )
    assert "share of unknown tokens" in result.stdout


def test_the_command_only_looks(champion, project):
    record_seen(champion.label, rows(600, length=200), source="serve", batch="a")

    CliRunner().invoke(monitor_command, ["reviews"])

    assert [path.name for path in (project / "data" / "seen" / "reviews").iterdir()] == ["3"]


def test_the_command_names_a_model_without_a_reference(champion):
    (champion.parts / "serving.json").write_text(json.dumps({"format": 1, "kind": "classify", "sha256": {}}))

    result = CliRunner().invoke(monitor_command, ["reviews", "--json"])

    assert result.exit_code == 2
    assert result.stderr.startswith(
        "E-MON-001 model reviews/3 was registered without a profile of its validation rows, or by a release"
    )
    assert json.loads(result.stdout)["error"]["code"] == "E-MON-001"


def test_looking_needs_neither_prefect_nor_torch():
    code = "import tasks.monitoring.examination, sys; print(sorted({'prefect', 'mlflow', 'torch'} & set(sys.modules)))"

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == "[]"
