"""Kinds are made of parts; the flow and the stages know none of them."""

import ast
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from flows.recipes.kinds import AnyRecipe, validate_recipe
from flows.recipes.recipe import load_recipe
from flows.recipes.recipe_file import shipped_recipes
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
