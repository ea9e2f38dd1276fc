"""Kinds are made of parts; the flow and the stages know none of them."""

import ast
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from flows import train
from flows.kinds import RECIPES, AnyRecipe, Recipe, validate_recipe
from flows.recipe import load_recipe
from flows.recipe_file import shipped_recipes

ROOT = Path(train.__file__).parents[1]
STAGES = ("ingest", "split", "encode", "shard", "fit", "baseline", "evaluate", "register", "gate", "report", "publish")
PERFORMED = {
    "source": ("write_rows",),
    "split": ("must_hold", "write_splits"),
    "encode": ("write_encoded",),
    "shard": ("write_shards",),
    "baseline": ("BASELINES", "INPUTS"),
    "evaluate": ("INPUTS", "write_evaluation"),
    "registry": (
        *("EXAMPLE", "assemble_parts", "certify_parts", "choose_packaging", "describe_model", "name_encoder"),
        *("prove_served", "show_use", "write_example"),
    ),
    "promotion": ("compare_scores", "read_holdout", "refuse_incomparable", "score_model"),
}
PRESENTED = ("PRESENTATION", "compare_by", "compare_with_baseline", "draw_figures", "gather_details")


@pytest.fixture(params=sorted(shipped_recipes()))
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return load_recipe(request.param)


def test_every_part_is_performed_by_a_module_that_does_its_stage(recipe: Recipe):
    for section, names in PERFORMED.items():
        module = getattr(recipe, section).performer()
        assert [name for name in names if not hasattr(module, name)] == [], module.__name__
    for candidate in recipe.candidates:
        assert all(hasattr(candidate.performer(), name) for name in ("open_data", "create_model", "finish_model"))
    assert all(hasattr(recipe.evaluate.presenter(), name) for name in PRESENTED)


def test_a_recipe_survives_json(recipe: Recipe):
    stored = recipe.model_dump(mode="json")

    assert validate_recipe(stored) == recipe
    assert TypeAdapter(AnyRecipe).validate_python(stored) == recipe


@pytest.mark.parametrize("path", ["flows/train.py", *(f"tasks/{stage}.py" for stage in STAGES)])
def test_neither_the_flow_nor_a_stage_asks_for_the_kind(path: str):
    nodes = list(ast.walk(ast.parse((ROOT / path).read_text())))

    assert not [node for node in nodes if isinstance(node, ast.Attribute) and node.attr == "kind"]
    assert not {node.value for node in nodes if isinstance(node, ast.Constant)} & set(RECIPES)


def test_a_kind_says_what_it_is_for():
    said = [vars(kind)["__doc__"] for kind in RECIPES.values()]

    assert all(said)
    assert all(
        kind.model_fields["kind"].description.endswith(f"{doc[:1].lower()}{doc[1:]}")
        for kind, doc in zip(RECIPES.values(), said, strict=True)
    )
