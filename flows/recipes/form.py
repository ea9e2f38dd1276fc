"""Recipes as forms show them: what people set comes first, and everything else is one group at the end.

A field goes by its name, whatever the kind: what FIRST lists is shown, in that order, then other columns and what is
required; any other field, a new one too, belongs to `advanced`, which a form shows as JSON. Prefect fills in every
default that a schema has, as if somebody had stated it; so defaults are told in words, and what is empty is not stated.
The training that candidates share has none: what is filled in holds for every candidate.
"""

import copy
import functools
from typing import Any

from flows.recipes.recipe_errors import resolve
from rnnmodels.config import Settings
from tasks.contract.recipe import Recipe
from tasks.kinds import DEFAULT, find_kind, known_kinds

SOURCE, TRAINING, CANDIDATES, ADVANCED = "source", "training", "candidates", "advanced"
FIRST = (
    *("name", "kind", "path", "columns", "text_columns", "id_columns", "time_columns"),
    *("value_columns", "label_column", "frequency", "look_back", "horizon", "epochs", "learning_rate"),
)
COLUMNS = ("_column", "_columns")
ORDER = ("name", "kind", SOURCE, TRAINING)  # then other sections, then candidates
ADVANCED_TEXT = (
    'All other settings, section by section, as docs/recipes.md lists them: {"split": {"seed": 3}, "source": '
    '{"max_rows": 1000}}.'
)
TRAINING_TEXT = "For every candidate; what is empty here is each candidate's own."


def _schema_of(settings: type[Settings]) -> dict:
    """The JSON schema of some settings, for the caller to change: every flow that takes a recipe asks for it anew."""
    return copy.deepcopy(_generate_schema(settings))


@functools.cache
def _generate_schema(settings: type[Settings]) -> dict:
    return settings.model_json_schema()


def shown_fields(kind: str) -> dict[str, dict[str, dict]]:
    """The fields that a form of a kind shows, with their schemas, by section; plain fields are in the section ``."""
    recipe = find_kind(kind).recipe
    schema = _schema_of(recipe)
    sections = {name: resolve(field, schema) for name, field in schema["properties"].items() if name != CANDIDATES}
    plain = {name for name, section in sections.items() if "properties" not in section}
    shown = {"": {name: sections[name] for name in sections if name in plain}}
    for name in (name for name in sections if name not in plain):
        shown[name] = {key: _tell_default(field) for key, field in _choose_first(sections[name], schema).items()}
    training = _schema_of(recipe.training)
    shown[TRAINING] = {name: _without(field, "default") for name, field in _choose_first(training, training).items()}
    return {name: fields for name, fields in shown.items() if fields}


def form_schema(kind: str) -> dict:
    """The JSON schema of a kind's form, in the order of its fields."""
    recipe = find_kind(kind).recipe
    full, shown = _schema_of(recipe), shown_fields(kind)
    properties = shown.pop("")
    properties["kind"] |= {"default": kind, "enum": [kind]}
    for name in sorted(shown, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER)):
        described = {"description": TRAINING_TEXT} if name == TRAINING else full["properties"][name]
        properties[name] = {
            "type": "object",
            "title": name.replace("_", " ").title(),
            "description": described.get("description", ""),
            "properties": shown[name],
            "required": [field for field in resolve(described, full).get("required", ()) if field in shown[name]],
        }
    properties[CANDIDATES] = {
        "type": "array",
        "title": "Candidates",
        "description": full["properties"][CANDIDATES].get("description", "Models to compare."),
        "items": {"type": "object", "title": "Candidate"},
        "default": default_candidates(recipe),
    }
    properties[ADVANCED] = {"type": "object", "title": "Advanced", "description": ADVANCED_TEXT}
    required = [name for name in full["required"] if name in properties]
    texts = {key: full[key] for key in ("title", "description") if key in full}
    return {"type": "object", **texts, "properties": properties, "required": required}


def judging_schema(kind: str, full: dict) -> dict:
    """The schema by which a filled-in form is judged: `full`, the recipe's own, and what forms add to it.

    A page shows what is wrong with JSON where the JSON is, not with what lies within it: `anyOf` brings it up there.
    """
    recipe = find_kind(kind).recipe
    sections, alone = full["properties"], _schema_of(recipe)
    # What a section requires is shown, so it is not among the advanced settings.
    needy = [name for name, field in alone["properties"].items() if resolve(field, alone).get("required")]
    rest = {name: {"type": "object"} if name in needy else field for name, field in sections.items()}
    known = _without(rest, CANDIDATES)
    added = {
        CANDIDATES: sections[CANDIDATES] | {"items": {"anyOf": [sections[CANDIDATES]["items"]]}},
        TRAINING: _schema_of(recipe.training),
        ADVANCED: {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: {} for name in known},
            "anyOf": [{"properties": known}],
        },
    }
    return {**full, "properties": sections | added}


