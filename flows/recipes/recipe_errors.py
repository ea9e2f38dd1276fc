"""Words for a recipe that does not fit: which key, what it holds, what it may hold."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from flows.recipes.recipe_file import line_of, suggestion
from tasks.errors import InputError, nearest, quoted

NAME_RULE = "1 to 64 letters, digits, dots, underscores or hyphens, the first a letter or digit"


class Place(Protocol):
    """Where the values of a recipe stand."""

    def error(self, code: str, keys: tuple[str, ...], problem: str, *, fix: str) -> InputError:
        """Say where a key is set, then what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where the values of a raw recipe come from: its file, and the keys changed on the command line."""

    path: Path
    changed: Collection[str] = ()

    def error(self, code: str, keys: tuple[str, ...], problem: str, *, fix: str) -> InputError:
        """Say where a key is set, then what is wrong with it."""
        key = ".".join(keys)
        if any(key == name or key.startswith(f"{name}.") for name in self.changed):
            return InputError(code, f"--set {key}: {problem}", fix=fix)
        row = line_of(self.path, keys) if keys else None
        return InputError(code, f"{key}: {problem}" if key else problem, fix=fix, file=self.path, row=row)


def explain(error: ValidationError, *, schema: dict, raw: dict, origin: Place, section: str = "") -> InputError:
    """Turn the first problem of a raw recipe, or of one section, into an error of two lines."""
    problems = error.errors(include_url=False)
    first = problems[0]
    keys = (*filter(None, [section]), *keys_of(first["loc"], raw))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "extra_forbidden":
        known = subschema(schema, first["loc"][:-1])["properties"]
        return origin.error("E-CFG-003", keys, f"unknown key{more}.", fix=_fix_of_unknown(keys, list(known)))
    field = subschema(schema, first["loc"])
    code = "E-NAME-001" if first["type"] == "string_pattern_mismatch" else "E-CFG-004"
    return origin.error(code, keys, f"{_complaint(first)}{more}.", fix=_fix_of_value(first, keys, field))


def keys_of(location: tuple[int | str, ...], raw: object) -> tuple[str, ...]:
    """Name each step into a raw recipe; members of a list go by their `name`, or else by their number."""
    keys = []
    for step in location:
        if isinstance(raw, dict):
            raw = raw.get(step)
        else:
            raw = raw[step] if isinstance(raw, list) and isinstance(step, int) else None
        name = raw.get("name") if isinstance(step, int) and isinstance(raw, dict) else None
        keys.append(str(step if name is None else name))
    return tuple(keys)


def subschema(schema: dict, location: tuple[int | str, ...]) -> dict:
    """Follow a location into a JSON schema; what lies beyond it is empty."""
    node = schema
    for step in location:
        node = resolve(node, schema)
        node = node.get("items", {}) if isinstance(step, int) else node.get("properties", {}).get(step, {})
    return resolve(node, schema)


def resolve(node: dict, schema: dict) -> dict:
    """What a reference in a schema stands for; what stands next to it wins."""
    rest = {key: value for key, value in node.items() if key != "$ref"}
    return {**schema["$defs"][node["$ref"].rpartition("/")[2]], **rest} if "$ref" in node else node


def _complaint(problem: ErrorDetails) -> str:
    if problem["type"] == "missing":
        return "is missing"
    if problem["type"] == "value_error":
        return _parts_of(problem)[0]
    if problem["type"] == "string_pattern_mismatch":
        return f"got {quoted(problem['input'])}, expected {NAME_RULE}"
    expected = re.sub(r"^(Input|String|List|Tuple|Dictionary) should (be |have )?", "", problem["msg"])
    expected = re.sub(r"a valid dictionary or instance of \w+", "a section", expected.replace(" after validation", ""))
    return f"got {quoted(problem['input'])}, expected {expected}"


def _parts_of(problem: ErrorDetails) -> tuple[str, str]:
    """What a validator says is wrong, and after a semicolon what would be right, if it says so."""
    wrong, _, right = problem["msg"].removeprefix("Value error, ").partition("; ")
    return wrong, right


def _fix_of_unknown(keys: tuple[str, ...], known: list[str]) -> str:
    *section, wrong = keys
    near = nearest(wrong, known)
    if near is not None:
        return f'write "{".".join([*section, near])}".'
    return f"remove it; {'.'.join(section) or 'a recipe'} takes {', '.join(known)}."


def _fix_of_value(problem: ErrorDetails, keys: tuple[str, ...], field: dict) -> str:
    known = field.get("enum", [field["const"]] if "const" in field else [])
    if known:
        return f"{suggestion(str(problem['input']), known, 'choose one of')}."
    remedy = _parts_of(problem)[1] if problem["type"] == "value_error" else ""
    if remedy:
        return f"{remedy}."
    if problem["type"] == "value_error" or "description" not in field:
        return f"change {'.'.join(keys) or 'the recipe'} so that this no longer holds."
    meaning = field["description"].rstrip(".")
    verb = "add" if problem["type"] == "missing" else "change"
    return f"{verb} {'.'.join(keys)}: {meaning[:1].lower()}{meaning[1:]}."
