"""A request's body to texts: strict JSON, known fields, sound texts, or a fault that names the field."""

import json
import re

from tasks.errors import quoted
from tasks.serving.faults import RequestError, bad_field, not_json
from tasks.serving.settings import ServingSettings

FIELD = "texts"
SURROGATE = re.compile("[\ud800-\udfff]")
JSON_TYPES: dict[type, str] = {
    bool: "a boolean",
    dict: "an object",
    float: "a number",
    int: "a number",
    list: "an array",
    str: "a string",
    type(None): "null",
}


def parse_texts(body: bytes, settings: ServingSettings) -> list[str]:
    """Read `{"texts": ["...", ...]}`.

    Raises RequestError: 400 for what is not JSON, 422 for what is no list of texts within the caps.
    """
    question = parse_object(body)
    unknown = next((name for name in question if name != FIELD), None)
    if unknown is not None:
        raise bad_field(quoted(unknown)[1:-1], f"got an unknown field {quoted(unknown)}.", f'send "{FIELD}" alone.')
    if FIELD not in question:
        raise bad_field(FIELD, "is missing.", f'send {{"{FIELD}": ["..."]}}.')
    texts = question[FIELD]
    if not isinstance(texts, list) or not texts:
        got = "an empty array" if texts == [] else JSON_TYPES[type(texts)]
        raise bad_field(FIELD, f"got {got}, expected an array of at least one text.", "send one text or more.")
    if len(texts) > settings.max_texts:
        raise bad_field(
            FIELD, f"got {len(texts)} texts, expected at most max_texts = {settings.max_texts}.", "send fewer at once."
        )
    for index, text in enumerate(texts):
        _check_text(text, f"{FIELD}[{index}]", settings)
    return texts


def parse_object(body: bytes) -> dict:
    """Read one JSON object as the standard has it: UTF-8, no repeated key, no NaN, nothing behind it.

    Raises RequestError (400).
    """
    try:
        value = DECODER.decode(body.decode())
    except UnicodeDecodeError as error:
        raise not_json(f"is not UTF-8 (at byte {error.start})") from None
    except RecursionError:
        raise not_json("is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise not_json(f"is not JSON ({error.msg} at character {error.pos + 1})") from None
    except ValueError:  # a whole number of thousands of digits
        raise not_json("holds a number that is too long") from None
    if not isinstance(value, dict):
        raise not_json(f"is {JSON_TYPES[type(value)]}, expected an object")
    return value


def _check_text(text: object, place: str, settings: ServingSettings) -> None:
    if not isinstance(text, str):
        raise bad_field(place, f"got {JSON_TYPES[type(text)]}, expected a text.", "send a string, or leave it out.")
    if len(text) > settings.max_characters:
        raise bad_field(
            place,
            f"got {len(text)} characters, expected at most max_characters = {settings.max_characters}.",
            "cut the text.",
        )
    if SURROGATE.search(text):
        raise bad_field(place, "holds half a surrogate pair, expected valid Unicode.", "mend or remove it.")


def _unique_keys(pairs: list[tuple[str, object]]) -> dict:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise not_json(f"has the key {quoted(next(key for key in keys if keys.count(key) > 1))} twice")
    return value


def _refuse_constant(name: str) -> RequestError:
    raise not_json(f"holds {name}, which JSON does not have")


DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
