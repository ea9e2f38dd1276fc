"""`rnnflow sync` says what it sent, and fails as long as MLflow is owed anything."""

import json
import sys
import types

import pytest
from click.testing import CliRunner, Result

from flows.commands import upkeep
from tasks.errors import ServiceError
from tasks.tracking import outbox, runs
from tasks.tracking.outbox_file import open_file
from tasks.tracking.runs import RunContext

pytestmark = pytest.mark.costly

REVIEWS = RunContext(recipe="reviews", flow_run_id="flow-1")
ORDER = {"flow_run_id": "flow-1", "recipe": {"name": "reviews"}}


@pytest.fixture
def finish(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """Stands in for the flow that registers what was deferred; it answers, or raises `error`."""
    stage = types.SimpleNamespace(error=None, orders=[])

    def finish_deferred(order: dict) -> str:
        stage.orders.append(order["flow_run_id"])
        if stage.error is not None:
            raise stage.error
        return "registered reviews/4 as champion"

    train = types.ModuleType("flows.train")
    train.finish_deferred = finish_deferred
    monkeypatch.setitem(sys.modules, "flows.train", train)
    monkeypatch.setattr(upkeep, "_ready_server", upkeep.contextlib.nullcontext)
    return stage


@pytest.fixture
def mlflow_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("RNNFLOW_MLFLOW_WAIT_S", "0")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(upkeep.sync, arguments)


def note_epochs(num_epochs: int) -> None:
    runs.note_run(REVIEWS)
    for epoch in range(num_epochs):
        record = {"kind": "metrics", "child": "gru", "points": [["fit/loss", epoch, 0.5, 1_700_000_000_000]]}
        open_file("flow-1").append(record)


def test_with_nothing_to_send_sync_says_so_without_mlflow(project):
    result = call()

    assert (result.output, result.exit_code) == ("sent 0 records of 0 runs\n", 0)
    assert not (project / "mlruns").exists()


def test_sync_sends_records_once_and_carries_out_what_was_deferred(project, finish):
    note_epochs(11)
    outbox.defer(ORDER)

    assert call().stdout == "sent 12 records of 1 run; registered reviews/4 as champion\n"
    assert call().stdout == "sent 0 records of 0 runs\n"
    assert finish.orders == ["flow-1"]


def test_sync_answers_in_json(project, finish):
    note_epochs(1)
    outbox.defer(ORDER)

    assert json.loads(call("--json").stdout) == {
        "records": 2,
        "runs": 1,
        "pending": 0,
        "failure": "",
        "finished": ["registered reviews/4 as champion"],
    }


def test_sync_fails_while_mlflow_does_not_answer(project, mlflow_down, finish):
    note_epochs(2)
    outbox.defer(ORDER)

    result = call()

    assert result.exit_code == 5
    sent, problem, fix = result.output.splitlines()
    assert sent == "sent 0 records of 0 runs"
    assert problem.startswith(
        'E-SVC-020 3 records and 1 registration still pending: MLflow\'s store "http://127.0.0.1:9" failed: '
    )
    assert fix == "Fix: fix that, then run: rnnflow sync"
    assert finish.orders == []
    assert json.loads(call("--json").stdout)["error"]["code"] == "E-SVC-020"


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ServiceError("E-SVC-004", "MLflow went away.", fix="wait."), "MLflow went away."),
        (ValueError("odd"), "ValueError: odd"),
    ],
)
def test_a_registration_that_fails_again_stays_and_the_next_is_tried(project, finish, error, why):
    finish.error = error
    outbox.defer(ORDER)
    outbox.defer({**ORDER, "flow_run_id": "flow-2"})

    result = call()

    assert result.exit_code == 5
    assert f"E-SVC-020 0 records and 2 registrations still pending: {why}; {why}\n" in result.output
    assert sorted(finish.orders) == ["flow-1", "flow-2"]
    assert len(outbox.deferred()) == 2
