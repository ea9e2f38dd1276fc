"""What `prefect.yaml` hands to our flows, checked before anything is deployed.

YAML reads some words as something else: `no` as false, `2026-01-01` as a day, `010` as eight. A flow would be deployed
with that, or Prefect would end in a traceback; so such a value is refused where the flow expects another.
"""

import importlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pydantic import TypeAdapter, ValidationError

from flows.recipes.recipe_errors import explain
from tasks.errors import InputError, quoted

if TYPE_CHECKING:
    from yaml import MappingNode, ScalarNode, SequenceNode

    from tasks.contract.recipe import Recipe

Node: TypeAlias = "ScalarNode | SequenceNode | MappingNode"

OUR_FLOWS = "flows."
RECIPE = "recipe"
STRING, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
DAY = "tag:yaml.org,2002:timestamp"
NUMBERS = {
    "tag:yaml.org,2002:int": r"[-+]?(0|[1-9][0-9]*)",
    "tag:yaml.org,2002:float": r"[-+]?[0-9]+\.[0-9]*([eE][-+]?[0-9]+)?",
}
LOOKS_LIKE_A_NUMBER = r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+"


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The parameters of one deployment, and where each of their values stands; finds words for what does not fit."""

    file: Path
    deployment: str
    places: dict[tuple[str, ...], Node]

    def error(self, code: str, keys: tuple[str, ...], problem: str, *, fix: str) -> InputError:
        """Say in which deployment a value stands, and what YAML made of it where that is the reason."""
        node = self.places.get(keys)
        if node is not None and _is_read_otherwise(node):
            return self.misread(keys, node)
        key = ".".join(keys)
        row = node.start_mark.line + 1 if node and node.start_mark else None
        problem = f"deployment {quoted(self.deployment)}: {key}: {problem}"
        return InputError(code, problem, fix=fix, file=self.file, row=row)

    def misread(self, keys: tuple[str, ...], node: Node) -> InputError:
        """Describe a value that YAML reads differently from what it looks like."""
        reading, otherwise = _reading_of(node)
        return InputError(
            "E-CFG-016",
            f"deployment {quoted(self.deployment)}: {'.'.join(keys)}: got {node.value}, which YAML reads as {reading}.",
            fix=f'put it in quotes ("{node.value}")'
            + (f", or write {otherwise} if that is meant." if otherwise else "."),
            file=self.file,
            row=node.start_mark.line + 1 if node.start_mark else None,
        )


def check_deployments(file: Path) -> None:
    """Refuse parameters of our flows that are not what they look like or do not fit.

    The file lists named deployments. Raises InputError: E-CFG-016 for a value that YAML turns into something else,
    E-CFG-003, E-CFG-004, E-NAME-001 for one that the flow does not take.
    """
    import yaml

    content = file.read_bytes()
    listed = dict(_members(yaml.compose(content, yaml.SafeLoader)))["deployments"]
    for deployment, node in zip(yaml.safe_load(content)["deployments"], listed.value, strict=True):
        given = dict(_members(node)).get("parameters")
        if given is not None and deployment.get("parameters"):
            parameters = Parameters(file=file, deployment=str(deployment.get("name")), places=dict(_walk(given)))
            _refuse_misread(parameters)
            _refuse_unfit(deployment, parameters)


def _refuse_misread(parameters: Parameters) -> None:
    """Refuse what no flow takes, whatever it expects: days, numbers that are not decimal, keys that are not words."""
    for keys, node in parameters.places.items():
        if _is_plain(node) and (node.tag == DAY or _is_odd_number(node)):
            raise parameters.misread(keys, node)
        for key, _value in node.value if node.id == "mapping" else ():
            if key.tag not in (STRING, MERGE):
                raise parameters.misread((*keys, str(key.value)), key)


def _refuse_unfit(deployment: dict, parameters: Parameters) -> None:
    """Refuse what the flow of a deployment does not take; flows that are not ours are Prefect's to check."""
    entrypoint = str(deployment.get("entrypoint"))
    if not entrypoint.startswith(OUR_FLOWS):
        return
    hints = _parameters_of(entrypoint, parameters)
    for parameter, value in deployment["parameters"].items():
        if parameter == RECIPE and isinstance(value, dict):
            _refuse_recipe(value, parameters)
            continue
        if parameter not in hints:
            fix = f"remove it; the flow takes {', '.join(hints) or 'no parameters'}."
            raise parameters.error("E-CFG-003", (parameter,), "unknown parameter.", fix=fix)
        try:
            expected = TypeAdapter(hints[parameter])  # ty: ignore[invalid-type-form] (known at run time alone)
            expected.validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            fix = f"change {parameter} to what the flow's form asks for."
            keys = (parameter, *map(str, first["loc"]))
            problem = f"got {quoted(first['input'])}: {first['msg'][:1].lower()}{first['msg'][1:]}."
            raise parameters.error("E-CFG-004", keys, problem, fix=fix) from error


