"""Every kind of source through one door: files in, checked rows out, in batches."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby

import polars as pl

from tasks.errors import InputError
from tasks.sources.input_files import InputFile
from tasks.sources.intake import Intake, RowCheck
from tasks.sources.reading_csv import read_csv
from tasks.sources.reading_documents import read_archive, read_documents
from tasks.sources.reading_jsonl import read_jsonl
from tasks.sources.reading_nab import read_nab
from tasks.sources.reading_parquet import read_parquet
from tasks.sources.reading_ts import read_ts
from tasks.sources.refused_lines import with_line
from tasks.sources.row_checks import settle_cells

TABLE_READERS: dict[str, Callable[[InputFile, Intake], Iterator[pl.DataFrame]]] = {
    "archive": read_archive,
    "csv": read_csv,
    "jsonl": read_jsonl,
    "nab": read_nab,
    "parquet": read_parquet,
    "ts": read_ts,
    "tsv": read_csv,
}


def read_table(file: InputFile, intake: Intake) -> Iterator[pl.DataFrame]:
    """Yield the raw rows of a table or archive in batches, cells of `missing_values` empty."""
    return (settle_cells(frame, intake.settings) for frame in TABLE_READERS[file.kind](file, intake))


def read_files(files: Sequence[InputFile], intake: Intake, check: RowCheck) -> Iterator[pl.DataFrame]:
    """Yield the rows in batches, in the order of the files, as `check` makes them of raw ones.

    Raises RnnflowError only. With `on_bad_rows = "skip"` bad rows and files that are bad input are left out,
    after the rows before the fault; damaged archives and exceeded caps always stop.
    """
    for are_documents, group in groupby(files, key=lambda file: file.kind == "document"):
        if are_documents:  # documents that follow one another are read together
            together = list(group)
            yield from _read_checked(partial(read_documents, together, intake), together, intake, check)
        else:
            for file in group:
                yield from _read_checked(partial(read_table, file, intake), [file], intake, check)


def _read_checked(
    read: Callable[[], Iterator[pl.DataFrame]], files: Sequence[InputFile], intake: Intake, check: RowCheck
) -> Iterator[pl.DataFrame]:
    try:
        for frame in read():
            yield check(frame, intake)
    except InputError as error:
        intake.reject_file(with_line(error, files, intake.settings))
