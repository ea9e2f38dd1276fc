"""Reading recipes: a TOML file and assignments become one frozen and validated record."""

import copy
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from flows.recipes.open_questions import refuse_open_questions
from flows.recipes.recipe_errors import Origin, Place, explain
from flows.recipes.recipe_file import assign, locate_recipe, parse_assignment, read_table, suggestion
from flows.recipes.schedule import SECTION as SCHEDULE
from flows.recipes.schedule import ScheduleSettings
from rnnmodels.config import Settings
from tasks.contract.recipe import Recipe
from tasks.errors import InputError, quoted
from tasks.kinds import DEFAULT, find_kind, known_kinds

SHARED = "training"
Validated = TypeVar("Validated", bound=Settings)


def load_recipe(recipe: str, *, settings: Sequence[str] = (), from_file: str | None = None) -> Recipe:
    """Read a shipped or own recipe; `settings` are assignments such as `training.epochs=1`.

    Raises InputError (E-CFG-001 to E-CFG-006).
    """
    path = locate_recipe(recipe)
    return build_recipe(path, read_table(path), settings=settings, from_file=from_file)


def build_recipe(
    path: Path,
    table: dict,
    *,
    settings: Sequence[str] = (),
    from_file: str | None = None,
    notes: list[str] | None = None,
) -> Recipe:
    """Validate a raw recipe after changing the named fields; to `notes` is added which values have no effect.

    A value of the shared training that is given for this run wins over what candidates state in the file.
    Raises InputError (E-CFG-003, E-CFG-004, E-CFG-006, E-CFG-015, E-CFG-019, E-NAME-001).
    """
    kind = kind_of(table, Origin(path=path))
    defaults = kind.model_fields["candidates"].get_default()
    raw: dict[str, Any] = {
        "candidates": [candidate.model_dump(exclude_defaults=True) for candidate in defaults],
        **copy.deepcopy(table),
    }
    assignments = [parse_assignment(text) for text in settings]
    if from_file is not None:
        _refuse_second_path(assignments, from_file)
        assignments.append((("source", "path"), from_file))
    # What is said of all candidates comes first, so that what is said of one of them wins in any order.
    for keys, value in sorted(assignments, key=lambda assignment: assignment[0][0] != SHARED):
        if keys[0] == SHARED:
            fields = [*keys[1:2], *(value if keys == (SHARED,) and isinstance(value, dict) else ())]
            for own, field in itertools.product(_own_trainings(raw["candidates"]), fields):
                own.pop(field, None)  # what candidates state themselves
        assign(raw, keys, value)
    refuse_open_questions(path, raw)
    origin = Origin(path=path, changed={".".join(keys) for keys, _ in assignments})
    read_schedule(raw, origin)
    raw.pop(SCHEDULE, None)  # does not belong to what is trained
    shared = raw.pop(SHARED, {})
    validated(kind.training, shared, origin, section=SHARED)
    recipe = validated(kind, _with_shared_training(raw, shared), origin)
    if notes is not None:
        notes.extend([*_describe_shadowed(raw["candidates"], shared), *recipe.settings_without_effect])
    return recipe


def read_schedule(table: dict, origin: Place) -> ScheduleSettings | None:
    """Read when a deployed recipe is trained again, None without that section; raises InputError as `validated`."""
    return validated(ScheduleSettings, table[SCHEDULE], origin, section=SCHEDULE) if SCHEDULE in table else None


def kind_of(table: dict, origin: Place, *section: str) -> type[Recipe]:
    """Find the kind of problem a raw recipe states; texts are classified where it says nothing.

    Raises InputError (E-CFG-004).
    """
    kind = table.get("kind", DEFAULT)
    if kind not in known_kinds():
        problem = f"got {quoted(kind)}, expected one of {', '.join(map(quoted, known_kinds()))}."
        fix = f"{suggestion(str(kind), list(known_kinds()), 'choose one of')}."
        raise origin.error("E-CFG-004", (*section, "kind"), problem, fix=fix)
    return find_kind(kind).recipe


def validated(model: type[Validated], raw: dict, origin: Place, *, section: str = "") -> Validated:
    """Read a raw recipe, or one section of it; raises InputError (E-CFG-003, E-CFG-004, E-NAME-001)."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        schema = model.model_json_schema()
        if issubclass(model, Recipe):
            schema["properties"]["training"] = model.training.model_json_schema()
        raise explain(error, schema=schema, raw=raw, origin=origin, section=section) from error


def _refuse_second_path(assignments: Sequence[tuple[tuple[str, ...], object]], from_file: str) -> None:
    for keys, value in assignments:
        if keys == ("source", "path"):
            raise InputError(
                "E-CFG-015",
                f"--set source.path={quoted(value)} and --from-file {quoted(from_file)} both name the rows to read.",
                fix="give one of the two.",
            )


def _describe_shadowed(candidates: object, shared: dict) -> list[str]:
    """Name the values of the shared training that no candidate takes, as each states another."""
    owns = _own_trainings(candidates)
    shadowed = [
        field
        for field, value in shared.items()
        if isinstance(candidates, list)
        and 0 < len(owns) == len(candidates)
        and all(own.get(field, value) != value for own in owns)
    ]
    return [
        f"training.{field} = {shared[field]} has no effect, because every candidate sets its own value; "
        f"--set training.{field}={shared[field]} would override these."
        for field in shadowed
    ]


def _own_trainings(candidates: object) -> list[dict]:
    """What candidates of a raw recipe state of their training; what is not well-formed is left to validation."""
    tables = (
        [candidate for candidate in candidates if isinstance(candidate, dict)] if isinstance(candidates, list) else []
    )
    return [own for table in tables if isinstance(own := table.get(SHARED), dict)]


def _with_shared_training(raw: dict, shared: dict) -> dict:
    """Give every candidate the shared values it does not set itself."""
    if not isinstance(raw["candidates"], list):
        return raw
    merged = [
        {**candidate, SHARED: {**shared, **candidate.get(SHARED, {})}}
        if isinstance(candidate, dict) and isinstance(candidate.get(SHARED, {}), dict)
        else candidate
        for candidate in raw["candidates"]
    ]
    return {**raw, "candidates": merged}
