"""What separates the fields of a text table: said by the recipe, or by the suffix, and held against the first line."""

import csv
from collections.abc import Collection

from tasks.errors import InputError, quoted
from tasks.sources.inputs import InputFile
from tasks.sources.settings import FileSettings

DELIMITERS = {"csv": ",", "tsv": "\t"}
USUAL = (",", ";", "\t", "|")
SHOWN = {"\t": "\\t"}


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


def _cut(line: str, delimiter: str, *, quoted: bool) -> list[str]:
    """The fields of a line; none where a quote ends within a field or never."""
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    try:
        return next(csv.reader([line], delimiter=delimiter, quoting=quoting, strict=True), [])
    except csv.Error:
        return []


def _listed(fields: Collection[str]) -> str:
    return ", ".join(map(quoted, fields))
