"""Tables over HTTP: answered as `predict` answers a file, refused part by part, whatever comes."""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tasks.errors import InputError
from tasks.prediction.dispatch import predict_file
from tasks.promotion import named_models
from tasks.serving.application import REFUSALS, create_application
from tasks.serving.champion import ModelFollower, load_served, refuse_other_kind
from tasks.serving.settings import settings_for
from tests.tasks.serving.asked_kinds import MAKERS, Asked, make
from tests.tasks.serving.hostile import hostile_bodies

TOKEN = "0123456789abcdef"
A_CELL = "a string, a finite number, a boolean or null"


@pytest.fixture(scope="module")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Asked]:
    """A model of each kind that answers tables."""
    return {kind: make(kind, tmp_path_factory.mktemp("asked") / kind) for kind in MAKERS}


@pytest.fixture(params=MAKERS)
def asked(request: pytest.FixtureRequest, small_models: dict[str, Asked]) -> Asked:
    return small_models[request.param]


@pytest.fixture
def follower(asked: Asked) -> ModelFollower:
    return ModelFollower(named_models.parse_reference("small@champion"), load_served(asked.model))


@pytest.fixture
def open_client(follower: ModelFollower) -> Iterator[Callable[..., TestClient]]:
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


def ask(client: TestClient, rows: list[dict], **more: object) -> dict:
    answer = client.post("/v1/predict", json={"rows": rows, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def refusal(client: TestClient, question: object) -> dict:
    answer = client.post("/v1/predict", json=question)
    assert answer.status_code == 422, answer.text
    return answer.json()["error"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_is_answered_as_predict_answers_its_file_to_the_last_bit(
    asked: Asked, client: TestClient, project: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
):
    monkeypatch.setattr(named_models, "resolve_model", lambda _name: asked.model)
    path = project / f"table.{suffix}"
    getattr(asked.table, f"write_{suffix}")(path)
    predict_file("small", path, project / "answers.jsonl")
    expected = [json.loads(line) for line in (project / "answers.jsonl").read_text().splitlines()]

    answer = ask(client, asked.rows)

    assert (answer["model"], answer["refused"]) == ("small/1", [])
    assert [flat(record) | {"model": "small/1"} for record in answer[asked.field]] == expected


def flat(record: dict) -> dict:
    probabilities = record.pop("probabilities", {})
    return record | {f"probability_{label}": probability for label, probability in probabilities.items()}


def test_each_is_told_the_same_whoever_else_asks(asked: Asked, client: TestClient):
    ids = [name for name, role in client.get("/v1/model").json()["columns"].items() if role == "id"]
    parts = asked.table.partition_by(ids, maintain_order=True)
    questions = [json.loads(part.write_json()) for part in parts] * 4
    alone = [ask(client, rows) for rows in questions]

    with ThreadPoolExecutor(len(questions)) as threads:
        together = list(threads.map(lambda rows: ask(client, rows), questions))

    assert together == alone


def test_types_of_json_may_differ_from_row_to_row(asked: Asked, client: TestClient):
    texts = [
        {name: str(cell) if index % 2 else cell for name, cell in row.items()} for index, row in enumerate(asked.rows)
    ]

    assert ask(client, texts)[asked.field] == ask(client, asked.rows)[asked.field]


def test_a_row_that_cannot_be_read_is_named_and_refuses_no_other_series(asked: Asked, client: TestClient):
    rows, name = asked.rows, value_column(client)
    rows[-1] |= {name: "twelve"}

    answer = ask(client, rows)

    assert [(part["row"], part["column"], part["code"]) for part in answer["refused"] if part["series"] is None] == [
        (len(rows) - 1, name, "E-SER-001")
    ]
    first = answer[asked.field][0]
    assert first == ask(client, asked.rows)[asked.field][0]


def test_a_series_that_cannot_be_answered_refuses_no_other(asked: Asked, client: TestClient):
    """What is too short for a forecaster and a detector; for a labeller, a sequence without a number."""
    rows, name = asked.rows, value_column(client)
    columns = client.get("/v1/model").json()["columns"]
    [id_column] = [column for column, role in columns.items() if role == "id"]
    hollow = dict.fromkeys([column for column, role in columns.items() if role == "value"])
    stranger = [row | {id_column: "stranger"} | (hollow if asked.field == "predictions" else {}) for row in rows[:3]]

    answer = ask(client, [*rows, *stranger])
    refused = refusal(client, {"rows": stranger})

    assert answer[asked.field] == ask(client, rows)[asked.field]
    [part] = answer["refused"]
    assert (part["series"], part["row"]) == ("stranger", None)
    assert (refused["code"], refused["problem"], refused["fix"]) == (part["code"], part["problem"], part["fix"])
    assert refused["field"].startswith("rows")
    assert name in columns


def value_column(client: TestClient) -> str:
    columns = client.get("/v1/model").json()["columns"]
    return next(column for column, role in columns.items() if role == "value")


@pytest.mark.parametrize(
    ("question", "field", "problem"),
    [
        ({}, "rows", "is missing."),
        ({"rows": []}, "rows", "got an empty array, expected at least one item."),
        ({"rows": [{}], "texts": []}, "texts", 'got an unknown field "texts".'),
        ({"rows": {"time": [1]}}, "rows", "got an object, expected an array."),
        ({"rows": [{"time": 1}, 3]}, "rows[1]", "got a number, expected an object."),
        ({"rows": [{"time": [1]}]}, "rows[0].time", f"got an array, expected {A_CELL}."),
        ({"rows": [{"\x1b": {}}]}, "rows[0].\\x1b", f"got an object, expected {A_CELL}."),
        ({"rows": [{}]}, "rows", None),
        ({"rows": [{"time": 1}, {"at": 2}]}, "rows", None),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_and_named(client: TestClient, question: dict, field: str, problem: str | None):
    refused = refusal(client, question)

    assert refused["field"].startswith(field)
    assert problem in (None, refused["problem"])
    assert refused["fix"]


def test_remedies_for_tables_are_what_helps_over_http(asked: Asked, client: TestClient):
    id_column = next(name for name, role in client.get("/v1/model").json()["columns"].items() if role == "id")

    nameless = refusal(client, {"rows": [{"at": 1}]})
    huge = refusal(client, {"rows": [row | {id_column: 1e300} for row in asked.rows]})

    assert (nameless["code"], nameless["fix"]) == ("E-REG-012", "send each row with the columns that /v1/model lists.")
    assert (huge["code"], huge["fix"]) == ("E-REG-014", "send the cells of this column as strings.")
    assert huge["field"] == f"rows.{id_column}"


def test_a_number_beyond_all_floats_is_refused(client: TestClient):
    answer = client.post(
        "/v1/predict", content=b'{"rows": [{"a": 1e999}]}', headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 422
    assert answer.json()["error"]["problem"].startswith("got a number too large for a float, expected")


@pytest.mark.parametrize(
    ("cap", "noun", "least"), [("max_rows", "rows", 4), ("max_series", "series", 1), ("max_cells", "cells", 4)]
)
def test_caps_are_named(asked: Asked, open_client: Callable[..., TestClient], cap: str, noun: str, least: int):
    client = open_client(**{cap: least})

    refused = refusal(client, {"rows": asked.rows})

    assert refused["code"] == "E-SRV-013"
    assert refused["problem"].endswith(f"{noun}, expected at most {cap} = {least}.")
    assert client.get("/v1/model").json()["limits"][cap] == least


def test_a_cap_of_another_kind_is_refused(follower: ModelFollower):
    kind = follower.current.kind
    with pytest.raises(
        InputError, match='E-SRV-004 --set max_texts: got "3": Extra inputs are not permitted'
    ) as caught:
        settings_for(kind, {"max_texts": 3})

    assert f'of kind "{kind.name}"' in caught.value.fix
    assert "max_rows" in caught.value.fix
    assert settings_for(kind, {}).max_rows == settings_for(kind, {}).batch_items == 10_000


def test_the_page_of_the_interface_has_examples_and_every_refusal(asked: Asked, client: TestClient):
    described = client.get("/openapi.json").json()
    predict = described["paths"]["/v1/predict"]["post"]
    answer = predict["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]

    assert predict["requestBody"]["content"]["application/json"]["schema"]["examples"][0]["rows"]
    assert set(predict["responses"]) == {"200", *map(str, REFUSALS)}
    [example] = described["components"]["schemas"][answer]["examples"]
    assert set(example) == {"model", asked.field, "refused", "notes"}
    links = re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(described))
    assert set(links) <= set(described["components"]["schemas"])
    assert "$defs" not in json.dumps(described)


def test_state_is_told_and_guarded(asked: Asked, open_client: Callable[..., TestClient], follower: ModelFollower):
    client, guarded = open_client(), open_client(token=TOKEN)

    model = client.get("/v1/model").json()

    assert (model["model"], model["follows"]) == ("small/1", "small@champion")
    assert set(model["columns"]) == set(asked.table.columns)
    assert guarded.post("/v1/predict", json={"rows": asked.rows}).status_code == 401
    assert guarded.get("/health").status_code == 200
    follower.problem = "E-INT-001 small/2 is damaged."
    assert client.get("/ready").json()["status"] == "degraded"


def test_a_champion_of_another_kind_does_not_take_over(small_models: dict[str, Asked]):
    for kind, asked in small_models.items():
        served = load_served(asked.model)
        for other, rival in small_models.items():
            if other == kind:
                refuse_other_kind(rival.model, served)
            else:
                with pytest.raises(InputError, match=f'E-SRV-008 model small/1 is of kind "{other}", but clients'):
                    refuse_other_kind(rival.model, served)


def test_hundreds_of_hostile_bodies_are_answered_or_refused(asked: Asked, client: TestClient):
    before, draw = ask(client, asked.rows), random.Random(3)
    shapes = {200: {"model", asked.field, "refused", "notes"}, 400: {"error"}, 422: {"error"}}

    bodies = hostile_bodies(500, "rows", [draw_rows(asked, draw) for _ in range(20)])
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda body: send(client, body), bodies))

    assert [answer for answer in answers if shapes.get(answer[0]) != answer[1]] == []
    statuses = Counter(status for status, _, _ in answers)
    assert statuses.total() >= 500
    assert min(statuses[200], statuses[400], statuses[422]) > 20
    assert ask(client, asked.rows) == before


def draw_rows(asked: Asked, draw: random.Random) -> str:
    """The last rows of the table, in which some cells are of other rows, or such as no table has."""
    odd = [None, "", "nan", -999, 1e308, -1e30, 1e-320, 2**63, 10**400, True, "9999-12-31", "0001-01-01T00:00", -1, "é"]
    rows = [dict(row) for row in asked.rows[-draw.randint(5, 30) :]]
    for _ in range(draw.randint(0, 3)):
        row, name = draw.choice(rows), draw.choice([*asked.table.columns, "another"])
        row[name] = draw.choice([*odd, draw.choice(asked.rows).get(name)])
    return json.dumps({"rows": rows, **({"return_state": True} if asked.field == "rows" else {})})


def send(client: TestClient, body: bytes) -> tuple[int, set[str], bytes]:
    answer = client.post("/v1/predict", content=body, headers={"Content-Type": "application/json"})
    return answer.status_code, set(answer.json()) - {"state"}, body
