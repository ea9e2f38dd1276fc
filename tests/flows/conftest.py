"""Fixtures of the command line, and a Prefect server for the flows."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from flows.outcome import Outcome
from flows.place.prefect_api import answers
from flows.place.services import IDLE_SERVICES, WITHOUT_BLOCKS
from tasks.tracking.empty_database import create_empty

START_LIMIT_S = 120


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Prefect server that all modules share: one takes seconds to start.

    It evaluates automations, which that of Prefect's test harness does not. In all else it is like the server of a
    command, which begins with a finished database and serves no schedules.
    """
    folder = tmp_path_factory.mktemp("prefect")
    create_empty("prefect", folder / "prefect.db")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        **{f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in IDLE_SERVICES if name != "TRIGGERS"},
        **WITHOUT_BLOCKS,
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--no-ui"]
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    url, deadline = f"http://127.0.0.1:{port}/api", time.monotonic() + START_LIMIT_S
    try:
        while not answers(url):
            assert time.monotonic() < deadline, f"Prefect's server did not start within {START_LIMIT_S} s"
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def server(prefect_api: str) -> Iterator[str]:
    """Have a module's flows run on the shared server, the address of which this is."""
    EventsWorker.drain_all(timeout=1, at_exit=False)  # one that another test left knows another server
    with temporary_settings({PREFECT_API_URL: prefect_api, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield prefect_api
    EventsWorker.drain_all(timeout=1, at_exit=False)


@pytest.fixture
def outcome() -> Outcome:
    """A run of two candidates, of which the GRU is better than the LSTM and than the baseline."""
    return Outcome(
        recipe="reviews",
        kind="classify",
        flow_run="0b9c",
        mlflow_run="77aa",
        wall_s=432.1,
        stages=[
            {"name": "ingest", "key": "a1", "cached": True, "wall_s": 0.1},
            {"name": "fit gru", "key": "b2", "cached": False, "wall_s": 134.2},
        ],
        candidates=[scored("lstm", 0.8712, 61.0), scored("gru", 0.8911, 134.2)],
        baselines=[scored("tfidf-logistic", 0.8810, 31.4)],
        best="gru",
        best_baseline="tfidf-logistic",
        baseline_wins=False,
        registered={"name": "reviews", "version": "3", "alias": "champion"},
        gate={"verdict": "first", "reasons": ["First model."]},
        report="data/report/c3/report.html",
        example="data/register/d4/texts.txt",
    )


def scored(name: str, accuracy: float, train_s: float) -> dict:
    """What an outcome says of a model."""
    return {
        "name": name,
        "metrics": {
            "valid": {"accuracy": {"value": accuracy, "low": accuracy - 0.01, "high": accuracy + 0.01}},
            "test": {
                "accuracy": {"value": accuracy - 0.002, "low": accuracy - 0.007, "high": accuracy + 0.003},
                "loss": {"value": 0.271, "low": 0.26, "high": 0.28},
            },
        },
        "train_s": train_s,
    }
