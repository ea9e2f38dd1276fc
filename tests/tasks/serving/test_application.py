"""What clients get: answers with their version, refusals as JSON, and nothing without the token."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.testclient import TestClient

from tasks.kinds.classify.serve import TextService
from tasks.monitoring import seen
from tasks.serving.application import create_application
from tasks.serving.champion import ModelFollower
from tasks.serving.settings import settings_for

TOKEN = "0123456789abcdef"


@pytest.fixture
def open_client(follower: ModelFollower) -> Iterator[Callable[..., TestClient]]:
    clients = []

    def open_one(token: str = "", **settings: float) -> TestClient:
        client = TestClient(create_application(follower, settings_for(follower.current.kind, settings), token=token))
        clients.append(client.__enter__())
        return clients[-1]

    yield open_one
    for client in clients:
        client.__exit__(None, None, None)


def test_an_answer_names_the_version_and_what_the_model_saw_of_each_text(open_client, follower: ModelFollower):
    texts = ["A great, moving film!", "", " \n", "zzz qqq", "film " * 500, "film"]

    answer = open_client().post("/v1/predict", json={"texts": texts}).json()

    expected = follower.current.model.predict_probabilities(texts)
    assert answer["model"] == "reviews/1"
    for prediction, row in zip(answer["predictions"], expected, strict=True):
        assert prediction["probabilities"] == pytest.approx({"neg": row[0], "pos": row[1]}, abs=1e-6)
        assert prediction["label"] == max(prediction["probabilities"], key=prediction["probabilities"].get)
    assert [(one["tokens"], one["truncated"]) for one in answer["predictions"]] == [
        *((6, False), (1, False), (1, False), (2, False), (500, True), (1, False))
    ]
    assert [answer["predictions"][index]["oov_share"] for index in (1, 3, 5)] == [1, 1, 0]


def test_rows_with_the_columns_of_the_training_rows_are_answered_as_their_texts(open_client, follower):
    client, texts = open_client(), ["A great, moving film!", "Dull."]

    rows = [{"text": text, "id": 7} for text in texts]
    by_row = client.post("/v1/predict", json={"rows": rows}).json()

    assert by_row == client.post("/v1/predict", json={"texts": texts}).json()
    for row, place, problem in [
        ({"body": "x"}, "rows[1]", 'got no text, expected one in the columns "text".'),
        ({"text": None}, "rows[1]", 'got no text, expected one in the columns "text".'),
        ({"text": 5}, "rows[1].text", "got a number, expected a string or null."),
    ]:
        error = client.post("/v1/predict", json={"rows": [{"text": "a"}, row]}).json()["error"]
        assert (error["code"], error["field"], error["problem"]) == ("E-SRV-013", place, problem)


def test_a_text_of_a_million_tokens_is_answered_or_refused_as_the_cap_says(open_client):
    question = {"texts": ["film", "." * 1_000_000]}

    answered = open_client().post("/v1/predict", json=question)
    refused = open_client(max_tokens=1_000).post("/v1/predict", json=question)

    assert answered.json()["predictions"][1]["tokens"] == 1_000_000
    assert refused.status_code == 422
    assert refused.json()["error"] == {
        "code": "E-SRV-013",
        "field": "texts[1]",
        "problem": "got 1000000 tokens, expected at most max_tokens = 1000.",
        "fix": "shorten the text.",
    }


def test_state_is_told_to_whoever_asks(open_client, follower: ModelFollower):
    client = open_client(max_texts=7, poll_s=3600)

    assert client.get("/health").json() == {"status": "alive"}
    assert client.get("/ready").json() == {"status": "ready", "model": "reviews/1", "problem": None}
    follower.problem = "E-INT-001 reviews/2 is damaged."
    assert client.get("/ready").json() == {
        "status": "degraded",
        "model": "reviews/1",
        "problem": "E-INT-001 reviews/2 is damaged.",
    }
    model = client.get("/v1/model").json()
    assert (model["model"], model["follows"], model["labels"]) == ("reviews/1", "reviews@champion", ["neg", "pos"])
    assert model["limits"]["max_texts"] == 7


def test_the_page_of_the_interface_has_examples_and_every_refusal(open_client):
    described = open_client().get("/openapi.json").json()
    predict = described["paths"]["/v1/predict"]["post"]

    assert predict["requestBody"]["content"]["application/json"]["schema"]["examples"][0]["texts"]
    assert set(predict["responses"]) == {"200", "400", "401", "408", "413", "415", "422", "503"}
    assert described["components"]["schemas"]["PredictAnswer"]["examples"]


def test_with_a_token_only_health_is_open(open_client):
    client = open_client(token=TOKEN)

    assert client.get("/health").status_code == 200
    for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Authorization": "Bearer é"}):
        encoded = {name: value.encode("latin-1") for name, value in header.items()}
        refused = client.post("/v1/predict", json={"texts": ["a"]}, headers=encoded)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert refused.json()["error"]["code"] == "E-SRV-015"
    for path in ("/ready", "/v1/model", "/docs", "/openapi.json", "/health/", "//health", "/none"):
        assert client.get(path).status_code == 401, path
    granted = {"Authorization": f"Bearer {TOKEN}"}
    assert client.post("/v1/predict", json={"texts": ["a"]}, headers=granted).status_code == 200


def test_more_requests_than_may_wait_are_told_when_to_come_back(open_client, monkeypatch: pytest.MonkeyPatch):
    release = threading.Event()
    describe = TextService.add

    def slowly(*arguments: object) -> list[dict]:
        release.wait(10)
        return describe(*arguments)

    monkeypatch.setattr(TextService, "add", slowly)
    client = open_client(max_requests=3)
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(client.post, "/v1/predict", json={"texts": ["a"]}) for _ in range(8)]
        refused = [first_done(asked) for _ in range(5)]
        assert client.get("/health").status_code == 200
        release.set()
        answered = [one.result() for one in asked]

    assert [(one.status_code, one.headers["retry-after"]) for one in refused] == [(503, "1")] * 5
    assert refused[0].json()["error"]["problem"] == "max_requests = 3 requests are already queued or running."
    assert [one.status_code for one in answered] == [200] * 3


def first_done(asked: list):
    from concurrent.futures import FIRST_COMPLETED, wait

    done = wait(asked, return_when=FIRST_COMPLETED, timeout=10).done.pop()
    asked.remove(done)
    return done.result()


def test_a_failure_of_the_model_is_one_line_in_the_log_and_none_of_the_clients_business(
    open_client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail(*_arguments: object) -> None:
        raise RuntimeError("secret\n\x1b[31m")

    monkeypatch.setattr(TextService, "add", fail)

    answer = open_client().post("/v1/predict", json={"texts": ["a"]})

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "E-BUG-001")
    assert "secret" not in answer.text
    assert 'A request failed: RuntimeError "secret\\n\\x1b[31m"' in caplog.text


def test_what_was_seen_is_recorded_when_the_service_ends(open_client, home):
    client = open_client()
    client.post("/v1/predict", json={"texts": ["a", "b", "c"]})
    client.__exit__(None, None, None)

    recorded = list(seen.seen_folder("reviews/1").glob("serve-*.json"))

    assert recorded
    client.__enter__()
