"""A request's body to a question: strict JSON in the shape of a kind's questions, or a fault that names its place."""

import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tasks.contract.interface import JSON_TYPES, Caps, FieldError, Interface, Question
from tasks.errors import quoted
from tasks.serving.faults import bad_field, not_json

# How JSON spells a code unit that may be one half of a character; most bodies have none.
HALF = re.compile(r"\\u[dD][89a-fA-F]")
EXPECTED = {
    "bool_type": "a boolean",
    "dict_type": "an object",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "an array",
    "model_type": "an object",
    "string_type": "a string",
    "too_short": "at least one item",
}


class OddJsonError(Exception):
    """JSON that the standard does not have, or about which it says nothing."""


def parse_question(interface: Interface, body: bytes, caps: Caps) -> Question:
    """Read the question that a body asks, as a kind's interface has it.

    Raises RequestError: 400 for what is not JSON, 422 for a field that is not what it should be.
    """
    value = parse_object(body, interface.sample)
    try:
        question = interface.question.model_validate(value)
        question.check(caps)
    except ValidationError as error:
        # A field that is missing often has another name there.
        faults = sorted(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
        raise bad_field(describe_fault(faults[0], value, interface)) from None
    except FieldError as fault:
        raise bad_field(fault) from None
    return question


def parse_object(body: bytes, sample: str) -> dict[str, Any]:
    """Read one JSON object as the standard has it: UTF-8, no repeated key, no NaN, no half character, nothing after it.

    Raises RequestError (400) that shows a sample.
    """
    try:
        text = body.decode()
        value = DECODER.decode(text)
        if HALF.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise not_json(f"is not UTF-8 (at byte {error.start})", sample) from None
    except UnicodeEncodeError:
        raise not_json("holds half a surrogate pair", sample) from None
    except RecursionError:
        raise not_json("is nested too deeply", sample) from None
    except OddJsonError as error:
        raise not_json(str(error), sample) from None
    except json.JSONDecodeError as error:
        raise not_json(f"is not JSON ({error.msg} at character {error.pos + 1})", sample) from None
    except ValueError:  # a whole number of thousands of digits
        raise not_json("holds a number that is too long", sample) from None
    if not isinstance(value, dict):
        raise not_json(f"is {JSON_TYPES[type(value)]}, expected an object", sample)
    return value


def describe_fault(error: ErrorDetails, value: dict[str, Any], interface: Interface) -> FieldError:
    """The first fault that pydantic found, in words of JSON."""
    kind, location, got = error["type"], error["loc"], error["input"]
    if kind == "missing":
        return FieldError(show_place(location), "is missing.", f"send {interface.sample}.")
    if kind == "extra_forbidden":
        known = ", ".join(map(quoted, interface.question.model_fields))
        problem = f"got an unknown field {quoted(location[-1])}."
        return FieldError(show_place(location), problem, f"leave it out; a question has {known}.")
    place = location[: count_steps(location, value)]
    # Of several types that a value may have, pydantic names one after another.
    scalar = "a string, a finite number, a boolean or null"
    expected = scalar if len(place) < len(location) else EXPECTED.get(kind, error["msg"])
    shown = {"inf": "a number beyond all floats", "[]": "an empty array"}.get(str(got), JSON_TYPES[type(got)])
    return FieldError(show_place(place), f"got {shown}, expected {expected}.", f"send {interface.sample}.")


def count_steps(location: Sequence[int | str], value: Any) -> int:  # noqa: ANN401
    """How many steps of a location are within a JSON value; others name a type that it might have had."""
    for number, step in enumerate(location):
        try:
            value = value[step]
        except (LookupError, TypeError):
            return number
    return len(location)


def show_place(location: Sequence[int | str]) -> str:
    """Write a location as in `rows[3].time`."""
    parts = (f"[{step}]" if isinstance(step, int) else f".{quoted(step)[1:-1]}" for step in location)
    return "".join(parts).removeprefix(".")


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise OddJsonError(f"has the key {quoted(next(key for key in keys if keys.count(key) > 1))} twice")
    return value


def _refuse_constant(name: str) -> None:
    raise OddJsonError(f"holds {name}, which JSON does not have")


DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
