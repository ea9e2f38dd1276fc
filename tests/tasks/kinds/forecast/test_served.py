"""The process that serves a forecaster: it follows its champion, starts without MLflow, and counts what it is sent."""

import datetime
import json
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from flows.commands.monitoring import monitor
from tasks.contract.contest import Contest
from tasks.contract.lineage import Lineage
from tasks.contract.registration import RegistrySettings
from tasks.kinds.forecast.recipe import FORECAST
from tasks.monitoring import examination
from tasks.monitoring.seen import sum_seen
from tasks.promotion.overrides import promote
from tasks.register import register
from tasks.tracking.outbox import end_run
from tasks.tracking.runs import RunContext
from tests.tasks.serving.running import JSON, Server, serving, wait_for_version

DEAD_SERVER = "http://127.0.0.1:9"  # the port of the protocol `discard`, which nothing speaks any more
CAPS = ("poll_s=0.3", "drain_s=5")


@pytest.fixture(scope="module")
def rival_loads(
    tmp_path_factory: pytest.TempPathFactory, loads_home: Path, loads: tuple[Lineage, Contest]
) -> Iterator[Path]:
    """A project with two forecasters of the loads, of which the first is champion."""
    home = shutil.copytree(loads_home, tmp_path_factory.mktemp("served_loads") / "home")
    lineage, contest = loads
    others = tuple(scored for scored in contest.candidates if scored is not contest.best)
    rival = Contest(candidates=others, baselines=contest.baselines, settings=contest.settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNFLOW_HOME", str(home))
        run = RunContext(recipe="loads", flow_run_id="flow-2")
        register.fn(FORECAST, run, lineage, rival, RegistrySettings(certificate_rows=8))
        end_run("flow-2", "COMPLETED")
        promote("loads/1", reason="to be served")
    return home


@pytest.fixture
def home(rival_loads: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNFLOW_HOME", str(rival_loads))
    return rival_loads


@pytest.fixture
def history(loads_csv: Path) -> pl.DataFrame:
    """Both substations, the last six hours of which hold the covariate alone."""
    is_ahead = pl.int_range(pl.len()).over("station") >= 480 - 6
    return pl.read_csv(loads_csv).with_columns(load=pl.when(is_ahead).then(None).otherwise("load"))


def question(history: pl.DataFrame) -> bytes:
    return json.dumps({"rows": history.to_dicts()}).encode()


def ask_all(home: Path, *bodies: bytes) -> None:
    """Ask a server one question after another, and end it, so that it records what it saw."""
    with serving(home, "loads/1") as server:
        assert [server.ask(body)[0] for body in bodies] == [200] * len(bodies)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0


def look() -> dict:
    shown = CliRunner().invoke(monitor, ["loads/1", "--json"])
    assert shown.exit_code == 0, shown.output
    return json.loads(shown.stdout)


def test_no_request_fails_while_the_champion_changes(home: Path, history: pl.DataFrame):
    body, stop, answers, failures = question(history), threading.Event(), Counter(), []

    def ask_on(server: Server) -> None:
        connection = server.connect()
        while not stop.is_set():
            connection.request("POST", "/v1/predict", body, JSON)
            response = connection.getresponse()
            answer = json.loads(response.read())
            if response.status != 200 or len(answer["forecasts"]) != 2 * 6 or answer["refused"]:
                failures.append((response.status, answer))
            answers[answer.get("model")] += 1
        connection.close()

    with serving(home, "loads/1", *CAPS) as server:
        threads = [threading.Thread(target=ask_on, args=(server,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for version in ("2", "1"):
            promote(f"loads/{version}", reason="to be served")
            wait_for_version(server, f"loads/{version}")
            assert server.ask(body)[1]["model"] == f"loads/{version}"
        stop.set()
        for thread in threads:
            thread.join()

    assert failures == []
    assert answers
    assert answers.keys() <= {"loads/1", "loads/2"}


def test_without_mlflow_the_last_champion_of_this_machine_answers(home: Path, history: pl.DataFrame):
    with serving(home, "loads/1") as server:
        _, expected, _ = server.ask(question(history))

    environment = {"MLFLOW_TRACKING_URI": DEAD_SERVER, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    with serving(home, "loads/1", **environment) as server:
        status, answer, _ = server.ask(question(history))
        _, state, _ = server.ask(b"", path="/ready", method="GET")

    assert (status, answer) == (200, expected)
    assert (state["status"], state["model"]) == ("degraded", "loads/1")
    assert state["problem"].startswith("E-SVC-004 ")


def test_a_history_counts_once_and_one_that_drifted_is_seen_by_the_monitor(
    home: Path, history: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
):
    shutil.rmtree(home / "data" / "seen", ignore_errors=True)
    ask_all(home, *[question(history)] * 3)
    seen = sum_seen("loads/1", since=datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC))
    # Of the few validation rows there are too few windows, so those of the first history are the reference.
    monkeypatch.setattr(examination, "read_profile", lambda _: seen)

    alike = look()
    moved = history.with_columns(pl.col("time").str.replace("2024-03", "2024-05"), load=pl.col("load") + 3000)
    ask_all(home, *[question(moved)] * 2)
    drifted = look()

    possible = (480 - 6 - 24) // 24 + 1
    assert (alike["rows"], alike["status"], alike["unit"]) == (2 * possible, "stable", "windows")
    assert (drifted["rows"], drifted["status"]) == (4 * possible, "drifted")
    assert 'mean level of "load" from' in drifted["sentence"]
