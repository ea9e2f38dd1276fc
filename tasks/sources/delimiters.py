"""Which character separates the fields of a table: found by its names and its first lines, or refused.

The delimiter that a suffix stands for is kept wherever it gives the wanted columns, so that texts which hold other
delimiters are read as they are written.
"""

import csv
from collections.abc import Iterable
from itertools import islice

from tasks.errors import InputError
from tasks.sources.input_files import InputFile
from tasks.sources.intake import listed
from tasks.sources.settings import FileSettings

OF_FORMAT = {"csv": ",", "tsv": "\t"}
USUAL = (",", ";", "\t", "|")
SHOWN = {"\t": "\\t"}
SAMPLE_RECORDS = 200

Records = list[list[str]]


def find_delimiter(head: bytes, encoding: str, file: InputFile, settings: FileSettings) -> str:
    """The delimiter of a file that begins with these bytes.

    Raises InputError: E-CSV-010 if the one that is stated does not separate its fields, E-CSV-011 if two do.
    """
    lines = _sample_lines(head.decode(encoding, "replace"), settings.comment)
    usual = OF_FORMAT[file.kind]
    if settings.delimiter != "auto":
        _refuse_other_delimiter(lines, file, settings)
        return settings.delimiter
    candidates = [usual, *(delimiter for delimiter in USUAL if delimiter != usual)]
    if settings.columns:
        return _delimiter_of_rows(lines, candidates, file, settings)
    return _delimiter_of_header(lines, candidates, file, settings)


def _delimiter_of_header(lines: list[str], candidates: list[str], file: InputFile, settings: FileSettings) -> str:
    wanted = set(settings.wanted_columns().values())
    headers = {delimiter: _cut(lines, delimiter, settings, limit=1) for delimiter in candidates}
    found = {delimiter: len(wanted.intersection(*header)) for delimiter, header in headers.items() if header}
    best = [delimiter for delimiter, count in found.items() if count == max(found.values())]
    if not best[1:]:
        return (best or candidates)[0]
    readings = {delimiter: _cut(lines, delimiter, settings) for delimiter in best}
    several = {delimiter: records for delimiter, records in readings.items() if len(records[0]) > 1}
    fitting = [delimiter for delimiter, records in several.items() if _is_even(records)]
    if found[best[0]] < len(wanted):  # the columns that are missing are told of the likeliest reading
        return max(best, key=lambda delimiter: (delimiter in fitting, *map(len, readings[delimiter][:2])))
    if len(fitting) > 1:
        raise _ambiguous({delimiter: readings[delimiter][0] for delimiter in fitting}, file)
    return (fitting or list(several) or best)[0]


def _delimiter_of_rows(lines: list[str], candidates: list[str], file: InputFile, settings: FileSettings) -> str:
    """The delimiter that gives each line of a table without a header as many fields as it has columns."""
    readings = {delimiter: _cut(lines, delimiter, settings) for delimiter in candidates}
    num_columns = len(settings.columns)
    num_fitting = {
        delimiter: sum(len(fields) == num_columns for fields in records) for delimiter, records in readings.items()
    }
    fitting = [name for name, records in readings.items() if records and num_fitting[name] == len(records)]
    if num_columns > 1 and len(fitting) > 1:
        raise _ambiguous({delimiter: readings[delimiter][0] for delimiter in fitting}, file)
    return (fitting or [max(candidates, key=lambda delimiter: num_fitting[delimiter])])[0]


def _is_even(records: Records) -> bool:
    return all(len(fields) == len(records[0]) for fields in records)


def _ambiguous(readings: dict[str, list[str]], file: InputFile) -> InputError:
    shown = {SHOWN.get(delimiter, delimiter): listed(fields) for delimiter, fields in readings.items()}
    ways = ", or ".join(f'by "{delimiter}": {fields}' for delimiter, fields in shown.items())
    fixes = " or ".join(f'delimiter = "{delimiter}"' for delimiter in shown)
    return InputError(
        "E-CSV-011", f"can be separated in {len(shown)} ways: {ways}.", fix=f"set {fixes}.", file=file.path
    )


def _refuse_other_delimiter(lines: list[str], file: InputFile, settings: FileSettings) -> None:
    """Raise InputError (E-CSV-010) if the header names the wanted columns only when it is cut otherwise.

    A header that holds one field as it is cut now, and several otherwise, is refused too.
    """
    now, wanted = settings.delimiter, set(settings.wanted_columns().values())
    cut = {delimiter: _cut(lines, delimiter, settings, limit=1) for delimiter in {now, *USUAL}}
    fields = {delimiter: header[0] if header else [] for delimiter, header in cut.items()}
    others = [delimiter for delimiter in USUAL if delimiter != now and len(fields[delimiter]) > 1]
    if settings.columns or wanted <= set(fields[now]) or not others:
        return
    best = max(others, key=lambda delimiter: (wanted <= set(fields[delimiter]), len(fields[delimiter])))
    if len(fields[now]) > 1 and not wanted <= set(fields[best]):
        return
    shown, expected = (SHOWN.get(delimiter, delimiter) for delimiter in (best, now))
    raise InputError(
        "E-CSV-010",
        f'separates its fields by "{shown}", expected "{expected}": found {listed(fields[best])}.',
        fix=f'set delimiter = "{shown}".',
        file=file.path,
        row=1 + next((row for row, line in enumerate(lines) if line.strip()), 0),
    )


def _sample_lines(text: str, comment: str | None) -> list[str]:
    """The whole lines of a text that may break off within its last one; comments are left empty."""
    lines = text.split("\n")
    whole = lines[:-1] or lines
    return ["\n" if comment and line.startswith(comment) else f"{line}\n" for line in whole]


def _cut(lines: Iterable[str], delimiter: str, settings: FileSettings, limit: int = SAMPLE_RECORDS) -> Records:
    """The first records that are not blank, up to the first that cannot be cut, which has no fields.

    The last line of a sample may leave a quote open, which does not count as one.
    """
    quoting = csv.QUOTE_MINIMAL if settings.quoted else csv.QUOTE_NONE
    records: Records = []
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
    try:
        records.extend(islice(filter(any, reader), limit))
    except csv.Error as error:
        records.extend([] if str(error).startswith("unexpected end of data") else [[]])
    return records
