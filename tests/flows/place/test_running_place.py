"""A place that is up, with stand-ins for Prefect and MLflow under the real supervisor."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from flows.commands.place import status, up
from flows.place.down import take_down
from flows.place.missed import crash_lost_runs, skip_missed_runs
from flows.place.prefect_api import ask
from flows.place.services import prefect_server
from flows.place.settings import PlaceSettings, mlflow_address_file
from flows.place.status import look_at_place
from flows.place.supervision import part_states
from flows.place.up import Arrival, bring_up
from tasks.errors import InputError
from tasks.store.artefacts import home

pytestmark = pytest.mark.costly

QUIET = Console(quiet=True)
PARTS = ("prefect", "mlflow", "cpu-1", "gpu-1")


def wait_until(condition: Callable[[], bool], limit_s: float = 15) -> None:
    deadline = time.monotonic() + limit_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def test_everything_answers_when_up_returns(shared_arrival: tuple[Path, Arrival], shared: PlaceSettings):
    assert shared_arrival[1] == Arrival(settings=shared, started=PARTS, deployed=True, skipped_runs=0)
    assert [(part.name, part.state) for part in look_at_place().parts] == [(name, "running") for name in PARTS]
    assert look_at_place().is_well
    assert json.loads(mlflow_address_file().read_text()) == {"address": shared.mlflow}


def test_what_is_deployed_leaves_the_project_folder_to_each_worker(shared: PlaceSettings):
    assert ask(f"{shared.prefect_api}/_deployments")[0] == {"name": "train", "home": ""}


def test_a_second_up_finds_nothing_to_do(shared: PlaceSettings):
    before = {name: part.pid for name, part in part_states().items()}

    arrival = bring_up(shared, QUIET)

    assert (arrival.started, arrival.deployed) == ((), False)
    assert {name: part.pid for name, part in part_states().items()} == before


def test_a_changed_file_is_deployed_again(shared: PlaceSettings):
    (home() / "prefect.yaml").write_text("deployments:\n  - name: train\n  - name: mine\n")

    assert bring_up(shared, QUIET).deployed
    assert "mine" in [one["name"] for one in ask(f"{shared.prefect_api}/_deployments")]
    assert not bring_up(shared, QUIET).deployed


@pytest.mark.parametrize("name", PARTS[1:])
def test_a_killed_part_is_named_and_comes_back(shared: PlaceSettings, name: str):
    killed = part_states()[name].pid

    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: part_states()[name].deaths == 1)
    wait_until(lambda: look_at_place().is_well)
    if name == "mlflow":  # for a moment the killed server's own child may answer in its place
        wait_until(lambda: part_states()[name].state == "RUNNING" and look_at_place().is_well)

    part = next(part for part in look_at_place().parts if part.name == name)
    assert (part.deaths, part.last_death) == (1, "terminated by SIGKILL")
    assert part.pid != killed


def test_status_prints_every_part_and_the_log_of_the_silent(shared: PlaceSettings):
    assert CliRunner().invoke(status).exit_code == 0
    os.kill(part_states()["cpu-1"].pid, signal.SIGSTOP)
    os.kill(part_states()["prefect"].pid, signal.SIGSTOP)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("flows.place.prefect_api.HEALTH_LIMIT_S", 0.5)
            shown = CliRunner().invoke(status)
    finally:
        for name in ("prefect", "cpu-1"):
            os.kill(part_states()[name].pid, signal.SIGCONT)

    lines = {line.split("  ")[0].strip(): line for line in shown.output.splitlines()}
    assert shown.exit_code == 1
    state = next(word for word in ("starting", "not answering") if word in lines["Prefect server"])
    assert "running" in lines["MLflow server"]
    assert "waiting" in lines["worker cpu-1 (CPU)"]
    trouble = f"Prefect server: {state}; {home()}/data/place/prefect.log ends with\n    It listens.\n"
    assert shown.output.endswith(trouble)
    wait_until(lambda: look_at_place().is_well)


def test_status_as_json_is_one_object(shared: PlaceSettings):
    wait_until(lambda: look_at_place().is_well)  # a part that another test disturbed may still come back

    shown = json.loads(CliRunner().invoke(status, ["--json"]).output)

    assert (shown["well"], shown["is_up"]) == (True, True), shown
    assert [part["name"] for part in shown["parts"]] == list(PARTS)


def test_up_prints_where_everything_is(shared: PlaceSettings):
    options = ["--prefect-port", str(shared.prefect_port), "--mlflow-port", str(shared.mlflow_port)]

    shown = CliRunner().invoke(up, options)

    assert shown.stdout == (
        "The place was up already.\n"
        f"  Prefect  http://127.0.0.1:{shared.prefect_port}/v2/dashboard\n"
        f"  MLflow   http://127.0.0.1:{shared.mlflow_port}/#/experiments?workflowType=machine_learning\n"
        "  Workers  pool cpu; pool gpu on the CPU, as no GPU was found\n"
        "Train a recipe on its page under Deployments in Prefect (Run, Quick run), or with: rnnflow train RECIPE\n"
        "Check it with `rnnflow status`; stop it with `rnnflow down`.\n"
    )


def test_a_running_place_keeps_its_settings(shared: PlaceSettings):
    with pytest.raises(InputError, match="E-CFG-014 this place is up with other settings"):
        bring_up(replace(shared, mlflow_port=shared.mlflow_port + 1), QUIET)


def test_servers_of_others_are_used_instead_of_own(
    shared: PlaceSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    theirs = home()
    monkeypatch.setenv("RNNFLOW_HOME", str(tmp_path))
    (tmp_path / "prefect.yaml").write_text("deployments:\n  - name: train\n")
    given = replace(shared, given_prefect=shared.prefect_api, given_mlflow=shared.mlflow)
    try:
        assert bring_up(given, QUIET).started == ("cpu-1", "gpu-1")
        wait_until(lambda: [part.state for part in look_at_place().parts] == ["running"] * 4)
    finally:
        take_down(QUIET)
    monkeypatch.setenv("RNNFLOW_HOME", str(theirs))
    assert {part.name: part.state for part in look_at_place().parts}["prefect"] == "running"


def test_commands_use_the_servers_of_a_running_place(shared: PlaceSettings, monkeypatch: pytest.MonkeyPatch):
    with prefect_server() as server:
        assert (server.url, server.own) == (shared.prefect_api, None)
        assert server.dashboard == shared.prefect_pages == os.environ["PREFECT_UI_URL"]
        assert os.environ["MLFLOW_TRACKING_URI"] == shared.mlflow
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with prefect_server():
        assert os.environ["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:9"


def test_runs_lost_in_a_power_loss_are_closed(shared: PlaceSettings):
    ask(f"{shared.prefect_api}/_run", {"id": "lost", "state_type": "PENDING"})

    assert crash_lost_runs(replace(shared, host="192.0.2.1", given_mlflow="")) == 0
    assert crash_lost_runs(shared) == 1
    assert ask(f"{shared.prefect_api}/_runs")["lost"]["state_type"] == "CRASHED"


def test_missed_runs_of_schedules_are_skipped_and_others_wait(shared: PlaceSettings):
    for name, automatic in (("tick-1", True), ("tick-2", True), ("by-hand", False)):
        ask(f"{shared.prefect_api}/_run", {"id": name, "state_type": "SCHEDULED", "auto_scheduled": automatic})

    assert skip_missed_runs(shared) == 2

    runs = ask(f"{shared.prefect_api}/_runs")
    assert [runs[name]["state_type"] for name in ("tick-1", "tick-2", "by-hand")] == ["CANCELLED"] * 2 + ["SCHEDULED"]
    assert runs["tick-1"]["name"] == "Skipped"
