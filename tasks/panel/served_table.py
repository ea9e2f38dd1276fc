"""A table passed to a registered model, in the form that the reader of files accepts: whatever types pandas gave it.

The training rows may have been text; pandas makes numbers of ids, whole numbers of values, and times or dates of times.
This module travels with every registered model that takes a table, so it knows neither Prefect nor MLflow.
"""

import contextlib
import datetime
import decimal
import tempfile
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import polars as pl

from tasks.contract.notes import Notes
from tasks.contract.table_model import Refusal, TableModel
from tasks.errors import InputError
from tasks.panel.source import StampedSource
from tasks.sources.given_columns import check_columns
from tasks.sources.inputs import InputFile, Inputs
from tasks.sources.intake import Intake

if TYPE_CHECKING:
    import pandas as pd

# Beyond this, neighbouring whole numbers become the same float.
LAST_EXACT = 2**53
NUMBERS = ("value", "known")
OF_LAYOUT = ("layout", "id_columns", "time_columns", "value_columns")
NO_ROWS = "E-DATA-001"
TIMES_AS_THEY_ARE = {"time_unit": "text", "time_format": None}
StampedT = TypeVar("StampedT", bound=StampedSource)
MIDNIGHT = datetime.time()
PLAIN = (pl.String, pl.Boolean, pl.Date, pl.Time, pl.Datetime)


@dataclass(frozen=True, kw_only=True)
class ReadTable(Generic[StampedT]):
    """The rows of a table as a model answers them, and the settings that they were read by.

    said: what was done to the rows. refused, refusals: which rows and series were left out.
    """

    rows: pl.DataFrame
    settings: StampedT
    said: list[str]
    refused: list[InputError] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


class PanelModel(TableModel[StampedT]):
    """A served model of series or sequences, which reads a table as it reads files."""

    @property
    def table_layout(self) -> Mapping[str, object]:
        """Settings of the source that differ for a table, which has no file name and a row per series and time."""
        source = self.serving.settings
        table = source.as_table()
        return {} if table is source else {name: getattr(table, name) for name in OF_LAYOUT}

    def time_rules(self, time: pl.DataType) -> Mapping[str, object]:
        """Settings of the source that differ where the type of the times says what they are."""
        return TIMES_AS_THEY_ARE if time.is_temporal() else {}

    def answer_frame(self, table: "pl.DataFrame | pd.DataFrame", *, notes: list[str] | None = None) -> pl.DataFrame:
        """Answer a table with the columns of the source, as `answer_files` does.

        What a caller should know about the rows is appended to `notes`. Raises InputError also for a table that cannot
        be read (E-REG-012 to -014).
        """
        read, noted = read_table(self, table), Notes()
        answers = self.answer_window(read.rows, read.settings, refusals=None, notes=noted)
        if notes is not None:
            notes += [*read.said, *self.describe(noted)]
        return answers


def read_table(
    model: PanelModel[StampedT],
    table: "pl.DataFrame | pd.DataFrame",
    *,
    refused: list[InputError] | None = None,
    refusals: list[Refusal] | None = None,
    **changed: object,
) -> ReadTable[StampedT]:
    """Read a table with the columns of a model's source, except for `changed` settings.

    Without the lists `refused` and `refusals`, for rows and series that are left out, the first of these is raised.
    Raises what the reading of the training rows raises, and as `stored_table`.
    """
    serving, layout = model.serving, {**model.table_layout, **changed}
    with stored_table(table, serving.settings_for(Path("table.parquet"), **layout)) as (inputs, time):
        settings = serving.settings_for(inputs.files[0].path, **{**layout, **model.time_rules(time)})
        intake = Intake(settings, refused=refused)
        rows = model.read_files(inputs, intake, refusals)
    return ReadTable(rows=rows, settings=settings, said=intake.warnings, refused=refused or [], refusals=refusals or [])


def read_some(model: PanelModel[StampedT], table: pl.DataFrame, **changed: object) -> ReadTable[StampedT]:
    """Read what can be read of a table, as a prediction reads a file, except for `changed` settings.

    Raises the first InputError if there is nothing.
    """
    refused: list[InputError] = []
    try:
        return read_table(model, table, refused=refused, refusals=[], **changed)
    except InputError as error:
        if error.code == NO_ROWS and refused:
            raise refused[0] from None
        raise


@contextlib.contextmanager
def stored_table(table: "pl.DataFrame | pd.DataFrame", source: StampedSource) -> Generator[tuple[Inputs, pl.DataType]]:
    """Lend a table as an input file, with the type of its times, which may be times already.

    Raises InputError: E-SRC-004 for no rows, E-REG-012 for a column that is missing or repeated, E-REG-013 and
    E-REG-014 for one whose type cannot be read.
    """
    cells = read_cells(table, source.wanted_columns())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        cells.write_parquet(path)
        inputs = Inputs([InputFile(path, path.name, "parquet")], [])
        yield inputs, cells.schema.get(source.first_time_column or "", pl.Null())