def to_form(recipe: Recipe) -> dict:
    """Lay out what a recipe states as its form shows it; `from_form` reads the same recipe from it."""
    stated: dict[str, Any] = recipe.model_dump(mode="json", exclude_unset=True)
    shown, advanced = shown_fields(recipe.kind), {}
    candidates = stated.pop(CANDIDATES, None)
    filled: dict[str, Any] = {"name": recipe.name, "kind": recipe.kind}
    for name, section in stated.items():
        if name in shown[""]:
            filled[name] = section
            continue
        first = {field: value for field, value in section.items() if field in shown.get(name, ())}
        rest = _without(section, *first)
        filled |= {name: first} if first or name == SOURCE else {}
        advanced |= {name: rest} if rest else {}
    if candidates:
        filled |= _share(candidates, shown[TRAINING])
    return filled | ({ADVANCED: advanced} if advanced else {})


def from_form(filled: object) -> object:
    """Turn a filled-in form into a raw recipe; anything else, such as a whole recipe, comes back as it was."""
    if not isinstance(filled, dict) or filled.get("kind", DEFAULT) not in known_kinds():
        return filled
    raw: dict[str, Any] = copy.deepcopy({name: value for name, value in filled.items() if value is not None})
    for name, fields in _as_dict(raw.pop(ADVANCED, {})).items():
        raw[name] = {**_as_dict(raw.get(name)), **fields} if isinstance(fields, dict) else fields
    shared = _as_dict(raw.pop(TRAINING, {}))
    if shared:
        recipe = find_kind(raw.get("kind", DEFAULT)).recipe
        candidates = raw.get(CANDIDATES) or default_candidates(recipe)
        raw[CANDIDATES] = [{**one, TRAINING: {**_as_dict(one.get(TRAINING)), **shared}} for one in candidates]
    return raw


def default_candidates(recipe: type[Recipe]) -> list[dict]:
    """The candidates of a kind's recipe that lists none, as a recipe would state them."""
    defaults = recipe.model_fields[CANDIDATES].get_default(call_default_factory=True)
    return [candidate.model_dump(mode="json", exclude_defaults=True) for candidate in defaults]


def _share(candidates: list[dict], shown: dict[str, dict]) -> dict[str, Any]:
    """Take out of candidates the training that a form shows and in which all of them agree."""
    owns = [_as_dict(one.get(TRAINING)) for one in candidates]
    shared = {name: owns[0][name] for name in shown if all(name in own and own[name] == owns[0][name] for own in owns)}
    rest = [_without(own, *shared) for own in owns]
    kept = [
        _without(one, TRAINING) | ({TRAINING: own} if own else {}) for one, own in zip(candidates, rest, strict=True)
    ]
    return ({TRAINING: shared} if shared else {}) | {CANDIDATES: kept}


def _choose_first(section: dict, schema: dict) -> dict[str, dict]:
    """The fields of a section that are shown."""
    fields, needed = section["properties"], section.get("required", ())
    others = [name for name in fields if name not in FIRST and (name in needed or name.endswith(COLUMNS))]
    return {name: _plain(resolve(fields[name], schema)) for name in (*FIRST, *others) if name in fields}


def _plain(field: dict) -> dict:
    """A field that may be empty, without the choice between a value and none: a form can leave it empty anyway."""
    choices = [one for one in field.get("anyOf", ()) if one != {"type": "null"}]
    return {**choices[0], **_without(field, "anyOf")} if len(choices) == 1 else field


def _tell_default(field: dict) -> dict:
    """A field with its default in the description."""
    default = field.get("default")
    told = ", ".join(map(str, default)) if isinstance(default, list) else "" if default is None else str(default)
    description = " ".join(filter(None, [field.get("description"), told and f"Default: {told}."]))
    return _without(field, "default") | {"description": description}


def _without(table: dict, *keys: str) -> dict:
    return {key: value for key, value in table.items() if key not in keys}


def _as_dict(value: object) -> dict:
    return value if isinstance(value, dict) else {}
