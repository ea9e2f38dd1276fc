"""Recipes of all kinds as what flows take: a form offers every kind, and validation takes the one that fits."""

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from tasks.contract.recipe import Recipe
from tasks.kinds import all_kinds, find_kind


class _JudgedByKind:
    """Has a form say what is wrong with a recipe of the chosen kind, and not only that it is of none.

    `anyOf` gives the form its tabs, but a validator says of it no more than that nothing fits.
    """

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict:
        schema = handler(core_schema)
        conditions = [{"properties": {"kind": {"const": kind}}, "required": ["kind"]} for kind in all_kinds()]
        parts = zip(conditions, schema["anyOf"], strict=True)
        return {**schema, "allOf": [{"if": condition, "then": dict(part)} for condition, part in parts]}


if TYPE_CHECKING:
    AnyRecipe = Recipe
else:
    AnyRecipe = Annotated[Union[tuple(kind.recipe for kind in all_kinds().values())], _JudgedByKind()]  # noqa: UP007


def validate_recipe(raw: dict) -> AnyRecipe:
    """Read a recipe that was stored as JSON values."""
    return find_kind(raw["kind"]).recipe.model_validate(raw)
