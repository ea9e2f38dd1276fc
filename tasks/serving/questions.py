"""A request's body to the items of a question: strict JSON and sound fields, or a fault that names what is wrong."""

import json
from typing import Any

from tasks.contract.interface import JSON_TYPES, FieldError
from tasks.contract.services import ItemT, ServeModule
from tasks.errors import quoted
from tasks.serving.faults import bad_field, not_json
from tasks.serving.settings import ServingSettings


class OddJsonError(Exception):
    """JSON that the standard does not have, or about which it says nothing."""


def parse_items(module: ServeModule[Any, ItemT], body: bytes, settings: ServingSettings) -> list[ItemT]:
    """Read the items that a body asks about, as a kind's module reads them.

    Raises RequestError: 400 for what is not JSON, 422 for a field that is not what it should be.
    """
    question = parse_object(body, module.INTERFACE.sample)
    try:
        return module.parse_items(question, settings)
    except FieldError as fault:
        raise bad_field(fault) from None


def parse_object(body: bytes, sample: str) -> dict[str, Any]:
    """Read one JSON object as the standard has it: UTF-8, no repeated key, no NaN, nothing behind it.

    Raises RequestError (400) that shows a sample.
    """
    try:
        value = DECODER.decode(body.decode())
    except UnicodeDecodeError as error:
        raise not_json(f"is not UTF-8 (at byte {error.start})", sample) from None
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


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise OddJsonError(f"has the key {quoted(next(key for key in keys if keys.count(key) > 1))} twice")
    return value


def _refuse_constant(name: str) -> None:
    raise OddJsonError(f"holds {name}, which JSON does not have")


DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
