"""Forms of recipes: short, in the order of what people set, and without loss."""

import json
from collections.abc import Iterable

import pytest
from jsonschema import ValidationError
from prefect.utilities.schema_tools import validate
from pydantic import Field, TypeAdapter

from flows.recipes import form
from flows.recipes.form import form_schema, from_form, shown_fields, to_form
from flows.recipes.kinds import AnyForecast, AnyRecipe
from flows.recipes.recipe import build_recipe, load_recipe
from flows.recipes.recipe_file import locate_recipe, read_table, shipped_recipes
from tasks.kinds import BUILT_IN, find_kind

recipes, kinds = TypeAdapter(AnyRecipe), sorted(BUILT_IN)
SCHEMA = recipes.json_schema()
FILLED = {"name": "mine", "kind": "classify", "source": {"path": "rows.csv"}}


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_a_form_holds_the_whole_recipe(name: str):
    recipe = load_recipe(name)
    filled = json.loads(json.dumps(to_form(recipe)))

    assert recipes.validate_python(filled) == recipe
    assert recipes.validate_python(filled).model_dump(mode="json") == recipe.model_dump(mode="json")
    assert validate(filled, SCHEMA) == []


@pytest.mark.parametrize("kind", kinds)
def test_a_form_begins_with_names_paths_columns_and_epochs_and_ends_with_the_rest(kind: str):
    properties = form_schema(kind)["properties"]

    assert list(properties)[:4] == ["name", "kind", "source", "training"]
    assert list(properties)[-2:] == ["candidates", "advanced"]
    assert next(iter(properties["source"]["properties"])) == "path"
    assert next(iter(properties["training"]["properties"])) == "epochs"
    assert properties["kind"]["default"] == kind


@pytest.mark.parametrize("kind", kinds)
def test_a_form_shows_few_fields_and_no_cap(kind: str):
    shown = [field for fields in shown_fields(kind).values() for field in fields]

    assert len(shown) <= 24
    assert not [field for field in shown if field.startswith(("max_", "min_")) or "ratio" in field]


@pytest.mark.parametrize("kind", kinds)
def test_a_form_states_nothing_that_nobody_stated(kind: str):
    properties = form_schema(kind)["properties"]

    assert [name for name, field in properties.items() if "default" in field] == ["kind", "candidates"]
    inner = [field for section in properties.values() for field in section.get("properties", {}).values()]
    assert not [field for field in inner if "default" in field]
    if kind == "forecast":
        assert properties["shard"]["properties"]["horizon"]["description"] == "Steps that it forecasts. Default: 24."


def test_a_new_field_finds_its_place_by_its_name(monkeypatch: pytest.MonkeyPatch):
    old = find_kind("classify").recipe
    source = old.model_fields["source"].annotation

    class Source(source):
        queue_column: str = Field("queue", description="A column.")
        max_queues: int = Field(7, description="A cap.")

    class Recipe(old):
        source: Source

    monkeypatch.setattr(form, "find_kind", lambda kind: type("Kind", (), {"recipe": Recipe}))

    assert "queue_column" in shown_fields("classify")["source"]
    assert "max_queues" not in shown_fields("classify")["source"]
    recipe = Recipe.model_validate({"name": "mine", "source": {"path": "a.csv", "queue_column": "b", "max_queues": 3}})
    assert to_form(recipe)["source"] == {"path": "a.csv", "queue_column": "b"}
    assert to_form(recipe)["advanced"] == {"source": {"max_queues": 3}}


def test_epochs_of_the_form_are_those_of_every_candidate():
    filled = to_form(load_recipe("reviews"))
    assert "training" not in filled  # candidates differ

    changed = recipes.validate_python(filled | {"training": {"epochs": 9}})

    assert [one.training.epochs for one in changed.candidates] == [9, 9, 9]
    assert changed.candidates[0].training.learning_rate == 0.001


def test_epochs_that_candidates_share_are_shown_once():
    path = locate_recipe("sea-temperature")
    filled = to_form(build_recipe(path, read_table(path), settings=["training.epochs=7"]))

    assert filled["training"] == {"epochs": 7}
    assert "epochs" not in json.dumps(filled["candidates"])
    changed = recipes.validate_python(filled | {"training": {"epochs": 2}})
    assert {one.training.epochs for one in changed.candidates} == {2}


def test_an_empty_form_takes_the_candidates_of_its_kind():
    bare = recipes.validate_python(FILLED)

    assert recipes.validate_python(FILLED | {"candidates": None}) == bare
    assert recipes.validate_python(FILLED | {"training": {"epochs": 3}, "candidates": []}).candidates == bare.candidates


def test_what_is_advanced_joins_what_is_shown():
    filled = FILLED | {"advanced": {"source": {"max_rows": 10}, "split": {"seed": 3}}}

    recipe = recipes.validate_python(filled)

    assert (recipe.source.path, recipe.source.max_rows, recipe.split.seed) == ("rows.csv", 10, 3)
    assert from_form(filled)["source"] == {"path": "rows.csv", "max_rows": 10}


def messages_of(errors: Iterable[ValidationError]) -> str:
    return " ".join(f"{error.message} {messages_of(error.context)}" for error in errors)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"training": {"epochs": 0}}, "0 is less than the minimum of 1"),
        ({"candidates": [{"name": "a", "training": {"epochs": 0}}]}, "0 is less than the minimum of 1"),
        ({"advanced": {"split": {"sed": 1}}}, "'sed' was unexpected"),
        ({"advanced": {"spilt": {"seed": 1}}}, "'spilt' was unexpected"),
        ({"source": {"path": "rows.csv", "max_row": 1}}, "'max_row' was unexpected"),
        ({"name": "a b"}, "'a b' does not match"),
    ],
)
def test_a_dashboard_refuses_what_no_recipe_takes(wrong: dict, said: str):
    assert said in messages_of(validate(FILLED | wrong, SCHEMA))


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"candidates": [{"name": "a"}, {"name": "b", "training": {"epochs": 0}}]}, ["candidates", 1]),
        ({"advanced": {"split": {"seed": -1}}}, ["advanced"]),
    ],
)
def test_what_is_wrong_within_json_is_said_where_the_page_shows_the_json(wrong: dict, place: list):
    schema = TypeAdapter(AnyForecast).json_schema()
    filled = {"name": "mine", "kind": "forecast", "source": {"path": "rows.csv"}}

    assert validate(filled, schema) == []
    assert [list(error.path) for error in validate(filled | wrong, schema) if error.validator == "anyOf"] == [place]


def test_a_whole_recipe_is_taken_as_it_was_before_forms():
    recipe = load_recipe("reviews")
    raw = {"name": "mine", "source": {"path": "rows.csv", "max_bytes": 1000}, "candidates": [{"name": "a"}]}

    assert recipes.validate_python(recipe.model_dump(mode="json")) == recipe
    assert recipes.validate_python(recipe) is recipe
    assert recipes.validate_python(raw).source.max_bytes == 1000
    assert TypeAdapter(AnyForecast).validate_python(to_form(load_recipe("etth1"))) == load_recipe("etth1")
