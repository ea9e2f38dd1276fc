"""Writes `docs/recipes.md` from the recipe's own fields: `python -m flows.recipes.recipe_page > docs/recipes.md`."""

import json
import sys
from collections.abc import Iterable, Iterator
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from flows.recipes.schedule import ScheduleSettings
from tasks.kinds import BUILT_IN, find_kind

HEAD = """# Recipes

A recipe is a TOML file. It needs a `name`, a `source` and, for all but the classification of texts, a `kind`; almost
every other field has a default. This page is generated from the code
(`python -m flows.recipes.recipe_page > docs/recipes.md`), and a test compares the two.

`rnnflow new FILE` writes a recipe from a look at your data. By hand, ten lines do:

```toml
name = "tickets"            # the experiment and the registered model

[source]
dataset = "files"
path = "tickets/*.csv"      # CSV, TSV, JSONL, Parquet, folders of text files; compressed or in an archive, too
text_columns = "body"       # or several, joined by text_separator: ["title", "body"]
label_column = "queue"

[training]                  # shared by all candidates
epochs = 4
```

Tables are read as they come where they have one reading: `delimiter = "auto"` finds comma, semicolon, tab or pipe by
the header and the first lines. A table without a header line needs the names of its `columns`; lines that begin with
`comment` are skipped, and `missing_values` lists texts such as `"?"` that stand for nothing. A zip or tar archive is
read as the tables in it, of which `include = "*.csv"` chooses, or as the documents in it. A key that a record of JSON
Lines lacks counts as null. True and false are the labels `true` and `false`, or the numbers 1 and 0, in every format.

`[training]` gives every candidate its defaults; a candidate's own values win, and a shared value that every candidate
overrides is reported as having no effect. On the command line `--set` addresses any field:
`--set encode.max_size=5000 --set training.epochs=1 --set candidates.gru.model.hidden_size=32
--set candidates=gru,lstm`.
What it says is meant for this run: `--set training.epochs=1` wins over the candidates' own values, and
`--set candidates.gru.training.epochs=2` over that. A list of candidates in a recipe replaces the default ones.

Your own time series take about as many:

```toml
name = "loads"
kind = "forecast"

[source]
path = "loads/*.csv"          # CSV, TSV, JSONL or Parquet
id_columns = "station"        # several series, perhaps by several columns: ["store", "item"]; without it one
time_columns = "time"
value_columns = ["load"]      # the channels to forecast
covariate_columns = ["works"] # known in advance

[encode]
calendar = ["hour", "weekday"]

[shard]
look_back = 336
horizon = 48
```

What is wrong with the rows is an error that names file, row and column, until a policy says what to do: `unsorted`,
`duplicates`, `gaps`, `sentinels`, `missing_values`, `ambiguous_times` in `[source]`, `missing` in `[encode]`.
`rnnflow backtest` trains such a recipe at several cut-offs in the past.

Anomaly detection needs no regular times, and labels only for scoring:

```toml
name = "pumps"
kind = "detect"

[source]
path = "pumps/*.parquet"
id_columns = "pump"
time_columns = "time"
value_columns = ["pressure", "flow"]
label_column = "faulty"       # 1, 0 or nothing; leave it out where there are none

[split]
warm_up = 0.3                 # the first rows of each pump are taken to be ordinary

[shard]
look_back = 144
horizon = 144                 # rows from a forecast to the row that is compared with it
```

A language model needs texts alone, such as a book or a folder of documents ([language.md](language.md)):

```toml
name = "novels"
kind = "language"

[source]
path = "novels/*.txt"         # or text_columns of a table; documents = "line" for a text on each line

[encode]
tokenizer = "char"            # or "word", "subword", "space"
```
"""
SCHEDULE = """
## When it is trained again

A section `[schedule]` holds for [deployed recipes](operations.md): `rnnflow up` and `rnnflow deploy` schedule
`retrain` by it. It changes no model.

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
    return ", ".join([describe_type(field.annotation), *describe_bounds(field.metadata)])


def describe_bounds(metadata: Iterable[object]) -> Iterator[str]:
    """Bounds of a number, those of a field within a type among them."""
    for one in metadata:
        name, sign = BOUNDS.get(type(one), ("", ""))
        yield from describe_bounds(one.metadata) if isinstance(one, FieldInfo) else ()
        yield from [f"{sign} {getattr(one, name):,}"] if sign else ()


def describe_type(annotation: object) -> str:
    """Name a type as a reader of TOML knows it, or its choices."""
    kinds = get_args(annotation)
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in kinds)
    if get_origin(annotation) in (UnionType, Union):
        return " or ".join(describe_type(kind) for kind in kinds if kind is not NoneType)
    if get_origin(annotation) is Annotated:
        return ", ".join([describe_type(kinds[0]), *describe_bounds(kinds[1:])])
    if get_origin(annotation) is tuple:
        return f"list of {describe_type(kinds[0])}"
    plain = get_origin(annotation) or annotation
    assert isinstance(plain, type), f"{annotation} has no name"
    return {str: "text", bool: "true, false", dict: "table"}.get(plain) or plain.__name__


def describe_default(field: FieldInfo) -> str:
    """The default as TOML would hold it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    shown = str(value).replace("\n", "\\n")
    return "none" if value is None else f"`{shown.lower() if isinstance(value, bool) else shown}`"


def describe_section(title: str, section: type[BaseModel], note: str = "") -> Iterator[str]:
    """A section's heading and fields, then the sections inside it."""
    summary = (section.__doc__ or "").strip().partition("\n")[0]
    yield from ("", f"### `{title}`", "", f"{summary} {note}".strip(), "", *describe_fields(section))
    yield from _describe_inner(section, f"{title}.".replace("[[", "").replace("]]", ""))


def describe_kind(kind: type[BaseModel]) -> Iterator[str]:
    """A kind's heading and plain fields, then its sections."""
    name = kind.model_fields["kind"].annotation
    yield from ("", f"## Kind `{get_args(name)[0]}`", "", (kind.__doc__ or "").strip(), "", *describe_fields(kind))
    yield from _describe_inner(kind, "")


def _describe_inner(section: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        inner = nested_section(field)
        if inner is not None:
            if get_origin(field.annotation) is list:
                yield from describe_section(f"[[{prefix}{name}]]", inner, _describe_listed(field))
            else:
                yield from describe_section(f"{prefix}{name}", inner)


def _describe_listed(field: FieldInfo) -> str:
    """What a recipe that lists none has in the list, with the values that differ from the defaults below."""
    listed = (one.model_dump(mode="json", exclude_defaults=True) for one in field.get_default())
    return f"A recipe that lists none has {' and '.join(map(_describe_one, listed))}."


def _describe_one(section: dict) -> str:
    name, *values = (f"`{section.pop('name')}`", *_describe_values_of(section))
    return f"{name} ({', '.join(values)})" if values else name


def _describe_values_of(section: dict, prefix: str = "") -> Iterator[str]:
    for name, value in section.items():
        if isinstance(value, dict):
            yield from _describe_values_of(value, f"{prefix}{name}.")
        else:
            yield f"`{prefix}{name} = {json.dumps(value)}`"


def write_page() -> str:
    """The whole page, of the kinds that are ours."""
    sections = [line for name in BUILT_IN for line in describe_kind(find_kind(name).recipe)]
    return "\n".join([HEAD + SCHEDULE + "\n".join(describe_fields(ScheduleSettings)), *sections]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(write_page())