def read_cells(table: "pl.DataFrame | pd.DataFrame", columns: Mapping[str, str]) -> pl.DataFrame:
    """A table in types that the reader of Parquet takes; `columns` are those it needs, by role.

    Other plain columns are kept, since they may explain what is wrong with a row. Raises as `stored_table`.
    """
    present = list(table.columns)
    check_columns(present, columns.values())
    if not len(table):
        raise InputError("E-SRC-004", "the table has no rows.", fix="pass at least one row.")
    cells = {column: _convert(role, _to_polars(table[column]), column) for role, column in columns.items()}
    others = [name for name in present if name not in cells and isinstance(name, str) and present.count(name) == 1]
    plain = {name: other for name in others if _is_plain(other := _to_polars(table[name]))}
    return pl.DataFrame(cells | plain)


def _to_polars(cells: "pl.Series | pd.Series") -> pl.Series:
    """A column with one type; one of mixed objects becomes text, each cell spelled as a file would spell it."""
    if isinstance(cells, pl.Series):
        return cells
    if cells.dtype.kind == "O" and not isinstance(cells.dtype, _extension_type()):
        return _unify([None if _is_missing(cell) else cell for cell in cells])
    if str(cells.dtype).startswith("period"):
        return pl.from_pandas(cells.dt.to_timestamp())
    return pl.from_pandas(cells)


def _is_plain(cells: pl.Series) -> bool:
    return cells.dtype.is_numeric() or cells.dtype in PLAIN


def _extension_type() -> type:
    from pandas.api.extensions import ExtensionDtype

    return ExtensionDtype


def _is_missing(cell: object) -> bool:
    """None, NaN, NaT and NA: what is not equal to itself, or cannot be compared."""
    try:
        return cell is None or bool(cell != cell)  # noqa: PLR0124 (so NaN and NaT are known)
    except TypeError:
        return True


def _unify(cells: list) -> pl.Series:
    kinds = {type(cell) for cell in cells if cell is not None}
    if all(issubclass(kind, str) for kind in kinds):
        return pl.Series(cells, dtype=pl.String)
    if bool in kinds:
        return pl.Series(cells, dtype=pl.Boolean, strict=False)
    if all(issubclass(kind, datetime.date) for kind in kinds) and len(kinds) == 1:
        return pl.Series(cells)
    return pl.Series([None if cell is None else _spell(cell) for cell in cells], dtype=pl.String)


def _spell(cell: object) -> str:
    if isinstance(cell, datetime.date | datetime.time):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < LAST_EXACT:
        return str(int(cell))
    return format(cell, "f") if isinstance(cell, decimal.Decimal) else str(cell)


def _convert(role: str, cells: pl.Series, column: str) -> pl.Series:
    kind = cells.dtype
    if isinstance(kind, pl.Categorical | pl.Enum):
        cells, kind = cells.cast(pl.String), pl.String()
    if kind in (pl.String, pl.Null):
        return cells
    purpose = role.partition(" ")[0]
    if purpose in NUMBERS and (kind.is_numeric() or kind == pl.Boolean):
        return cells.cast(pl.Float64)
    if (
        purpose == "time"
        and isinstance(kind, pl.Datetime)
        and kind.time_zone is None
        and (cells.dt.time() == MIDNIGHT).all()
    ):
        # pandas has no type for days, whose midnight clocks may skip.
        return cells.cast(pl.Date)
    if purpose == "where" or (purpose == "time" and (kind in (pl.Date, pl.Datetime, pl.Time) or kind.is_integer())):
        return cells
    if purpose not in NUMBERS and kind.is_integer():
        return cells.cast(pl.String)
    if purpose not in NUMBERS and kind.is_float():
        whole = _whole_numbers(cells, column)
        return whole if purpose == "time" else whole.cast(pl.String)
    expected = {"value": "numbers", "known": "numbers", "time": "times, texts or numbers"}.get(
        purpose, "texts or whole numbers"
    )
    raise InputError(
        "E-REG-013",
        f"holds {kind}, expected {expected}.",
        fix=f"convert it, for example with table[{column!r}].astype(str).",
        column=column,
    )


def _whole_numbers(cells: pl.Series, column: str) -> pl.Series:
    """What pandas made floats of because a cell is missing, without the point; other floats stay as they are."""
    present = cells.drop_nulls().drop_nans()
    if not (present.floor() == present).all():
        return cells
    largest = present.to_frame().select(pl.all().abs().max()).item()
    if largest is not None and not largest < LAST_EXACT:
        raise InputError(
            "E-REG-014",
            f"contains floats as large as {largest:g}, too large to be exact ids.",
            fix=f"read the column as text: pandas.read_csv(..., dtype={{{column!r}: str}}).",
            column=column,
        )
    return cells.fill_nan(None).cast(pl.Int64)
