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
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, create_model

from flows.recipes.recipe_errors import explain
from tasks.errors import InputError, quoted

if TYPE_CHECKING:
    from yaml import MappingNode, ScalarNode, SequenceNode

Node: TypeAlias = "ScalarNode | SequenceNode | MappingNode"

OUR_FLOWS = "flows."
RECIPE = "recipe"
TAG = "tag:yaml.org,2002:"
JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The parameters of one deployment, and where each of their values stands; finds words for what does not fit."""

    file: Path
    deployment: str
    places: dict[tuple[str, ...], Node]

    def error(self, code: str, keys: tuple[str, ...], problem: str, *, fix: str) -> InputError:
        """Say in which deployment a value stands, and what YAML made of it where that is the reason."""
        node = self.places.get(keys)
        if node is not None and _is_plain(node) and node.tag != f"{TAG}str" and node.value not in ("true", "false"):
            return self.misread(keys, node)
        problem = f"deployment {quoted(self.deployment)}: {'.'.join(keys)}: {problem}"
        return InputError(code, problem, fix=fix, file=self.file, row=_row_of(node))

    def misread(self, keys: tuple[str, ...], node: Node) -> InputError:
        """Describe a value that YAML reads differently from what it looks like."""
        reading, otherwise = _reading_of(node)
        return InputError(
            "E-CFG-016",
            f"deployment {quoted(self.deployment)}: {'.'.join(keys)}: got {node.value}, which YAML reads as {reading}.",
            fix=f'put it in quotes ("{node.value}")'
            + (f", or write {otherwise} if that is meant." if otherwise else "."),
            file=self.file,
            row=_row_of(node),
        )


def check_deployments(file: Path) -> None:
    """Refuse parameters of our flows that are not what they look like or do not fit.

    The file lists named deployments. Raises InputError: E-CFG-016 for a value that YAML turns into something else,
    E-CFG-003, E-CFG-004, E-NAME-001 for one that the flow does not take.
    """
    import yaml

    loader = yaml.SafeLoader(file.read_bytes())
    root = loader.get_single_node()
    content = loader.construct_document(root)  # which puts into mappings what they merge from elsewhere
    for deployment, node in zip(content["deployments"], _members(root)["deployments"].value, strict=True):
        given = _members(node).get("parameters")
        if given is not None and deployment.get("parameters"):
            parameters = Parameters(file=file, deployment=str(deployment.get("name")), places=dict(_walk(given)))
            _refuse_misread(parameters)
            if str(deployment.get("entrypoint")).startswith(OUR_FLOWS):  # others are Prefect's to check
                _refuse_unfit(deployment, parameters)


def _refuse_misread(parameters: Parameters) -> None:
    """Refuse what no flow takes, whatever it expects: days, numbers that are not decimal, keys that are not words."""
    for keys, node in parameters.places.items():
        if _is_plain(node) and (node.tag == f"{TAG}timestamp" or _is_odd_number(node)):
            raise parameters.misread(keys, node)
        for key, _value in node.value if node.id == "mapping" else ():
            if key.tag != f"{TAG}str":
                raise parameters.misread((*keys, str(key.value)), key)


def _refuse_unfit(deployment: dict, parameters: Parameters) -> None:
    """Refuse what the flow of a deployment does not take."""
    given = deployment["parameters"]
    model = _model_of(deployment["entrypoint"], given.get(RECIPE), parameters)
    try:
        model.model_validate_json(json.dumps(given), strict=True)
    except ValidationError as error:
        raise explain(error, schema=model.model_json_schema(), raw=given, origin=parameters) from error


def _model_of(entrypoint: str, recipe: object, parameters: Parameters) -> type[BaseModel]:
    """What one of our flows takes, a recipe being of the kind that it states."""
    module, _, name = entrypoint.rpartition(".")
    try:
        hints = dict(getattr(importlib.import_module(module), name).fn.__annotations__)
    except (ImportError, AttributeError) as error:
        problem = f"got {quoted(entrypoint)}, which is not a flow of rnnflow."
        fix = "name a flow as rnnflow's own `prefect.yaml` does."
        raise parameters.error("E-CFG-004", ("entrypoint",), problem, fix=fix) from error
    hints.pop("return", None)
    if isinstance(recipe, dict) and RECIPE in hints:
        from flows.recipes.form import from_form
        from flows.recipes.recipe import kind_of

        stated = kind_of(recipe, parameters, RECIPE)
        hints[RECIPE] = Annotated[stated, BeforeValidator(from_form)]  # ty: ignore[invalid-type-form]
    fields: dict[str, Any] = {parameter: (hint, None) for parameter, hint in hints.items()}
    return create_model("Parameters", __config__=ConfigDict(extra="forbid"), **fields)


def _walk(node: Node, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Every value below a node, itself included, with its keys from the parameter on.

    Members of a list go by their `name`, or else by their number.
    """
    yield keys, node
    if node.id == "mapping":
        for key, value in _members(node).items():
            yield from _walk(value, (*keys, key))
    elif node.id == "sequence":
        for number, member in enumerate(node.value):
            name = _members(member).get("name") if member.id == "mapping" else None
            yield from _walk(member, (*keys, str(number) if name is None else str(name.value)))


def _members(mapping: Node) -> dict[str, Node]:
    return {str(key.value): value for key, value in mapping.value}


def _is_plain(node: Node) -> bool:
    """Whether a value is a word without quotes."""
    import yaml

    return isinstance(node, yaml.ScalarNode) and node.style is None


def _is_odd_number(node: Node) -> bool:
    """Whether a number is written so that only YAML reads it as it does, or only YAML does not."""
    return (node.tag in (f"{TAG}int", f"{TAG}float")) != bool(JSON_NUMBER.fullmatch(node.value))


def _row_of(node: "Node | None") -> int | None:
    return node.start_mark.line + 1 if node and node.start_mark else None


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
