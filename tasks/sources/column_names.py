"""The names of a table's columns, read before its rows where a recipe does not know them."""

import json
from collections.abc import Callable

import pyarrow.parquet as pq

from tasks.errors import InputError
from tasks.sources.decoding import Lines, open_text
from tasks.sources.decompression import parsing
from tasks.sources.input_files import InputFile
from tasks.sources.intake import Intake, named
from tasks.sources.reading_csv import read_records
from tasks.sources.reading_parquet import stored_table


def read_column_names(file: InputFile, intake: Intake) -> list[str]:
    """The columns of a table in the order of the file; those of JSON Lines are the keys of all its lines.

    Raises InputError as the reader of the format does for its header; E-SER-014 for a format without columns.
    """
    reader = READERS.get(file.kind)
    if reader is None:
        raise InputError(
            "E-SER-014",
            "has no columns, which a layout of series needs.",
            fix='write it as CSV or Parquet, or set layout = "table".',
            file=file.path,
        )
    # What the names cost is not counted against the caps of the rows.
    return reader(file, Intake(intake.settings))


def _csv_names(file: InputFile, intake: Intake) -> list[str]:
    _, header = next(read_records(file, intake), (0, []))
    if isinstance(header, InputError):
        raise header
    wanted = intake.settings.named_columns().values()
    # A column without a name is not a series unless a recipe asks for it by its number.
    return [name or (number if number in wanted else "") for name, number in zip(header, named(header), strict=True)]


def _json_names(file: InputFile, intake: Intake) -> list[str]:
    names: dict[str, None] = {}
    with open_text(file, intake) as stream:
        for line in Lines(stream, file, intake):
            try:
                record = json.loads(line) if line.strip() else {}
            except ValueError:  # the reader of rows says what is wrong with it
                continue
            names |= dict.fromkeys(record if isinstance(record, dict) else {})
    return list(names)


def _parquet_names(file: InputFile, intake: Intake) -> list[str]:
    with stored_table(file, intake) as stored, parsing(file.path, code="E-PQ-001", what="is damaged"):
        return pq.read_schema(stored).names


READERS: dict[str, Callable[[InputFile, Intake], list[str]]] = {
    "csv": _csv_names,
    "tsv": _csv_names,
    "jsonl": _json_names,
    "parquet": _parquet_names,
}
