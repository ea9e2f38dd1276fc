"""Language models over HTTP: texts are scored, prompts continued as they are written, and nobody waits for long."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tasks.kinds.language import serve
from tasks.kinds.language.serve import Prompt
from tasks.kinds.language.served_language_model import ServedLanguageModel
from tasks.promotion import named_models
from tasks.registry.registered_model import RegisteredModel
from tasks.serving.application import REFUSALS, create_application
from tasks.serving.champion import ModelFollower, load_served
from tasks.serving.settings import settings_for
from tests.tasks.kinds.language.small_models import pack
from tests.tasks.serving.hostile import hostile_bodies

JSON = {"Content-Type": "application/json"}
TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> RegisteredModel:
    folder = tmp_path_factory.mktemp("serving")
    pack(folder / "artifacts" / "parts")
    return RegisteredModel(name="small", version="1", artifact_uri="", folder=folder)


@pytest.fixture
def follower(registered: RegisteredModel) -> ModelFollower:
    return ModelFollower(named_models.parse_reference("small@champion"), load_served(registered))


@pytest.fixture
def model(follower: ModelFollower) -> ServedLanguageModel:
    return follower.current.model


@pytest.fixture
def open_client(follower: ModelFollower, project: Path) -> Iterator[Callable[..., TestClient]]:
    clients = []

    def open_one(token: str = "", **settings: float) -> TestClient:
        application = create_application(follower, settings_for(follower.current.kind, settings), token=token)
        client = TestClient(application, raise_server_exceptions=False)
        clients.append(client.__enter__())
        return clients[-1]

    yield open_one
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(open_client: Callable[..., TestClient]) -> TestClient:
    return open_client()


def events_of(text: str) -> list[dict]:
    *events, rest = text.split("\n\n")
    assert rest == ""
    assert all(event.startswith("data: ") for event in events)
    return [json.loads(event.removeprefix("data: ")) for event in events]


def refusal(client: TestClient, path: str, question: object) -> tuple:
    answer = client.post(path, json=question)
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    return error["code"], error["field"], error["problem"]


def test_texts_are_scored_in_their_order(client: TestClient, model: ServedLanguageModel):
    texts = ["The king went on.", "", "The queen said: “Go, café!”"]

    answer = client.post("/v1/predict", json={"texts": texts}).json()

    expected = model.score_texts(texts)
    assert answer["model"] == "small/1"
    assert [one["nats"] for one in answer["predictions"]] == pytest.approx(expected["nats"].to_list())
    assert [one["num_chars"] for one in answer["predictions"]] == [18, 1, 28]
    assert [one["nats_per_char"] for one in answer["predictions"]] == pytest.approx(
        (expected["nats"] / expected["num_chars"]).to_list()
    )
    assert all(one["perplexity"] > 1 for one in answer["predictions"])


def test_an_empty_text_without_an_end_has_no_mean(tmp_path: Path):
    [score] = map(serve.to_score, pack(tmp_path / "book", closed=False).score_texts([""]).to_dicts())

    assert score == {"nats_per_char": None, "nats": 0, "num_chars": 0, "num_tokens": 0, "perplexity": None}


def test_a_prompt_is_continued_in_pieces_and_the_last_event_is_the_whole(
    client: TestClient, model: ServedLanguageModel
):
    answer = client.post("/v1/generate", json={"prompt": "The king", "length": 50, "seed": 7})

    *pieces, whole = events_of(answer.text)
    expected = "".join(model.generate("The king", length=50, seed=7))
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert "".join(piece["text"] for piece in pieces) == expected
    assert len(pieces) > 20
    assert whole == {
        "model": "small/1",
        "generated_text": expected,
        "num_tokens": 50,
        "finish_reason": "length",
        "seed": 7,
    }


def test_the_whole_may_be_asked_for_alone(client: TestClient):
    question = {"prompt": "The king", "length": 50, "seed": 7}

    whole = client.post("/v1/generate", json={**question, "stream": False})

    assert whole.headers["content-type"] == "application/json"
    assert whole.json() == events_of(client.post("/v1/generate", json=question).text)[-1]


def test_a_text_without_a_seed_can_be_written_again(client: TestClient):
    first = client.post("/v1/generate", json={"length": 30, "stream": False}).json()

    again = client.post("/v1/generate", json={"length": 30, "stream": False, "seed": first["seed"]}).json()

    assert again == first


def test_a_model_that_ends_a_text_says_so(client: TestClient, model: ServedLanguageModel):
    model.model.output_bias.data[0] = 100

    [whole] = events_of(client.post("/v1/generate", json={"length": 30}).text)

    assert (whole["generated_text"], whole["num_tokens"], whole["finish_reason"]) == ("", 0, "end")


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({"prompt": 3}, ("E-SRV-013", "prompt", "got a number, expected a string.")),
        ({"prompt": "a", "length": 0}, ("E-SRV-013", "length", "got 0, expected at least 1.")),
        ({"length": 10_001}, ("E-SRV-013", "length", "got 10001 tokens, expected at most max_length = 10000.")),
        ({"length": 1.5}, ("E-SRV-013", "length", "got a number, expected a whole number.")),
        ({"temperature": -1}, ("E-SRV-013", "temperature", "got -1, expected at least 0.")),
        ({"temperature": 101}, ("E-SRV-013", "temperature", "got 101, expected at most 100.")),
        ({"top_p": 0}, ("E-SRV-013", "top_p", "got 0, expected more than 0.")),
        ({"top_k": "5"}, ("E-SRV-013", "top_k", "got a string, expected a whole number.")),
        ({"seed": -1}, ("E-SRV-013", "seed", "got -1, expected at least 0.")),
        ({"stream": 1}, ("E-SRV-013", "stream", "got a number, expected a boolean.")),
        ({"prompt": "a" * 9}, ("E-SRV-013", "prompt", "got 9 characters, expected at most max_prompt_characters = 8.")),
        ({"topk": 5}, ("E-SRV-013", "topk", 'got an unknown field "topk".')),
        ({"prompt": "Zoß"}, ("E-GEN-001", "prompt", 'the prompt holds what the model never saw: "Z", "ß".')),
    ],
)  # fmt: skip
def test_what_cannot_be_continued_is_refused_and_named(open_client, question: dict, expected: tuple):
    client = open_client(max_prompt_characters=8)

    assert refusal(client, "/v1/generate", question) == expected
    assert refusal(client, "/v1/generate", {**question, "stream": question.get("stream", False)}) == expected


def test_caps_on_texts_are_named(open_client):
    client = open_client(max_texts=2, max_characters=5)

    assert refusal(client, "/v1/predict", {"texts": ["a"] * 3})[2] == "got 3 texts, expected at most max_texts = 2."
    assert refusal(client, "/v1/predict", {"texts": ["abc", "abc"]}) == (
        "E-SRV-013", "texts", "got 6 characters, expected at most max_characters = 5.",
    )  # fmt: skip
    limits = client.get("/v1/model").json()["limits"]
    assert (limits["max_texts"], limits["max_characters"], limits["max_length"]) == (2, 5, 10_000)


def test_state_tells_what_the_tokens_are_and_all_is_guarded(open_client):
    model = open_client().get("/v1/model").json()

    assert (model["tokenizer"], model["reads_backward"]) == ("char", False)
    assert open_client(token=TOKEN).post("/v1/generate", json={}).status_code == 401


def test_others_are_answered_while_a_long_text_is_written(client: TestClient):
    done = threading.Event()

    def write() -> None:
        client.post("/v1/generate", json={"length": 3_000, "seed": 1})
        done.set()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(write)
        for _ in range(3):
            assert client.post("/v1/predict", json={"texts": ["The king"]}).status_code == 200
        assert not done.is_set()


def test_texts_that_are_written_at_once_are_what_each_is_alone(client: TestClient):
    questions = [{"prompt": "The king" * number, "length": 40, "seed": number} for number in range(4)]
    alone = [client.post("/v1/generate", json=question).text for question in questions]

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda question: client.post("/v1/generate", json=question).text, questions))

    assert [events_of(text)[-1] for text in together] == [events_of(text)[-1] for text in alone]


def test_a_failure_within_a_text_is_its_last_event(client: TestClient, monkeypatch, caplog):
    written = ServedLanguageModel.write

    def fail(self: ServedLanguageModel, *arguments: object) -> Iterator[str]:
        yield next(written(self, *arguments))
        time.sleep(0.03)  # longer than a turn
        yield "on"
        raise RuntimeError("secret")

    monkeypatch.setattr(ServedLanguageModel, "write", fail)

    events = events_of(client.post("/v1/generate", json={"prompt": "The"}).text)
    whole = client.post("/v1/generate", json={"prompt": "The", "stream": False})

    assert events[-1]["error"]["code"] == "E-BUG-001"
    assert (whole.status_code, whole.json()["error"]["code"]) == (500, "E-BUG-001")
    assert "secret" not in json.dumps(events) + whole.text
    assert 'A request failed: RuntimeError "secret"' in caplog.text


def test_a_text_that_takes_too_long_is_cut_off(open_client, caplog):
    client = open_client(stream_timeout_s=0.2)

    answer = client.post("/v1/generate", json={"length": 10_000})

    assert "generated_text" not in answer.text
    assert "cut off after stream_timeout_s = 0.2 s" in caplog.text


def test_a_client_that_goes_away_ends_its_text(registered: RegisteredModel):
    model = ServedLanguageModel.load(registered.parts)
    order = Prompt.model_validate({"prompt": "The", "length": 10_000, "seed": 1})

    pieces = serve.continue_prompt(model, order, serve.Caps())
    next(pieces)
    pieces.close()

    with pytest.raises(StopIteration):
        next(pieces)


def test_the_page_of_the_interface_shows_the_events(client: TestClient):
    described = client.get("/openapi.json").json()
    generate = described["paths"]["/v1/generate"]["post"]
    content = generate["responses"]["200"]["content"]

    assert set(generate["responses"]) == {"200", *map(str, REFUSALS)}
    assert set(content) == {"application/json", "text/event-stream"}
    assert events_of(content["text/event-stream"]["example"].replace("...\n\n", ""))[-1]["seed"] == 7
    schema = generate["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == {"prompt", "stream", "length", "temperature", "top_k", "top_p", "seed"}
    assert "$defs" not in json.dumps(described)


def test_hostile_bodies_are_answered_or_refused(open_client):
    client = open_client(max_length=50)
    draw = random.Random(3)
    texts = [json.dumps({"texts": [draw.choice(["The king", "", "ß", "a" * 50])]}) for _ in range(40)]
    prompts = [json.dumps(draw_prompt(draw)) for _ in range(80)]

    scored = [send(client, "/v1/predict", body) for body in hostile_bodies(150, "texts", texts)]
    written = [send(client, "/v1/generate", body) for body in hostile_bodies(250, "prompt", prompts)]

    assert set(scored) | set(written) <= {200, 400, 413, 422}
    for statuses in map(Counter, (scored, written)):
        assert min(statuses[200], statuses[400], statuses[422]) > 5


def draw_prompt(draw: random.Random) -> dict:
    odd = [None, "", "The", "ß", -1, 0, 1, 0.5, 1e308, -1e308, 5e-324, 2**63, 10**400, True, [], {}]
    prompt = {"prompt": "The", "length": 3, "temperature": 0.5, "top_k": 2, "top_p": 0.5, "seed": 1, "stream": True}
    for name in draw.sample(list(prompt), draw.randint(0, 2)):
        prompt[name] = draw.choice(odd)
    return prompt | {"length": prompt["length"] if prompt["length"] != 2**63 else 3}


def send(client: TestClient, path: str, body: bytes) -> int:
    answer = client.post(path, content=body, headers=JSON)
    if answer.status_code == 200 and path == "/v1/generate" and "event-stream" in answer.headers["content-type"]:
        assert "error" not in events_of(answer.text)[-1]
    return answer.status_code
