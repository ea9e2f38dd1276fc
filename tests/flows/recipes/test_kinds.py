"""Kinds are made of parts; the flow and the stages know none of them."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import get_origin

import pytest
from pydantic import BaseModel, TypeAdapter

from flows.recipes.kinds import AnyRecipe, validate_recipe
from flows.recipes.recipe import load_recipe
from flows.recipes.recipe_file import shipped_recipes
from flows.recipes.recipe_page import nested_section
from tasks.contract.kind import Kind, LazyModule
from tasks.contract.recipe import Recipe
from tasks.kinds import BUILT_IN, find_kind

ROOT = Path(__file__).parents[3]
STAGES = ("ingest", "split", "encode", "shard", "fit", "baseline", "evaluate", "register", "gate", "report", "publish")


@pytest.fixture(params=sorted(BUILT_IN))
def kind(request: pytest.FixtureRequest) -> Kind:
    return find_kind(request.param)


@pytest.fixture(params=sorted(shipped_recipes()))
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return load_recipe(request.param)


def test_every_part_of_a_kind_can_be_loaded(kind: Kind):
    parts = {field.name: getattr(kind, field.name) for field in fields(kind)}
    lazy = {name: part for name, part in parts.items() if isinstance(part, LazyModule)}

    assert set(lazy) >= {*STAGES[:-1], "predict"}
    for part in lazy.values():
        assert part.load() is (
            getattr(sys.modules[part.name], part.attribute) if part.attribute else sys.modules[part.name]
        )


def test_a_kind_is_called_as_its_recipe_is(kind: Kind):
    assert kind.recipe.model_fields["kind"].annotation.__args__ == (kind.name,)
    assert set(kind.recipe.baselines) == set(kind.baseline.load().BASELINES)


def test_a_recipe_survives_json(recipe: Recipe):
    stored = recipe.model_dump(mode="json")

    assert validate_recipe(stored) == recipe
    assert TypeAdapter(AnyRecipe).validate_python(stored) == recipe


def sections_of(section: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel], object]]:
    """The sections inside a section: where each stands, its class, and what it is where a recipe leaves it out."""
    for name, field in section.model_fields.items():
        inner, own_path = nested_section(field), f"{path}.{name}"
        if inner is not None:
            if get_origin(field.annotation) is not list and not field.is_required():
                yield own_path, inner, field.get_default(call_default_factory=True)
            yield from sections_of(inner, own_path)


def test_a_section_that_states_one_field_keeps_the_defaults_of_all_others(kind: Kind):
    """One that is left out would have other values than one of which a single field is stated."""
    found = list(sections_of(kind.recipe, kind.name))

    assert len(found) > 5
    assert not [path for path, section, default in found if default != section()]


@pytest.mark.parametrize("path", ["flows/train.py", *(f"tasks/{stage}.py" for stage in STAGES)])
def test_neither_the_flow_nor_a_stage_asks_for_the_kind(path: str):
    nodes = list(ast.walk(ast.parse((ROOT / path).read_text())))

    assert not {node.value for node in nodes if isinstance(node, ast.Constant)} & set(BUILT_IN)


def test_a_kind_says_what_it_is_for():
    recipes = [find_kind(name).recipe for name in BUILT_IN]
    said = [vars(recipe)["__doc__"] for recipe in recipes]

    assert all(said)
    assert all(
        recipe.model_fields["kind"].description.endswith(f"{doc[:1].lower()}{doc[1:]}")
        for recipe, doc in zip(recipes, said, strict=True)
    )
