"""Recipes of all kinds as what flows take: a form offers every kind, and validation takes the one that fits."""

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import BeforeValidator, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from flows.recipes.form import form_schema, from_form, judging_schema
from tasks.contract.recipe import Recipe
from tasks.kinds import all_kinds, find_kind
from tasks.kinds.forecast.recipe import ForecastRecipe


class _ShownAsForm:
    """Has a dashboard show short forms, and judge what is filled in by the whole recipe of the chosen kind.

    `anyOf` gives the form its tabs; a validator says of it no more than that nothing fits, so each kind is a condition.
    """

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict:
        schema = handler(core_schema)
        recipes = [handler.resolve_ref_schema(one) for one in schema.get("anyOf", [schema])]
        by_kind = {recipe["properties"]["kind"]["const"]: recipe for recipe in recipes}
        conditions = {kind: {"properties": {"kind": {"const": kind}}, "required": ["kind"]} for kind in by_kind}
        return {
            "anyOf": [form_schema(kind) for kind in by_kind],
            "allOf": [{"if": conditions[kind], "then": judging_schema(kind, by_kind[kind])} for kind in by_kind],
        }


if TYPE_CHECKING:
    AnyRecipe = Recipe
    AnyForecast = ForecastRecipe
else:
    _Whole = Union[tuple(kind.recipe for kind in all_kinds().values())]  # noqa: UP007
    AnyRecipe = Annotated[_Whole, BeforeValidator(from_form), _ShownAsForm()]
    AnyForecast = Annotated[ForecastRecipe, BeforeValidator(from_form), _ShownAsForm()]


def validate_recipe(raw: dict) -> AnyRecipe:
    """Read a recipe that was stored as JSON values."""
    return find_kind(raw["kind"]).recipe.model_validate(raw)
