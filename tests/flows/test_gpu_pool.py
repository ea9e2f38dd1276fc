"""Candidates travel to the GPU pool and back, whatever happens to its workers."""

import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Completed, Crashed, Failed, Pending, Running, Scheduled

from flows import gpu_pool
from flows.gpu_pool import FitOrder
from tasks.errors import IntegrityError, ServiceError
from tasks.fit import origin_of
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.labelled.fit import ClassifierCandidate
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tasks.tracking import leases
from tasks.tracking.runs import RunContext

GRU, LSTM = ClassifierCandidate(name="gru"), ClassifierCandidate(name="lstm")


class Pool:
    """A Prefect server with a work pool: `script` tells the states that each sent fit passes through."""

    def __init__(self, script: dict[str, list[State]], *, online: bool = True) -> None:
        self.script, self.online = script, online
        self.sent: list[dict] = []
        self.states: dict[uuid.UUID, list[State]] = {}
        self.forced: list[State] = []
        self.on_read: Callable[[State], None] = lambda state: None

    def run_deployment(self, name: str, **options: object) -> SimpleNamespace:
        parameters = options["parameters"]
        self.sent.append(parameters)
        flow_run = SimpleNamespace(id=uuid.uuid4())
        attempt = sum(sent["candidate"]["name"] == parameters["candidate"]["name"] for sent in self.sent)
        self.states[flow_run.id] = list(self.script[f"{parameters['candidate']['name']} {attempt}"])
        return flow_run

    def read_flow_run(self, flow_run_id: uuid.UUID) -> SimpleNamespace:
        states = self.states[flow_run_id]
        state = states.pop(0) if len(states) > 1 else states[0]
        self.on_read(state)
        return SimpleNamespace(id=flow_run_id, state=state)

    def set_flow_run_state(self, flow_run_id: uuid.UUID, state: State, *, force: bool = False) -> None:
        self.forced.append(state)
        self.states[flow_run_id] = [state]

    def read_workers_for_work_pool(self, pool: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(status="ONLINE" if self.online else "OFFLINE")]

    def read_deployment_by_name(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(work_pool_name="gpu")


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> FitOrder:
    monkeypatch.setattr(gpu_pool, "POLL_S", 0)
    return FitOrder(
        kind=CLASSIFY,
        run=RunContext(recipe="small", flow_run_id="parent", flow_run_name="brave-owl"),
        shards=committed("shard", {}),
        candidates=(GRU, LSTM),
    )


def committed(stage: str, config: dict) -> Artefact:
    def write(folder: Path) -> dict:
        (folder / "one.json").write_text("{}")
        return Summary.model_validate({"rows": 1})

    return artefacts.build(stage, write, module="tasks.store.artefacts", config=config)


def fit_as_a_worker_does(order: FitOrder, candidate: ClassifierCandidate) -> None:
    artefacts.build(
        "fit",
        lambda folder: Summary.model_validate({"rows": 1, "name": candidate.name}),
        **origin_of(CLASSIFY, order.shards, candidate, None),
    )


def send(monkeypatch: pytest.MonkeyPatch, pool: Pool, order: FitOrder) -> set[str]:
    monkeypatch.setattr(gpu_pool, "run_deployment", pool.run_deployment)

    def fit_completed(state: State) -> None:
        if state.is_completed():
            for candidate in order.candidates:
                fit_as_a_worker_does(order, candidate)

    pool.on_read = fit_completed
    return gpu_pool.fit_on_pool(pool, "gpu", order, order.candidates)


def test_only_references_travel(order: FitOrder, monkeypatch: pytest.MonkeyPatch):
    pool = Pool({"gru 1": [Scheduled(), Running(), Completed()], "lstm 1": [Completed()]})

    assert send(monkeypatch, pool, order) == {"gru", "lstm"}

    sent = pool.sent[0]
    assert sent["shards"] == order.shards.reference
    assert (sent["parent"], sent["initial"], sent["resume"], sent["refresh"]) == ("parent", "", False, False)
    assert sent["candidate"] == GRU.model_dump(mode="json")


def test_a_lost_fit_is_sent_again_to_go_on_from_its_checkpoint(order: FitOrder, monkeypatch: pytest.MonkeyPatch):
    pool = Pool({"gru 1": [Running(), Crashed()], "gru 2": [Completed()], "lstm 1": [Completed()]})

    assert send(monkeypatch, pool, order) == {"gru", "lstm"}
    assert [(sent["candidate"]["name"], sent["resume"]) for sent in pool.sent] == [
        ("gru", False),
        ("lstm", False),
        ("gru", True),
    ]


def test_a_fit_that_is_lost_twice_fails_alone(order: FitOrder, monkeypatch: pytest.MonkeyPatch):
    crashed = [Crashed(message="out of memory")]
    pool = Pool({"gru 1": crashed, "gru 2": crashed, "lstm 1": [Running(), Running(), Running(), Completed()]})

    with pytest.raises(ServiceError) as caught:
        send(monkeypatch, pool, order)

    assert str(caught.value) == (
        'E-FIT-001 not all candidates were fitted on the GPU pool (gru: Crashed, "out of memory").\n'
        "Fix: retry this run: finished fits are kept, and an interrupted one continues from its checkpoint."
    )
    assert gpu_pool.find_fitted(CLASSIFY, order.shards, LSTM, None) is not None


def test_a_failed_fit_is_not_repeated(order: FitOrder, monkeypatch: pytest.MonkeyPatch):
    pool = Pool({"gru 1": [Failed(message="E-TRN-001")], "lstm 1": [Completed()]})

    with pytest.raises(ServiceError, match='gru: Failed, "E-TRN-001"'):
        send(monkeypatch, pool, order)
    assert len(pool.sent) == 2


def test_a_fit_whose_process_died_is_crashed_without_waiting_for_heartbeats(
    order: FitOrder, monkeypatch: pytest.MonkeyPatch
):
    pool = Pool({"gru 1": [Running()], "gru 2": [Completed()], "lstm 1": [Completed()]})
    monkeypatch.setattr(leases, "is_dead", lambda flow_run_id: True)

    assert send(monkeypatch, pool, order) == {"gru", "lstm"}
    assert [state.name for state in pool.forced] == ["Crashed"]


def test_candidates_come_back_when_no_worker_is_left(order: FitOrder, monkeypatch: pytest.MonkeyPatch):
    pool = Pool({"gru 1": [Pending()], "lstm 1": [Completed()]}, online=False)

    assert send(monkeypatch, pool, order) == {"lstm"}
    assert [state.name for state in pool.forced] == ["Returned"]


def test_whatever_ends_the_parent_recalls_its_fits(order: FitOrder, monkeypatch: pytest.MonkeyPatch):
    pool = Pool({"gru 1": [Running()], "lstm 1": [Scheduled()]})

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gpu_pool.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        send(monkeypatch, pool, order)

    assert [state.name for state in pool.forced] == ["Cancelling", "Cancelled"]


def test_an_artefact_under_another_key_is_refused(order: FitOrder, monkeypatch: pytest.MonkeyPatch):
    pool = Pool({"gru 1": [Completed()], "lstm 1": [Cancelled()]})
    monkeypatch.setattr(gpu_pool, "run_deployment", pool.run_deployment)

    with pytest.raises(IntegrityError, match='E-FIT-002 the worker fitted candidate "gru" under a different key'):
        gpu_pool.fit_on_pool(pool, "gpu", order, order.candidates)


def test_without_a_deployment_or_a_worker_there_is_no_pool(caplog: pytest.LogCaptureFixture):
    class Bare(Pool):
        def read_deployment_by_name(self, name: str) -> SimpleNamespace:
            raise ObjectNotFound(Exception())

    assert gpu_pool.find_pool(Pool({})) == "gpu"
    assert gpu_pool.find_pool(Bare({})) == ""
    assert gpu_pool.find_pool(Pool({}, online=False)) == ""
    assert caplog.messages == ["No worker of the pool gpu is online, so candidates are fitted here."]
