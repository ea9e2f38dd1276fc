"""From a request's body to a question: strict JSON in the shape of a kind's questions, or an error that says where."""

import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tasks.contract.interface import JSON_TYPES, Address, BodyT, Caps, RequestError
from tasks.errors import quoted

# A JSON escape that may be half of a surrogate pair; most bodies have none.
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
BOUNDS = {
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
}


class OddJsonError(Exception):
    """JSON that the standard forbids or does not define."""


def parse_question(address: Address[BodyT], body: bytes, caps: Caps) -> BodyT:
    """Read the question that a body asks, as an address has it.

    Raises RequestError: 400 for what is not JSON, 422 for a field that is not what it should be.
    """
    value = parse_object(body, address.sample)
    try:
        question = address.question.model_validate(value)
        question.check(caps)
    except ValidationError as error:
        # A missing field was often sent under another name.
        faults = sorted(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
        raise describe_fault(faults[0], value, address) from None
    return question


def parse_object(body: bytes, sample: str) -> dict[str, Any]:
    """Read one strict JSON object: UTF-8, no repeated key, no NaN, no half of a surrogate pair, nothing after it.

    Raises RequestError (400) that shows a sample.
    """

    def refusal(problem: str) -> RequestError:
        return RequestError(None, f"the body {problem}.", f"send one JSON object such as {sample}.", "E-SRV-012", 400)

    try:
        text = body.decode()
        value = DECODER.decode(text)
        if HALF.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise refusal(f"is not UTF-8 (at byte {error.start})") from None
    except UnicodeEncodeError:
        raise refusal("contains half of a surrogate pair") from None
    except RecursionError:
        raise refusal("is nested too deeply") from None
    except OddJsonError as error:
        raise refusal(str(error)) from None
    except json.JSONDecodeError as error:
        raise refusal(f"is not valid JSON ({error.msg} at character {error.pos + 1})") from None
    except ValueError:  # a whole number of thousands of digits
        raise refusal("contains a number with too many digits") from None
    if not isinstance(value, dict):
        raise refusal(f"is {JSON_TYPES[type(value)]}, expected an object")
    return value


def describe_fault(error: ErrorDetails, value: dict[str, Any], address: Address[Any]) -> RequestError:
    """A fault that pydantic found, in terms of JSON."""
    kind, location, got = error["type"], error["loc"], error["input"]
    if kind == "missing":
        return RequestError(show_place(location), "is missing.", f"send {address.sample}.")
    if kind == "extra_forbidden":
        known = ", ".join(map(quoted, address.question.model_fields))
        problem = f"got an unknown field {quoted(location[-1])}."
        return RequestError(show_place(location), problem, f"leave it out; the fields are {known}.")
    place = location[: count_steps(location, value)]
    if kind in BOUNDS:
        problem = f"got {quoted(got)[1:-1]}, expected {BOUNDS[kind].format(**error.get('ctx', {}))}."
        return RequestError(show_place(location), problem, "send a number within these bounds.")
    # For a value that may have several types, pydantic reports each of them.
    scalar = "a string, a finite number, a boolean or null"
    expected = scalar if len(place) < len(location) else EXPECTED.get(kind, error["msg"])
    shown = {"inf": "a number too large for a float", "[]": "an empty array"}.get(str(got), JSON_TYPES[type(got)])
    return RequestError(show_place(place), f"got {shown}, expected {expected}.", f"send {address.sample}.")


def count_steps(location: Sequence[int | str], value: Any) -> int:  # noqa: ANN401
    """How many steps of a location lead into a JSON value; further ones name a type that pydantic tried."""
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
        raise OddJsonError(f"contains the key {quoted(next(key for key in keys if keys.count(key) > 1))} twice")
    return value


def _refuse_constant(name: str) -> None:
    raise OddJsonError(f"contains {name}, which JSON does not allow")


DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
