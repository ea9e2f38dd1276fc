"""All cells of a few rows, read again: what a file says of rows besides the columns that a recipe names.

Only what is at fault is looked at twice, so the first pass over a source reads no more than it needs.
"""

import json
from collections.abc import Callable, Collection, Iterator
from itertools import islice

import polars as pl
import pyarrow.parquet as pq

from tasks.errors import InputError
from tasks.sources.decoding import Lines, open_text
from tasks.sources.decompression import parsing
from tasks.sources.input_files import InputFile
from tasks.sources.intake import BATCH_ROWS, Intake, named
from tasks.sources.reading_csv import read_records
from tasks.sources.reading_parquet import PLAIN, as_strings, holds, stored_table
from tasks.sources.settings import FileSettings

CELL = "cell "
Record = tuple[int, dict[str, str | None]]


def read_all_cells(file: InputFile, settings: FileSettings, lines: Collection[int]) -> pl.DataFrame:
    """Every column of the rows on some lines, as text: `line`, and `cell <name>` for each column of the file.

    Formats in which a recipe knows every column already give no rows.
    """
    reader, wanted = READERS.get(file.kind), frozenset(lines)
    intake = Intake(settings.model_copy(update={"on_bad_rows": "skip"}))
    records = list(islice(reader(file, intake, wanted), len(wanted))) if reader else []
    names = dict.fromkeys(name for _, cells in records for name in cells)
    columns = {CELL + name: pl.Series([cells.get(name) for _, cells in records], dtype=pl.String) for name in names}
    return pl.DataFrame({"line": pl.Series([line for line, _ in records], dtype=pl.UInt64)} | columns)


def _csv_records(file: InputFile, intake: Intake, lines: frozenset[int]) -> Iterator[Record]:
    records = read_records(file, intake)
    _, header = next(records)
    assert not isinstance(header, InputError), "rows were read below this header before"
    for line, fields in records:
        if line in lines and not isinstance(fields, InputError) and len(fields) == len(header):
            yield line, dict(zip(named(header), fields, strict=True))


def _json_records(file: InputFile, intake: Intake, lines: frozenset[int]) -> Iterator[Record]:
    with open_text(file, intake) as stream:
        numbered = Lines(stream, file, intake)
        for line in numbered:
            if numbered.number in lines:
                yield numbered.number, {key: _plain_text(value) for key, value in json.loads(line).items()}


def _parquet_records(file: InputFile, intake: Intake, lines: frozenset[int]) -> Iterator[Record]:
    first_row = 1
    with (
        parsing(file.path, code="E-PQ-004", what="is damaged"),
        stored_table(file, intake) as stored,
        pq.ParquetFile(stored) as parquet,
    ):
        schema = parquet.schema_arrow
        names = [
            name for name in schema.names if schema.names.count(name) == 1 and holds(schema.field(name).type, PLAIN)
        ]
        for batch in parquet.iter_batches(BATCH_ROWS, columns=names):
            chosen = [row for row in range(batch.num_rows) if first_row + row in lines]
            cells = pl.DataFrame(pl.from_arrow(batch.take(chosen)))
            texts = cells.select(as_strings(cells[name]) for name in names)
            yield from ((first_row + row, record) for row, record in zip(chosen, texts.to_dicts(), strict=True))
            first_row += batch.num_rows


READERS: dict[str, Callable[[InputFile, Intake, frozenset[int]], Iterator[Record]]] = {
    "csv": _csv_records,
    "tsv": _csv_records,
    "jsonl": _json_records,
    "parquet": _parquet_records,
}


def _plain_text(value: object) -> str | None:
    return value if isinstance(value, str | None) else json.dumps(value)
