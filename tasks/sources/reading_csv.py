"""CSV and TSV to raw rows, with the physical line of every fault.

The parser is the standard library's: Polars fills short rows with nulls, renames repeated columns,
reads UTF-16 as garbage and names neither file nor line in its errors.
"""

import contextlib
import csv
import re
from collections.abc import Generator, Iterator

from tasks.errors import InputError, quoted
from tasks.sources.decoding import Lines, open_text
from tasks.sources.delimiters import find_delimiter
from tasks.sources.input_files import InputFile
from tasks.sources.intake import Intake, RawRow, check_columns, in_batches, listed, named

NO_HEADER = 0
# The line by which spreadsheets say what separates the fields of all others.
STATED_DELIMITER = re.compile(rb"""sep=([!-~\t])\r?\n""")
Record = tuple[int, list[str] | InputError]


@in_batches
def read_csv(file: InputFile, intake: Intake) -> Iterator[RawRow]:
    """Yield the wanted columns in batches; a row's line is the physical line on which it begins.

    Raises InputError: E-CSV-002 to -004, -010 to -012, E-DATA-008, E-DATA-050, E-ENC, E-SRC-004, -005, -010.
    """
    records = read_records(file, intake)
    header_line, first = next(records, (NO_HEADER, []))
    if isinstance(first, InputError):  # the line after it would be taken for the header
        raise first
    header = named(first)
    wanted = intake.settings.wanted_columns().values()
    check_columns(wanted, header, file=file, line=header_line or None, first_row=lambda: _first_row(records))
    positions = [header.index(column) for column in wanted]
    has_rows = False
    for line, fields in records:
        has_rows = True
        if isinstance(fields, InputError):
            intake.reject(fields)
        elif fields == first and len(header) > 1:  # in a table of one column it may be a text like any other
            intake.reject(_header_again(file, line, is_named=header_line == NO_HEADER))
        elif len(fields) == len(header):
            yield RawRow(str(file.path), line, file.name, [fields[position] for position in positions])
        else:
            intake.reject(_wrong_width(file, line, fields, len(header), is_named=header_line == NO_HEADER))
    if not has_rows:
        what = "has no rows." if header_line == NO_HEADER else "has a header and no rows."
        raise InputError("E-SRC-004", what, fix="remove the file, or fill it.", file=file.path)


def read_records(file: InputFile, intake: Intake) -> Iterator[Record]:
    """Yield each record, the header first, or what is wrong with it, with the line it begins on.

    For a table without a header line, the names that `columns` gives are the header. Lines without any text, and
    comments, are counted. A first line `sep=;` says what separates the fields, unless a recipe does.

    Raises InputError: E-CSV-010, E-CSV-011, E-ENC, E-SRC-004.
    """
    settings = intake.settings
    with open_text(file, intake) as stream, _field_limit(settings.max_document_bytes):
        lines = Lines(stream, file, intake)
        stated = STATED_DELIMITER.match(stream.peek())
        if stated:
            next(lines)
        by_file = stated[1].decode() if stated and settings.delimiter == "auto" else ""
        delimiter = by_file or find_delimiter(stream.peek(), lines.encoding, file, settings)
        if settings.columns:
            yield NO_HEADER, list(settings.columns)
        yield from _records(lines, file, intake, delimiter)


def _first_row(records: Iterator[Record]) -> list[str]:
    _, fields = next(records, (NO_HEADER, []))
    return [] if isinstance(fields, InputError) else fields


def _header_again(file: InputFile, line: int, *, is_named: bool) -> InputError:
    if is_named:
        problem, fix = "holds the names that `columns` lists, so the file has a header line.", "set columns = []."
        return InputError("E-CSV-012", problem, fix=fix, file=file.path, row=line)
    problem = "repeats the header, as concatenated files do."
    fix = 'remove the line, or set on_bad_rows = "skip".'
    return InputError("E-DATA-050", problem, fix=fix, file=file.path, row=line)


def _wrong_width(file: InputFile, line: int, fields: list[str], expected: int, *, is_named: bool) -> InputError:
    fix = "quote fields that hold the delimiter or a line end, or fill in the missing ones."
    # Without a header nothing else shows how the file is cut.
    shown = f": {listed(fields)}" if is_named else ""
    also = " If all lines are like it, correct columns or delimiter." if is_named else ""
    problem = f"got {len(fields)} fields, expected {expected}{shown}."
    return InputError("E-CSV-002", problem, fix=fix + also, file=file.path, row=line)


def _records(lines: Lines, file: InputFile, intake: Intake, delimiter: str) -> Iterator[Record]:
    pending: list[str] = []
    quoting = csv.QUOTE_MINIMAL if intake.settings.quoted else csv.QUOTE_NONE
    kept = _remembered(lines, pending) if intake.settings.comment is None else _without_comments(lines, pending, intake)
    reader = csv.reader(kept, delimiter=delimiter, quoting=quoting, strict=True)
    while True:
        pending.clear()
        try:
            fields = next(reader, None)
            first_line = lines.number + 1 - len(pending)
            fault = lines.take_fault()
        except csv.Error as error:
            first_line = lines.number + 1 - len(pending)
            fields, fault = [], lines.take_fault() or _csv_error(error, file, first_line, pending, delimiter)
        if fault:
            yield first_line, fault
        elif fields is None:
            return
        elif any(fields):  # spreadsheets leave rows that contain only delimiters
            yield first_line, fields
        else:
            intake.blank_lines += 1


def _remembered(lines: Iterator[str], pending: list[str]) -> Iterator[str]:
    for line in lines:
        pending.append(line)
        yield line


def _without_comments(lines: Iterator[str], pending: list[str], intake: Intake) -> Iterator[str]:
    """Leave out the lines that begin as comments do, except within a field of several lines."""
    comment = intake.settings.comment
    for line in lines:
        if not pending and line.startswith(comment):
            intake.comment_lines += 1
            continue
        pending.append(line)
        yield line


@contextlib.contextmanager
def _field_limit(limit: int) -> Generator[None]:
    # The limit belongs to the whole process, so it is put back.
    previous = csv.field_size_limit(limit)
    try:
        yield
    finally:
        csv.field_size_limit(previous)


def _csv_error(error: csv.Error, file: InputFile, first_line: int, pending: list[str], delimiter: str) -> InputError:
    """Word what the parser found; it knows no codes, so its message is matched."""
    if str(error).startswith("unexpected end of data"):
        return _unclosed_quote(file, first_line, pending, delimiter)
    if str(error).startswith("field larger than"):
        return InputError(
            "E-DATA-008",
            "begins a record with a field beyond max_document_bytes, perhaps because a quote is never closed.",
            fix="close the quote, cut the field, or raise max_document_bytes.",
            file=file.path,
            row=first_line,
        )
    return InputError(
        "E-CSV-004",
        f"is not CSV ({quoted(error)}).",
        fix='double quotes inside a quoted field (""), end lines with \\n or \\r\\n, or set quoted = false.',
        file=file.path,
        row=first_line + len(pending) - 1,
    )


def _unclosed_quote(file: InputFile, first_line: int, pending: list[str], delimiter: str) -> InputError:
    # A lenient parser takes all that follows the open quote for the last field: its lines lead back to the quote.
    last_field = next(csv.reader(pending, delimiter=delimiter))[-1]
    num_lines = last_field.count("\n") + (not last_field.endswith("\n"))
    return InputError(
        "E-CSV-003",
        'opens a quote (") that is never closed.',
        fix="close it, double quotes inside a field, or set quoted = false.",
        file=file.path,
        row=first_line + len(pending) - num_lines,
    )
