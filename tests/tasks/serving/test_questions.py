"""Every body is read as the standard has it, or refused with the field that is wrong."""

import json

import pytest

from tasks.contract.interface import RequestError
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.kinds.classify.serve import INTERFACE
from tasks.serving.questions import parse_question
from tasks.serving.settings import settings_for

SETTINGS = settings_for(CLASSIFY, {"max_texts": 3, "max_characters": 5})
ONE_OBJECT = 'send one JSON object such as {"texts": ["..."]}.'


def refusal(body: bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse_question(INTERFACE, body, SETTINGS)
    json.dumps(caught.value.as_json()).encode()
    return caught.value


def test_texts_come_out_as_they_were_sent():
    body = '{"texts": ["", " ", "é\\u0000😀", "\\ud83d\\ude00"]}'.encode()

    assert parse_question(INTERFACE, body, settings_for(CLASSIFY, {})).texts == ["", " ", "é\0😀", "😀"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the body is not valid JSON (Expecting value at character 1)."),
        (b'{"texts": ["\xff"]}', "the body is not UTF-8 (at byte 12)."),
        ('{"texts": ["a"]}'.encode("utf-16"), "the body is not UTF-8 (at byte 0)."),
        ('{"texts": ["a"]}'.encode("utf-8-sig"), "the body is not valid JSON (Expecting value at character 1)."),
        (b'{"texts": NaN}', "the body contains NaN, which JSON does not allow."),
        (b'{"texts": [-Infinity]}', "the body contains -Infinity, which JSON does not allow."),
        (b'{"texts": ["a"], "texts": ["b"]}', 'the body contains the key "texts" twice.'),
        (b'{"texts": ["a"]} {}', "the body is not valid JSON (Extra data at character 18)."),
        (b'{"texts": ["a\nb"]}', "the body is not valid JSON (Invalid control character at at character 14)."),
        (b"[" * 200_000, "the body is nested too deeply."),
        (b'{"texts": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "the body is nested too deeply."),
        (b"9" * 5_000, "the body contains a number with too many digits."),
        (b'["a"]', "the body is an array, expected an object."),
        (b"null", "the body is null, expected an object."),
        (b'{"texts": ["\\ud800"]}', "the body contains half of a surrogate pair."),
        (b'{"\\uDC00": 1}', "the body contains half of a surrogate pair."),
    ],
)
def test_what_is_no_strict_json_is_refused_with_400(body: bytes, problem: str):
    refused = refusal(body)

    assert (refused.status, refused.code, refused.place, refused.fix) == (400, "E-SRV-012", None, ONE_OBJECT)
    assert refused.problem == problem


@pytest.mark.parametrize(
    ("question", "field", "problem"),
    [
        ({}, "texts", "is missing."),
        ({"texts": ["a"], "text": "a"}, "text", 'got an unknown field "text".'),
        ({"\x1b[31m": 1}, "\\x1b[31m", 'got an unknown field "\\x1b[31m".'),
        ({"texts": "abc"}, "texts", "got a string, expected an array."),
        ({"texts": None}, "texts", "got null, expected an array."),
        ({"texts": []}, "texts", "got an empty array, expected at least one item."),
        ({"texts": ["a"] * 4}, "texts", "got 4 texts, expected at most max_texts = 3."),
        ({"texts": ["a"], "rows": [{"text": "a"}]}, "rows", "got rows and texts, expected one of the two."),
        ({"rows": []}, "rows", "got an empty array, expected at least one item."),
        ({"rows": [{}] * 4}, "rows", "got 4 rows, expected at most max_texts = 3."),
        ({"texts": ["a", None]}, "texts[1]", "got null, expected a string."),
        ({"texts": ["a", True]}, "texts[1]", "got a boolean, expected a string."),
        ({"texts": [{"a": 1}]}, "texts[0]", "got an object, expected a string."),
        ({"texts": ["a", "b", "toolong"]}, "texts[2]", "got 7 characters, expected at most max_characters = 5."),
    ],
)
def test_a_wrong_field_is_refused_with_422_and_named(question: dict, field: str, problem: str):
    refused = refusal(json.dumps(question).encode())

    assert (refused.status, refused.code, refused.place, refused.problem) == (422, "E-SRV-013", field, problem)
    assert refused.fix