def _parameters_of(entrypoint: str, parameters: Parameters) -> dict[str, object]:
    """The types of what one of our flows takes, by name."""
    module, _, name = entrypoint.rpartition(".")
    try:
        hints = getattr(importlib.import_module(module), name).fn.__annotations__
    except (ImportError, AttributeError) as error:
        problem = f"got {quoted(entrypoint)}, which is not a flow of rnnflow."
        fix = "name a flow as rnnflow's own `prefect.yaml` does."
        raise parameters.error("E-CFG-004", ("entrypoint",), problem, fix=fix) from error
    return {parameter: hint for parameter, hint in hints.items() if parameter != "return"}


def _refuse_recipe(raw: dict, parameters: Parameters) -> None:
    from flows.recipes.form import from_form
    from flows.recipes.recipe_file import suggestion
    from tasks.kinds import DEFAULT, find_kind, known_kinds

    kind = raw.get("kind", DEFAULT)
    if kind not in known_kinds():
        fix = f"{suggestion(str(kind), list(known_kinds()), 'choose one of')}."
        raise parameters.error("E-CFG-004", (RECIPE, "kind"), f"got {quoted(kind)}, which is not a kind.", fix=fix)
    recipe: type[Recipe] = find_kind(kind).recipe
    try:
        recipe.model_validate_json(json.dumps(from_form(raw)), strict=True)
    except ValidationError as error:
        raise explain(error, schema=recipe.model_json_schema(), raw=raw, origin=parameters, section=RECIPE) from error


def _walk(node: Node, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Every value below a node, itself included, with its keys from the parameter on.

    Members of a list go by their `name`, or else by their number.
    """
    yield keys, node
    if node.id == "mapping":
        for key, value in _members(node):
            yield from _walk(value, (*keys, key))
    elif node.id == "sequence":
        for number, member in enumerate(node.value):
            name = dict(_members(member)).get("name") if member.id == "mapping" else None
            yield from _walk(member, (*keys, str(number) if name is None else str(name.value)))


def _members(node: Node) -> Iterator[tuple[str, Node]]:
    """The keys and values of a mapping, those that it merges from elsewhere first."""
    for key, value in node.value:
        if key.tag == MERGE:
            for merged in value.value if value.id == "sequence" else [value]:
                yield from _members(merged)
    yield from ((str(key.value), value) for key, value in node.value if key.tag != MERGE)


def _is_odd_number(node: Node) -> bool:
    """Whether a number is written so that only YAML reads it as it does, or only YAML does not."""
    if node.tag in NUMBERS:
        return not re.fullmatch(NUMBERS[node.tag], node.value)
    return node.tag == STRING and re.fullmatch(LOOKS_LIKE_A_NUMBER, node.value) is not None


def _is_read_otherwise(node: Node) -> bool:
    return _is_plain(node) and node.tag != STRING and node.value not in ("true", "false")


def _is_plain(node: Node) -> bool:
    """Whether a value is a word without quotes."""
    import yaml

    return isinstance(node, yaml.ScalarNode) and node.style is None


def _reading_of(node: Node) -> tuple[str, str]:
    """What YAML makes of a word, and how to write it if that was meant; empty where nothing else can be meant."""
    import yaml

    value = yaml.safe_load(node.value)
    if isinstance(value, str):
        return "text", f"{float(value):g}"
    if isinstance(value, bool):
        return json.dumps(value), json.dumps(value)
    if isinstance(value, int | float):
        return f"the number {value}", f"{value}" if _is_odd_number(node) else ""
    return "nothing" if value is None else f"the day {value}", ""
