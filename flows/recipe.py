"""Reading recipes: a TOML file and assignments become one frozen and validated record."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from flows.kinds import RECIPES, Recipe
from flows.recipe_errors import Origin, explain
from flows.recipe_file import assign, locate_recipe, parse_assignment, read_table, suggestion
from rnnmodels.config import Settings
from tasks.errors import quoted
from tasks.fit import Candidate

DEFAULT_KIND = "classify"
Validated = TypeVar("Validated", bound=Settings)


def load_recipe(recipe: str, *, settings: Sequence[str] = (), from_file: str | None = None) -> Recipe:
    """Read a shipped or own recipe; `settings` are assignments such as `training.epochs=1`.

    Raises InputError (E-CFG-001 to E-CFG-006).
    """
    path = locate_recipe(recipe)
    return build_recipe(path, read_table(path), settings=settings, from_file=from_file)


def build_recipe(path: Path, table: dict, *, settings: Sequence[str] = (), from_file: str | None = None) -> Recipe:
    """Validate a raw recipe after changing the named fields.

    Raises InputError (E-CFG-003, E-CFG-004, E-CFG-006, E-NAME-001).
    """
    kind = _kind_of(table, Origin(path=path))
    defaults = kind.model_fields["candidates"].get_default()
    raw = {"candidates": [_own_values(candidate) for candidate in defaults], **copy.deepcopy(table)}
    assignments = [parse_assignment(text) for text in settings]
    if from_file is not None:
        assignments.append((("source", "path"), from_file))
    for keys, value in assignments:
        assign(raw, keys, value)
    origin = Origin(path=path, changed={".".join(keys) for keys, _ in assignments})
    shared = raw.pop("training", {})
    _validate(kind.training, shared, origin, section="training")
    return _validate(kind, _with_shared_training(raw, shared), origin)


def _kind_of(table: dict, origin: Origin) -> type[Recipe]:
    """Find the kind of problem a raw recipe states; texts are classified where it says nothing."""
    kind = table.get("kind", DEFAULT_KIND)
    if kind not in RECIPES:
        problem = f"got {quoted(kind)}, expected one of {', '.join(map(quoted, RECIPES))}."
        raise origin.error(
            "E-CFG-004", ("kind",), problem, fix=f"{suggestion(str(kind), list(RECIPES), 'choose one of')}."
        )
    return RECIPES[kind]


def _validate(model: type[Validated], raw: dict, origin: Origin, *, section: str = "") -> Validated:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        schema = model.model_json_schema()
        if issubclass(model, Recipe):
            schema["properties"]["training"] = model.training.model_json_schema()
        raise explain(error, schema=schema, raw=raw, origin=origin, section=section) from error


def _own_values(candidate: Candidate) -> dict:
    return candidate.model_dump(exclude_defaults=True)


def _with_shared_training(raw: dict, shared: dict) -> dict:
    """Give every candidate the shared values it does not set itself."""
    if not isinstance(raw["candidates"], list):
        return raw
    merged = [
        {**candidate, "training": {**shared, **candidate.get("training", {})}}
        if isinstance(candidate, dict) and isinstance(candidate.get("training", {}), dict)
        else candidate
        for candidate in raw["candidates"]
    ]
    return {**raw, "candidates": merged}
