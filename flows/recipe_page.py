"""Writes `docs/recipes.md` from the recipe's own fields: `python -m flows.recipe_page > docs/recipes.md`."""

import sys
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from flows.kinds import ClassifyRecipe

HEAD = """# Recipes

A recipe is a TOML file; every field but `name` and `source` has a default. This page is made from the code
(`python -m flows.recipe_page > docs/recipes.md`), and a test compares the two.

Your own data take ten lines:

```toml
name = "tickets"            # the experiment and the registered model

[source]
dataset = "files"
path = "tickets/*.csv"      # CSV, TSV, JSONL, Parquet, folders of text files; compressed too
text_column = "body"
label_column = "queue"

[training]                  # shared by all candidates
epochs = 4
```

`[training]` gives every candidate its defaults; a candidate's own values win. On the command line `--set` addresses
any field: `--set encode.max_size=5000 --set training.epochs=1 --set candidates.gru.model.hidden_size=32
--set candidates=gru,lstm`. A list of candidates in a recipe replaces the default ones.
"""
BOUNDS = {Ge: ("ge", "≥"), Gt: ("gt", ">"), Le: ("le", "≤"), Lt: ("lt", "<")}


def describe_fields(section: type[BaseModel]) -> Iterator[str]:
    """Lines of a Markdown table, one per plain field of a section."""
    yield from ("| field | values | default | meaning |", "| --- | --- | --- | --- |")
    for name, field in section.model_fields.items():
        if nested_section(field) is None:
            cells = (f"`{name}`", describe_values(field), describe_default(field), field.description or "")
            yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def nested_section(field: FieldInfo) -> type[BaseModel] | None:
    """The section a field holds, alone or in a list."""
    kinds = (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def describe_values(field: FieldInfo) -> str:
    """Type or choices, with bounds."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    signs = [
        (getattr(one, name), sign) for one in field.metadata for name, sign in [BOUNDS.get(type(one), ("", ""))] if sign
    ]
    return ", ".join([describe_type(field.annotation), *(f"{sign} {bound:,}" for bound, sign in signs)])


def describe_type(annotation: object) -> str:
    """Name a type as a reader of TOML knows it."""
    kinds = get_args(annotation)
    if get_origin(annotation) is UnionType:
        return " or ".join(describe_type(kind) for kind in kinds if kind is not NoneType)
    if get_origin(annotation) is Annotated:
        return describe_type(kinds[0])
    if get_origin(annotation) is tuple:
        return f"list of {describe_type(kinds[0])}"
    return {str: "text", bool: "true, false", dict: "table"}.get(
        get_origin(annotation) or annotation
    ) or annotation.__name__


def describe_default(field: FieldInfo) -> str:
    """The default as TOML would hold it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "none" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def describe_section(title: str, section: type[BaseModel]) -> Iterator[str]:
    """A section's heading and fields, then the sections inside it."""
    yield from (
        "",
        f"## `{title}`",
        "",
        (section.__doc__ or "").strip().partition("\n")[0],
        "",
        *describe_fields(section),
    )
    for name, field in section.model_fields.items():
        inner = nested_section(field)
        if inner is not None:
            is_list = get_origin(field.annotation) is list
            path = name if title == "recipe" else f"{title}.{name}"
            yield from describe_section(f"[[{path}]]" if is_list else path.replace("[[", "").replace("]]", ""), inner)


def write_page() -> str:
    """The whole page."""
    return HEAD + "\n".join(describe_section("recipe", ClassifyRecipe)) + "\n"


if __name__ == "__main__":
    sys.stdout.write(write_page())
