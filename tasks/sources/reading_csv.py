"""CSV and TSV to raw rows, with the physical line of every fault.

The parser is the standard library's: Polars fills short rows with nulls, renames repeated columns,
reads UTF-16 as garbage and names neither file nor line in its errors.
"""

import contextlib
import csv
from collections.abc import Collection, Generator, Iterator

from tasks.errors import InputError, quoted
from tasks.sources.decoding import Lines, open_decompressed
from tasks.sources.inputs import InputFile
from tasks.sources.intake import Intake, RawRow, check_columns, in_batches
from tasks.sources.settings import FileSettings

DELIMITERS = {"csv": ",", "tsv": "\t"}
USUAL = (",", ";", "\t", "|")
SHOWN = {"\t": "\\t"}


@in_batches
def read_csv(file: InputFile, intake: Intake) -> Iterator[RawRow]:
    """Yield the wanted columns in batches; a row's line is the physical line on which it begins.

    Raises InputError: E-CSV-002 to -004, E-DATA-008, E-DATA-050, E-ENC, E-SRC-004, -005, -010.
    """
    records = read_records(file, intake)
    header_line, header = next(records, (0, []))
    if isinstance(header, InputError):  # the line after it would be taken for the header
        raise header
    wanted = intake.settings.wanted_columns().values()
    check_columns(wanted, header, file=file, line=header_line or None)
    positions = [header.index(column) for column in wanted]
    has_rows = False
    for line, fields in records:
        has_rows = True
        if isinstance(fields, InputError):
            intake.reject(fields)
        elif fields == header and len(header) > 1:  # in a table of one column it may be a text like any other
            fix = 'remove the line, or set on_bad_rows = "skip".'
            problem = "repeats the header, as concatenated files do."
            intake.reject(InputError("E-DATA-050", problem, fix=fix, file=file.path, row=line))
        elif len(fields) == len(header):
            yield RawRow(str(file.path), line, file.name, [fields[position] for position in positions])
        else:
            fix = "quote fields that hold the delimiter or a line end, or fill in the missing ones."
            problem = f"got {len(fields)} fields, expected {len(header)}."
            intake.reject(InputError("E-CSV-002", problem, fix=fix, file=file.path, row=line))
    if not has_rows:
        raise InputError("E-SRC-004", "has a header and no rows.", fix="remove the file, or fill it.", file=file.path)


def read_records(file: InputFile, intake: Intake) -> Iterator[tuple[int, list[str] | InputError]]:
    """Yield each record, the header first, or what is wrong with it, with the line it begins on.

    Lines without any text are counted. Raises InputError: E-CSV-010, E-ENC, E-SRC-004.
    """
    delimiter, limit = delimiter_of(file, intake.settings), intake.settings.max_document_bytes
    with open_decompressed(file, intake) as stream, _field_limit(limit):
        lines = Lines(stream, file, intake)
        refuse_other_delimiter(stream.peek(), file, intake.settings)
        yield from _records(lines, file, intake, delimiter)


def delimiter_of(file: InputFile, settings: FileSettings) -> str:
    """The character that separates the fields of a file."""
    return settings.delimiter or DELIMITERS[file.kind]


def refuse_other_delimiter(head: bytes, file: InputFile, settings: FileSettings) -> None:
    """Raise InputError (E-CSV-010) if the first line of a file names the wanted columns only when cut otherwise.

    A line that holds one field as it is cut now, and several otherwise, is refused too.
    """
    lines = enumerate(head.decode(settings.encoding, "replace").splitlines(), start=1)
    row, line = next(((row, line) for row, line in lines if line.strip()), (1, ""))
    now, wanted = delimiter_of(file, settings), set(settings.wanted_columns().values())
    fields = {delimiter: _cut(line, delimiter, quoted=settings.quoted) for delimiter in {now, *USUAL}}
    others = [delimiter for delimiter in USUAL if delimiter != now and len(fields[delimiter]) > 1]
    if wanted <= set(fields[now]) or not others:
        return
    best = max(others, key=lambda delimiter: (wanted <= set(fields[delimiter]), len(fields[delimiter])))
    if len(fields[now]) > 1 and not wanted <= set(fields[best]):
        return
    shown, expected = (SHOWN.get(delimiter, delimiter) for delimiter in (best, now))
    raise InputError(
        "E-CSV-010",
        f'separates its fields by "{shown}", expected "{expected}": found {_listed(fields[best])}.',
        fix=f'set delimiter = "{shown}".',
        file=file.path,
        row=row,
    )


def _records(
    lines: Lines, file: InputFile, intake: Intake, delimiter: str
) -> Iterator[tuple[int, list[str] | InputError]]:
    pending: list[str] = []
    quoting = csv.QUOTE_MINIMAL if intake.settings.quoted else csv.QUOTE_NONE
    reader = csv.reader(_remembered(lines, pending), delimiter=delimiter, quoting=quoting, strict=True)
    while True:
        pending.clear()
        first_line = lines.number + 1
        try:
            fields = next(reader, None)
            fault = lines.take_fault()
        except csv.Error as error:
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


def _cut(line: str, delimiter: str, *, quoted: bool) -> list[str]:
    """The fields of a line; none where a quote ends within a field or never."""
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    try:
        return next(csv.reader([line], delimiter=delimiter, quoting=quoting, strict=True), [])
    except csv.Error:
        return []


def _listed(fields: Collection[str]) -> str:
    return ", ".join(map(quoted, fields))
