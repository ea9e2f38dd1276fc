"""The beginning and the end of a place, with stand-ins for Prefect and MLflow under the real supervisor."""

import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from flows.place.down import take_down
from flows.place.prefect_api import answers, ask
from flows.place.processes import processes_of_place
from flows.place.settings import PlaceSettings, mlflow_address_file
from flows.place.status import look_at_place
from flows.place.supervision import socket_path
from flows.place.up import Arrival, bring_up
from tasks.errors import ServiceError
from tasks.store.artefacts import home

pytestmark = pytest.mark.costly

QUIET = Console(quiet=True)
Up = Callable[[], Arrival]
PARTS = ("prefect", "mlflow", "cpu-1", "gpu-1")


def wait_until(condition: Callable[[], bool], limit_s: float = 15) -> None:
    deadline = time.monotonic() + limit_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def flow_processes() -> list[str]:
    return [line for line in (" ".join(one.cmdline()) for one in processes_of_place()) if "time.sleep" in line]


def test_down_gives_every_flow_run_a_final_state_and_leaves_no_process(
    up: Up, settings: PlaceSettings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("flows.place.down.CANCEL_LIMIT_S", 2)
    up()
    for name in ("mild", "stubborn"):
        ask(f"{settings.prefect_api}/_run", {"id": name})
    wait_until(lambda: len(flow_processes()) == 2)

    departure = take_down(QUIET)

    assert departure.was_up
    assert departure.flow_runs == {"mild": "CANCELLED", "stubborn": "CRASHED"}
    assert processes_of_place() == []
    assert not answers(settings.prefect_api)
    assert not mlflow_address_file().exists()
    assert not look_at_place().is_up
    assert not take_down(QUIET).was_up


def test_what_a_dead_supervisor_leaves_is_replaced(up: Up):
    up()
    os.kill(int((home() / "data" / "place" / "supervisor.pid").read_text()), signal.SIGKILL)
    wait_until(lambda: not look_at_place().is_up)
    assert look_at_place().orphans > 0

    assert up().started == PARTS
    assert look_at_place().is_well


def test_what_a_power_loss_leaves_does_not_confuse_and_a_long_odd_path_is_no_hindrance(
    tmp_path: Path, settings: PlaceSettings, monkeypatch: pytest.MonkeyPatch
):
    odd = tmp_path / ("long " * 20) / "50% # ; 'quoted'"
    odd.parent.mkdir()
    home().rename(odd)
    monkeypatch.setenv("RNNFLOW_HOME", str(odd))
    two_gpus = replace(settings, devices=("0", "GPU-1a"))
    try:
        bring_up(two_gpus, QUIET)
        for process in processes_of_place():
            process.kill()
        wait_until(lambda: not processes_of_place())
        assert socket_path().exists()
        assert not look_at_place().is_up

        assert bring_up(two_gpus, QUIET).started == ("prefect", "mlflow", "cpu-1", "gpu-1", "gpu-2")

        assert look_at_place().is_well
        assert [part.title for part in look_at_place().parts][-2:] == [
            "worker gpu-1 (GPU 0)",
            "worker gpu-2 (GPU GPU-1a)",
        ]
        assert ask(f"{settings.prefect_api}/_queues") == {"fits": {"name": "fits", "concurrency_limit": 2}}
        assert not socket_path().is_relative_to(odd)
        assert socket_path().stat().st_mode & 0o777 == 0o600
        assert socket_path().parent.stat().st_mode & 0o777 == 0o700
    finally:
        take_down(QUIET)


def test_a_part_that_cannot_start_is_named_with_the_end_of_its_log(up: Up):
    (home() / "mlflow-fails").touch()

    with pytest.raises(ServiceError) as caught:
        up()

    assert str(caught.value).replace(str(home()), "HOME") == (
        'E-SVC-011 the MLflow server does not answer; its log ends with "the store is broken".\n'
        "Fix: see `rnnflow status` or the whole log (HOME/data/place/mlflow.log), then run `rnnflow up` again."
    )
    mlflow = next(part for part in look_at_place().parts if part.name == "mlflow")
    assert (mlflow.state, mlflow.log_tail[-1]) == ("crashed", "the store is broken")

    (home() / "mlflow-fails").unlink()
    up()
    assert look_at_place().is_well


def test_a_taken_port_is_refused_before_anything_starts(up: Up, settings: PlaceSettings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.prefect_port))
        taken.listen()

        with pytest.raises(ServiceError) as caught:
            up()

    problem, fix = str(caught.value).split("\n")
    assert problem.startswith(
        f'E-SVC-010 the prefect server cannot listen on port {settings.prefect_port} of "127.0.0.1": '
        f"process {os.getpid()} is using it ("
    )
    assert fix == (
        "Fix: end that process, or choose another port, as in `rnnflow up --prefect-port "
        f"{settings.prefect_port + 1}` or RNNFLOW_PREFECT_PORT={settings.prefect_port + 1}."
    )
    assert processes_of_place() == []


def test_a_silent_server_of_others_is_named(up: Up, settings: PlaceSettings):
    silent = "http://127.0.0.1:9/api"

    with pytest.raises(ServiceError, match=f'E-SVC-001 no Prefect server answers at PREFECT_API_URL="{silent}"'):
        bring_up(replace(settings, given_prefect=silent, given_mlflow="http://127.0.0.1:9"), QUIET)
