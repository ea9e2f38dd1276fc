"""Tables sent over HTTP: the same rows as in a file, answered as a prediction answers the file.

The answer for a series may not depend on who else asks, down to the last bit. Tables that wait together are read
together, which takes most of the time, if there is nothing to report about any of their rows; each is answered
separately, since a network rounds by the size of its batch.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from polars import selectors
from pydantic import AllowInfNan, BaseModel, ConfigDict, Field, JsonValue

from tasks.contract import interface
from tasks.contract.interface import Answered, Interface, RequestError, with_example
from tasks.contract.notes import Notes
from tasks.contract.profile import Profile
from tasks.errors import InputError, ResourceError, RnnflowError
from tasks.panel.cells import ONLY_SERIES
from tasks.panel.served_table import PanelModel, ReadTable, read_some
from tasks.prediction.remedies import in_words_of_training
from tasks.prediction.tables import with_iso_times

AnswerTable = Callable[[Any, Any, ReadTable[Any], dict[str, Any], str], dict[str, Any]]
Cell = str | bool | int | Annotated[float, AllowInfNan(False)] | None
# Larger whole numbers are written as text, which readers of numbers accept too.
INT64 = range(-(2**63), 2**63)
# A column of these numbers, before those of the ids, tells tables that are read together apart.
TABLE = "\0table"
SEPARATOR = "/"
MAX_ID_COLUMNS = 8
REFUSED: dict[str, JsonValue] = {
    "series": "b",
    "row": None,
    "column": None,
    "code": "E-FOR-001",
    "problem": 'series "b" has 20 steps before the forecast, expected at least 96.',
    "fix": "bring more of its history.",
}
# For errors whose own remedy is for a table of Python's.
REMEDIES = {
    "E-REG-012": "send each row with the columns that /v1/model lists.",
    "E-REG-013": "send the cells of this column as strings.",
    "E-REG-014": "send the cells of this column as strings.",
}


class TableCaps(interface.Caps):
    """What a question about a table may hold."""

    batch_items: int = Field(
        10_000, ge=1, le=1_000_000, description="Rows of waiting requests that are answered together."
    )
    max_rows: int = Field(10_000, ge=1, le=1_000_000, description="Rows of a request.")
    max_series: int = Field(1_000, ge=1, le=100_000, description="Series, or sequences, of a request.")
    max_cells: int = Field(1_000_000, ge=1, le=100_000_000, description="Rows of a request, times their columns.")


class TableQuestion(interface.Question):
    """A table with the columns that the model was trained on, an object per row; other columns are ignored.

    A column that an object lacks is null in its row, a missing value.
    """

    rows: list[dict[str, Cell]] = Field(min_length=1, description="The rows of the table.")

    def check(self, caps: TableCaps) -> None:
        """Raise RequestError naming what is over a cap; series are counted when the rows are read."""
        num_columns = len({name for row in self.rows for name in row})
        caps.check("max_rows", len(self.rows), "rows", place="rows")
        caps.check("max_cells", len(self.rows) * num_columns, "cells", place="rows")

    def table(self) -> pl.DataFrame:
        """The rows as a table, numbers as numbers."""
        names = dict.fromkeys(name for row in self.rows for name in row)
        return pl.DataFrame([to_column(name, [row.get(name) for row in self.rows]) for name in names])


class RefusedPart(BaseModel):
    """A series that is not answered, or a row (counted from 0) that is left out, and why."""

    model_config = with_example(REFUSED)

    series: str | None
    row: int | None
    column: str | None
    code: str
    problem: str
    fix: str


class TableAnswer(interface.Answer):
    """What could be answered, what could not, and notes on the rows."""

    refused: list[RefusedPart]
    notes: list[str]


class TableState(interface.ModelState):
    """The version that answers, since when, the alias it follows, what each column of a row is, and its channels."""

    columns: dict[str, str]
    channels: list[str]


TableInterface = partial(Interface, items="rows", sample='{"rows": [{"time": "...", ...}, ...]}', caps=TableCaps)


def with_answer(field: str, answer: JsonValue) -> ConfigDict:
    """The `model_config` of a kind's `TableAnswer`, with an example of what is in its `field`."""
    return with_example({"model": "small/3", field: [answer], "refused": [REFUSED], "notes": []})


