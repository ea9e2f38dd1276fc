"""Checked texts to one file of rows, whatever else a row says: what ingesting of all kinds of texts shares.

Memory stays flat however large the source is: rows travel in batches from the reader to the row groups of one file.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import InputError, ResourceError
from tasks.progress import Progress, emit
from tasks.sources.intake import Intake
from tasks.sources.row_checks import Check, holds_nul
from tasks.text.source import PlainTextSource

ROWS_FILE = "rows.parquet"


def text_checks(settings: PlainTextSource) -> list[Check]:
    """List what a text must be, in the order in which the checks speak."""
    text, limit = pl.col("text"), settings.max_document_bytes
    return [
        Check("E-DATA-020", "text", text.is_null(), "got null, expected a text.", "fill the text in, or drop the row."),
        Check("E-ENC-004", "text", holds_nul(text), "contains a NUL character.", "remove it."),
        Check(
            "E-DATA-008",
            "text",
            text.str.len_bytes() > limit,
            f"is longer than {limit} bytes.",
            "cut the document, or raise max_document_bytes.",
        ),
    ]


def write_numbered(
    path: Path,
    batches: Iterable[pl.DataFrame],
    schema: pa.Schema,
    *,
    max_rows: int,
    count: Callable[[pl.DataFrame], None],
) -> int:
    """Write batches of rows with a column `row` that numbers them; returns how many there are.

    Raises ResourceError (E-DATA-023) beyond `max_rows`.
    """
    num_rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for rows in batches:
            numbered = rows.with_row_index("row", offset=num_rows)
            num_rows += rows.height
            count(rows)
            _refuse_beyond_cap(num_rows, max_rows)
            writer.write_table(numbered.select(schema.names).to_arrow().cast(schema))
            emit(Progress(stage="ingest", done=num_rows))
    return num_rows


def refuse_empty(num_rows: int, intake: Intake) -> None:
    """Raise InputError (E-DATA-001) where no row is left, saying where the rows went."""
    if num_rows:
        return
    filtered = "".join(f", {count} other than where.{column}" for column, count in intake.filtered.items())
    first = f" (first: {intake.examples[0]})" if intake.examples else ""
    raise InputError(
        "E-DATA-001",
        f"no rows are left: {intake.skipped} bad{filtered}{first}.",
        fix="check `where`, `include` and on_bad_rows, or the files.",
    )


def _refuse_beyond_cap(rows: int, max_rows: int) -> None:
    if rows > max_rows:
        raise ResourceError(
            "E-DATA-023",
            f"the source has more than max_rows = {max_rows} rows.",
            fix="raise max_rows if the source is meant to be that large.",
        )
