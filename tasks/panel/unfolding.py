"""Wide tables, in which a column or a row is a whole series, to rows of one time each: how they are read.

What is left of a table is read as if its user had written it with a row per series and time. A series begins with its
first number and ends with its last.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from tasks.errors import InputError
from tasks.panel.frames import NUMBERS, VALUES
from tasks.panel.source import StampedSource
from tasks.sources.column_names import read_column_names
from tasks.sources.inputs import InputFile
from tasks.sources.intake import Intake, RowCheck
from tasks.sources.readers import read_files

NO_SUCH_COLUMN = "E-SRC-005"


def read_rows(files: Sequence[InputFile], intake: Intake, parser: RowCheck) -> Iterator[pl.DataFrame]:
    """Yield the parsed rows of files; of wide tables, the columns that hold numbers are those of each file.

    Raises what the readers and the parser raise; InputError (E-SER-014) for a wide table without such columns.
    """
    source: StampedSource = intake.settings
    try:
        yield from _read_each(files, intake, parser)
    except InputError as error:
        if error.code != NO_SUCH_COLUMN or error.column not in source.time_roles().values():
            raise
        or_order = 'set time_unit = "order" if the rows are steps in their order, without a time.'
        place = {"file": error.file, "row": error.row, "column": error.column}
        raise InputError(error.code, error.problem, fix=f"{error.fix.rstrip('.')}; or {or_order}", **place) from None


def _read_each(files: Sequence[InputFile], intake: Intake, parser: RowCheck) -> Iterator[pl.DataFrame]:
    source: StampedSource = intake.settings
    if source.layout == "table":
        yield from read_files(files, intake, parser)
        return
    for file in files:
        intake.settings = lay_out(source, read_column_names(file, intake), file)
        try:
            yield from read_files([file], intake, parser)
        finally:
            intake.settings = source


def lay_out(source: StampedSource, names: Sequence[str], file: InputFile | None = None) -> StampedSource:
    """The settings for a table with these columns.

    Raises InputError (E-SER-014) for a wide table that has no column of numbers, or one without a name.
    """
    laid_out = source.laid_out(names)
    columns = laid_out.value_columns
    if source.layout != "table" and (not columns or "" in columns):
        problem = "has a column without a name" if columns else "has no columns besides those of the source"
        raise InputError(
            "E-SER-014",
            f'{problem}, expected a table in the layout "{source.layout}".',
            fix="list the columns of numbers in value_columns, or correct layout.",
            file=None if file is None else file.path,
            row=None if file is None else 1,
        )
    return laid_out


def trim_edges(path: Path) -> int:
    """Leave out what stands before the first and after the last number of each series; returns the rows that are left.

    After the last number, rows stay that hold what is known in advance.
    """
    has_value, has_number = (pl.any_horizontal(columns.is_not_null()) for columns in (VALUES, NUMBERS))
    ends = (
        pl.scan_parquet(path)
        .group_by("series")
        .agg(first=pl.col("row").filter(has_value).min(), last=pl.col("row").filter(has_number).max())
    )
    rows = pl.scan_parquet(path).join(ends, on="series", how="left", maintain_order="left")
    kept = rows.filter(pl.col("row").is_between("first", "last")).drop("first", "last")
    draft = path.with_name(f"{path.name}.trimmed")
    kept.sink_parquet(draft, compression="lz4", maintain_order=True)
    draft.replace(path)
    return pl.scan_parquet(path).select(pl.len()).collect().item()
