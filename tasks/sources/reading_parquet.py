"""Parquet to raw rows: caps from the footer before anything is decoded, and again before values are expanded.

Arrow reads it, because its errors are exceptions; damaged files make Polars panic.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.errors import InputError, ResourceError, quoted
from tasks.sources.decoding import open_decompressed
from tasks.sources.decompression import parsing
from tasks.sources.input_files import InputFile
from tasks.sources.intake import BATCH_BYTES, BATCH_ROWS, Intake, check_columns

MAGIC = b"PAR1"
MIN_BYTES = 12
NUMBER_BYTES = 8
NUMBER_ROLES = ("value ", "known ")

TypeTest = Callable[[pa.DataType], bool]
TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
TEXTS_OR_INTEGERS = (*TEXTS, pa.types.is_integer)
NUMBERS = (*TEXTS_OR_INTEGERS, pa.types.is_floating, pa.types.is_decimal)
NUMBERS_OR_TRUTH = (*NUMBERS, pa.types.is_boolean)
TIMES = (*NUMBERS, pa.types.is_temporal)
# What can be shown as one text: numbers, texts, times, truth.
PLAIN = (*TIMES, pa.types.is_boolean)
# By the first word of a column's role; other columns hold strings or integers.
ACCEPTED: dict[str, tuple[Sequence[TypeTest], str]] = {
    "text": (TEXTS, "strings"),
    "split": (TEXTS, "strings"),
    "time": (TIMES, "timestamps, strings or numbers"),
    "label": (NUMBERS_OR_TRUTH, "strings or integers"),
    "value": (NUMBERS_OR_TRUTH, "numbers"),
    "known": (NUMBERS_OR_TRUTH, "numbers"),
    "where": (NUMBERS_OR_TRUTH, "strings, numbers or booleans"),
}


def read_parquet(file: InputFile, intake: Intake) -> Iterator[pl.DataFrame]:
    """Yield the wanted columns in batches, all as strings; a row's line is its 1-based number in the file.

    Numbers keep their value, and times become ISO 8601, those of a time zone in UTC.

    Raises InputError: E-PQ-001, E-PQ-003, E-SRC-004, -005, -010; IntegrityError (E-PQ-004) for damage;
    ResourceError: E-PQ-002, E-SRC-009, E-ARC-004.
    """
    with stored_table(file, intake) as stored:
        yield from _read_stored(stored, file, intake)


@contextlib.contextmanager
def stored_table(file: InputFile, intake: Intake) -> Generator[Path]:
    """Where a table lies by itself; one within an archive is written to a temporary file, since it ends with its index.

    Raises ResourceError (E-SRC-009, E-ARC-004) and IntegrityError (E-ARC) for what is wrong with the archive.
    """
    if not file.archive:
        yield file.path
        return
    with tempfile.TemporaryDirectory(prefix="rnnflow-") as folder:
        unpacked = Path(folder) / "table.parquet"
        with open_decompressed(file, Intake(intake.settings)) as stream, unpacked.open("wb") as copy:
            shutil.copyfileobj(stream, copy)
        yield unpacked


def _read_stored(stored: Path, file: InputFile, intake: Intake) -> Iterator[pl.DataFrame]:
    columns = intake.settings.wanted_columns()
    _refuse_other_formats(stored, file)
    with _opened(stored, file) as parquet:
        num_announced = parquet.metadata.num_rows
        _refuse_beyond_caps(parquet.metadata, stored, file, intake)
        names = parquet.schema_arrow.names
        check_columns(columns.values(), names, file=file, first_row=lambda: _first_row(parquet, file))
        _check_types(parquet.schema_arrow, columns, file)
        texts = [name for name in set(columns.values()) if holds(parquet.schema_arrow.field(name).type, TEXTS)]
    num_rows = 0
    # As a dictionary, a text that repeats takes memory once until its expanded size has been checked.
    with _opened(stored, file, read_dictionary=texts) as parquet:
        for piece in _pieces(parquet, columns, stored, file, intake):
            with parsing(file.path, code="E-PQ-004", what=f"is damaged after row {num_rows}"):
                frame = _raw_frame(piece, columns, file, first_row=num_rows + 1, decimal=intake.settings.decimal_mark)
            num_rows += frame.height
            yield frame
    with parsing(file.path, code="E-PQ-004", what="is damaged"):
        if num_rows != num_announced:
            raise ValueError(f"{num_rows} rows, {num_announced} in the footer")


def _refuse_other_formats(stored: Path, file: InputFile) -> None:
    num_bytes = stored.stat().st_size
    with stored.open("rb") as opened:
        head = opened.read(len(MAGIC))
        opened.seek(max(0, num_bytes - len(MAGIC)))
        tail = opened.read()
    if num_bytes < MIN_BYTES or not head == tail == MAGIC:
        shown = " and ".join(quoted(end.decode("latin-1")) for end in (head, tail))
        raise InputError(
            "E-PQ-001",
            f'is cut off or not Parquet: begins and ends with {shown}, expected "PAR1" twice.',
            fix="fetch or write the file again.",
            file=file.path,
        )


def _opened(stored: Path, file: InputFile, *, read_dictionary: list[str] | None = None) -> pq.ParquetFile:
    with parsing(file.path, code="E-PQ-004", what="has a damaged footer"):
        return pq.ParquetFile(stored, read_dictionary=read_dictionary, page_checksum_verification=True)


def _refuse_beyond_caps(footer: pq.FileMetaData, stored: Path, file: InputFile, intake: Intake) -> None:
    num_bytes = sum(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups))
    if footer.num_rows == 0:
        raise InputError("E-SRC-004", "has no rows.", fix="remove the file, or fill it.", file=file.path)
    for name, announced in (("max_rows", footer.num_rows), ("max_bytes", num_bytes)):
        if announced > getattr(intake.settings, name):
            raise ResourceError(
                "E-PQ-002",
                f"announces {announced}, expected at most {name} = {getattr(intake.settings, name)}.",
                fix=f"raise {name} if the file is meant to be that large.",
                file=file.path,
            )
    intake.check_ratio(num_bytes, stored.stat().st_size, file=file)


def holds(kind: pa.DataType, tests: Sequence[TypeTest]) -> bool:
    """Tell whether cells of a type pass one of the tests; a dictionary is one of texts or passes none."""
    is_dictionary = pa.types.is_dictionary(kind)
    return any(test(kind.value_type if is_dictionary else kind) for test in (TEXTS if is_dictionary else tests))


def _first_row(parquet: pq.ParquetFile, file: InputFile) -> list[str]:
    with parsing(file.path, code="E-PQ-004", what="is damaged"):
        return [str(cells[0]) for cells in next(parquet.iter_batches(1))]


def _check_types(schema: pa.Schema, columns: Mapping[str, str], file: InputFile) -> None:
    for role, column in columns.items():
        accepted, expected = ACCEPTED.get(role.partition(" ")[0], (TEXTS_OR_INTEGERS, "strings or integers"))
        kind = schema.field(column).type
        if not holds(kind, accepted) and not pa.types.is_null(kind):
            raise InputError(
                "E-DATA-013" if role == "label" else "E-PQ-003",
                f"got {kind}, expected {expected}.",
                fix=f"write the column as {expected}.",
                file=file.path,
                column=column,
            )


def _pieces(
    parquet: pq.ParquetFile, columns: Mapping[str, str], stored: Path, file: InputFile, intake: Intake
) -> Iterator[pa.RecordBatch]:
    """Decode batch by batch, check each, and cut it so that no piece expands to much more than 16 MB."""
    with parsing(file.path, code="E-PQ-004", what="is damaged"):
        batches = parquet.iter_batches(BATCH_ROWS, columns=sorted(set(columns.values())))
    num_bytes = 0
    while True:
        with parsing(file.path, code="E-PQ-004", what="is damaged"):
            batch = next(batches, None)
            if batch is None:
                return
            batch.validate(full=True)  # Arrow takes bytes for valid UTF-8 without a look
            ends = np.cumsum(_row_bytes(batch))
        num_bytes += int(ends[-1])
        intake.count_bytes(int(ends[-1]), file=file)
        intake.check_ratio(num_bytes, stored.stat().st_size, file=file)
        cuts = [0, *(np.flatnonzero(np.diff(ends // BATCH_BYTES)) + 1).tolist(), batch.num_rows]
        for start, stop in pairwise(cuts):
            yield batch.slice(start, stop - start)


def _row_bytes(batch: pa.RecordBatch) -> np.ndarray:
    """Bytes of each row once its texts are expanded; other cells count as numbers."""
    texts = [cells for cells in batch.columns if pa.types.is_dictionary(cells.type)]
    numbers = np.full(batch.num_rows, NUMBER_BYTES * (batch.num_columns - len(texts)), np.int64)
    return sum(map(_text_bytes, texts), start=numbers)


def _text_bytes(texts: pa.DictionaryArray) -> np.ndarray:
    """Bytes of each text once expanded, null as 0."""
    lengths = pc.take(pc.call_function("binary_length", [texts.dictionary]), texts.indices)
    return pc.fill_null(lengths.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)


def _raw_frame(
    piece: pa.RecordBatch, columns: Mapping[str, str], file: InputFile, *, first_row: int, decimal: str
) -> pl.DataFrame:
    cells = {role: _as_texts(piece.column(column), role, decimal) for role, column in columns.items()}
    return pl.DataFrame(
        {
            "file": pl.repeat(str(file.path), piece.num_rows, eager=True),
            "line": pl.int_range(first_row, first_row + piece.num_rows, dtype=pl.UInt64, eager=True),
            "source": pl.repeat(file.name, piece.num_rows, eager=True),
        }
        | cells
    )


def _as_texts(column: pa.Array, role: str, decimal: str) -> pl.Series:
    """Cells as text; those of typed numbers with the decimal mark that the texts of the source have."""
    cells = pl.Series(column.dictionary_decode() if pa.types.is_dictionary(column.type) else column)
    is_typed_number = role.startswith(NUMBER_ROLES) and cells.dtype != pl.String
    return as_strings(cells).str.replace(".", decimal, literal=True) if is_typed_number else as_strings(cells)


def as_strings(cells: pl.Series) -> pl.Series:
    """Cells as text: numbers keep their value, times become ISO 8601, those of a time zone in UTC."""
    if not cells.dtype.is_temporal():
        return cells.cast(pl.String)
    in_utc = cells.dt.convert_time_zone("UTC") if getattr(cells.dtype, "time_zone", None) else cells
    return in_utc.dt.to_string("iso:strict")