def to_column(name: str, cells: list[Cell]) -> pl.Series:
    """Cells of JSON as a column of one type; those of several types become text, spelled as JSON spells them."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if not kinds or kinds == {str}:
        return pl.Series(name, cells, pl.String)
    if kinds <= {int, float} and all(cell in INT64 for cell in cells if isinstance(cell, int)):
        return pl.Series(name, cells, pl.Int64 if kinds == {int} else pl.Float64, strict=False)
    return pl.Series(name, [cell if isinstance(cell, str | None) else json.dumps(cell) for cell in cells], pl.String)


def read_together(model: PanelModel, tables: Sequence[pl.DataFrame]) -> list[Callable[[], ReadTable]] | None:
    """Read tables in one go; None if their columns differ, or if there is anything to report about their rows.

    What is done to rows may depend on all that are read, but where nothing was done and nothing refused, each row is as
    if its table had been read alone.
    """
    settings = model.serving.settings_for(Path("table.parquet"), **model.table_layout)
    ids = settings.id_columns
    are_alike = len({tuple(table.schema.items()) for table in tables}) == 1
    if len(tables) == 1 or not are_alike or settings.one_series_per_file or len(ids) >= MAX_ID_COLUMNS:
        return None
    marked = (table.with_columns(pl.lit(str(number)).alias(TABLE)) for number, table in enumerate(tables))
    try:
        read = read_some(model, pl.concat(marked), id_columns=(TABLE, *ids))
    except RnnflowError:
        return None
    # A name that contains an escape would be spelled differently alone.
    if read.said or read.refused or read.refusals or read.rows["series"].str.contains("\\", literal=True).any():
        return None
    return [partial(_take, read, str(number), bool(ids)) for number in range(len(tables))]


def _take(read: ReadTable, number: str, has_ids: bool) -> ReadTable:
    """The rows of a table, their series named as in it."""
    prefix, name = f"{number}{SEPARATOR}", pl.col("series")
    own = read.rows.filter(name.str.starts_with(prefix) if has_ids else name == number)
    named = own.with_columns(series=name.str.strip_prefix(prefix) if has_ids else pl.lit(ONLY_SERIES))
    return replace(read, rows=named)


def answer_tables(
    model: PanelModel, questions: Sequence[TableQuestion], caps: TableCaps, *, label: str, answer: AnswerTable
) -> Answered:
    """Answer questions that wait together; `label` names the model's version.

    `answer` returns the fields that a kind adds to its answer, given a question, the table that was read, the options
    of `TableModel.answer_window`, and the label; it raises InputError where nothing is left, and RequestError.
    """
    tables = [question.table() for question in questions]
    together = read_together(model, tables) or [partial(read_some, model, table) for table in tables]
    profiles: list[Profile] = []
    answers = []
    for question, read_table in zip(questions, together, strict=True):
        notes, settings = Notes(), model.serving.settings
        try:
            read = read_table()
            caps.check("max_series", read.rows["series"].n_unique(), "series", place="rows")
            options = {"refusals": read.refusals, "notes": notes, "profiles": profiles}
            fields = answer(model, question, read, options, label)
        except RequestError as error:
            answers.append(error)
        except (InputError, ResourceError) as error:
            fix = _remedy(error, settings)
            answers.append(RequestError(_place_of(error), error.problem, fix, error.code))
        else:
            refused = sorted(read.refused, key=lambda error: error.row or 0)
            parts = [_describe_refused(error, settings) for error in refused]
            parts += [_describe_refused(refusal.error, settings, refusal.series) for refusal in read.refusals]
            answers.append({**fields, "refused": parts, "notes": [*read.said, *model.describe(notes)]})
    return Answered(answers=answers, profiles=profiles)


def _describe_refused(error: InputError, settings: Any, series: str | None = None) -> dict[str, Any]:  # noqa: ANN401
    return {
        "series": series,
        "row": None if error.row is None or series is not None else error.row - 1,
        "column": error.column,
        "code": error.code,
        "problem": error.problem,
        "fix": _remedy(error, settings),
    }


def _remedy(error: RnnflowError, settings: Any) -> str:  # noqa: ANN401
    return REMEDIES.get(error.code) or in_words_of_training(error.fix, settings)


def _place_of(error: RnnflowError) -> str:
    row = "" if error.row is None else f"[{error.row - 1}]"
    return f"rows{row}" if error.column is None else f"rows{row}.{error.column}"


def to_records(answers: pl.DataFrame) -> list[dict[str, Any]]:
    """Answers as JSON values: times in ISO 8601, and null for a number that is not finite."""
    finite = selectors.float()
    shown = with_iso_times(answers).with_columns(pl.when(finite.is_finite()).then(finite))
    return shown.to_dicts()


def describe_table(model: PanelModel, channels: Sequence[str]) -> dict[str, Any]:
    """What each column of a row is (`id`, `time`, `value` and so on), and the channels."""
    settings = model.serving.settings_for(Path("table.parquet"), **model.table_layout)
    columns = {column: role.partition(" ")[0] for role, column in settings.wanted_columns().items()}
    return {"columns": columns, "channels": list(channels)}
