"""The rows of a file's beginning as a frame of texts, and some from elsewhere in it."""

import csv
import io
import json

import polars as pl

from tasks.discovery.dialect import Dialect
from tasks.discovery.files import Found
from tasks.sources.input_files import suffixes_of

MAX_ROWS, MAX_OTHERS = 100_000, 20_000
# Lines of a block that may be a header, or the rest of a record.
LEFT_LINES = 3

# A frame, how many of its rows are the first ones of the file, and how many rows there are in the bytes looked at.
Rows = tuple[pl.DataFrame, int, int]


def read_fields(text: str, found: Found, dialect: Dialect, *, encoding: str, skip: int, width: int) -> Rows:
    """The records of a table that are as wide as its header, `skip` of them left out; columns are numbered."""
    records = _cut(text, dialect, width)[skip:]
    rest = records[MAX_ROWS :: max(1, len(records) // MAX_OTHERS)]
    for block in found.blocks:
        rest += _cut(_without_ends(block.decode(encoding, "replace")), dialect, width)
    first = records[:MAX_ROWS]
    columns = list(zip(*first, *rest, strict=True)) or [()] * width
    frame = pl.DataFrame([pl.Series(f"column_{number}", one, dtype=pl.String) for number, one in enumerate(columns, 1)])
    return frame, len(first), len(records)


def read_json_lines(text: str, found: Found) -> Rows:
    """The objects of a file of JSON Lines; keys with lists or objects are left out."""
    lines = text.splitlines()[: None if found.is_whole else -1]
    records = [record for line in lines if (record := _as_record(line)) is not None]
    first, rest = records[:MAX_ROWS], records[MAX_ROWS :: max(1, len(records) // MAX_OTHERS)]
    others = "".join(_without_ends(block.decode("utf-8", "replace")) for block in found.blocks)
    rest += [record for line in others.splitlines() if (record := _as_record(line)) is not None]
    names = list(dict.fromkeys(name for record in records for name in record))
    both = [*first, *rest]
    flat = [name for name in names if not any(isinstance(record.get(name), dict | list) for record in both)]
    cells = {name: [_as_text(record.get(name)) for record in both] for name in flat}
    return pl.DataFrame(cells, schema=dict.fromkeys(flat, pl.String)), len(first), len(records)


def read_parquet(found: Found) -> Rows:
    """The first rows of a Parquet file; its numbers and times as texts."""
    is_file = found.path is not None and suffixes_of(found.path.name)[0] == ".parquet"
    table = pl.scan_parquet(found.path if is_file and found.path else io.BytesIO(found.head))
    num_rows = table.select(pl.len()).collect().item() * max(1, found.num_tables)
    schema = table.collect_schema()
    flat = {name: kind for name, kind in schema.items() if not kind.is_nested() and kind != pl.Binary}
    shown = [
        pl.col(name).dt.to_string("iso:strict") if kind in (pl.Date, pl.Datetime) else pl.col(name).cast(pl.String)
        for name, kind in flat.items()
    ]
    frame = table.select(shown).head(MAX_ROWS).collect()
    return frame, frame.height, num_rows


def _cut(text: str, dialect: Dialect, width: int) -> list[list[str]]:
    lines = io.StringIO(text, newline="")
    counted = (line for line in lines if not (dialect.comment and line.startswith(dialect.comment)))
    quoting = csv.QUOTE_MINIMAL if dialect.is_quoted else csv.QUOTE_NONE
    records = csv.reader(counted, delimiter=dialect.delimiter, quoting=quoting)
    return [record for record in records if len(record) == width and any(cell.strip() for cell in record)]


def _without_ends(block: str) -> str:
    return "".join(block.splitlines(keepends=True)[LEFT_LINES:-1])


def _as_record(line: str) -> dict | None:
    try:
        record = json.loads(line) if line.strip() else None
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _as_text(value: object) -> str | None:
    return None if value is None else value if isinstance(value, str) else json.dumps(value)
