"""JSON Lines to raw rows, with the line of every fault.

The parser is the standard library's: Polars turns a column into strings where its type changes, reads a lone
surrogate as NUL, takes the last of repeated keys and names no line in its errors.
"""

import json
from collections.abc import Iterator, Mapping

from tasks.errors import InputError, quoted
from tasks.sources.decoding import Lines, open_text
from tasks.sources.input_files import InputFile
from tasks.sources.intake import MAX_NAMES, Intake, RawRow, in_batches, missing_column

JSON_TYPES: dict[type, str] = {
    bool: "a boolean",
    dict: "an object",
    float: "a float",
    int: "an integer",
    list: "an array",
    str: "a string",
    type(None): "null",
}
# By the first word of a column's role.
ALLOWED: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "label": (str, int),
    "split": (str,),
    "id": (str, int),
    "channel": (str, int),
    "time": (str, int, float),
    "value": (int, float, bool, str),
    "known": (int, float, bool, str),
}
# What is read as well, without being asked for: truth values, and fractions that a recipe may list as labels.
TOLERATED: dict[str, tuple[type, ...]] = {"label": (float, bool), "value": (bool,), "known": (bool,)}


@in_batches
def read_jsonl(file: InputFile, intake: Intake) -> Iterator[RawRow]:
    """Yield the wanted keys in batches, numbers as strings; blank lines and comments are counted and skipped.

    A record may lack keys that others have: they count as null.

    Raises InputError: E-JSON-001 to -007, E-DATA-008, E-ENC, E-SRC-004, E-SRC-005.
    """
    columns, comment = intake.settings.wanted_columns(), intake.settings.comment
    _refuse_absent_keys(file, intake)
    with open_text(file, intake) as stream:
        lines = Lines(stream, file, intake)
        parser = _LineParser(file, columns, intake.settings.decimal_mark)
        for line in lines:
            fault = lines.take_fault()
            if not fault and not line.strip():
                intake.blank_lines += 1
                continue
            if comment is not None and line.startswith(comment):
                intake.comment_lines += 1
                continue
            try:
                if fault:
                    raise fault
                cells = parser.parse(line, lines.number)
            except InputError as error:
                intake.reject(error)
            else:
                yield RawRow(str(file.path), lines.number, file.name, cells)


def _refuse_absent_keys(file: InputFile, intake: Intake) -> None:
    """Raise InputError (E-SRC-005) if no record has one of the wanted keys; reads on only until each was seen."""
    aside = Intake(intake.settings)
    wanted = set(intake.settings.wanted_columns().values())
    missing, found, first_line, first_row = set(wanted), dict[str, None](), None, list[str]()
    with open_text(file, aside) as stream:
        lines = Lines(stream, file, aside)
        for line in lines:
            try:
                record = None if lines.take_fault() or not line.strip() else _parse_object(line)
            except _LineError:  # reported when rows are read
                continue
            if record is None:
                continue
            missing -= record.keys()
            if not missing:
                return
            if first_line is None:
                first_line, first_row = lines.number, [_as_text(value) for value in record.values()]
            if len(found) < MAX_NAMES:
                found |= dict.fromkeys(record)
    if first_line is not None:
        column = next(column for column in intake.settings.wanted_columns().values() if column in missing)
        raise missing_column(column, list(found), file=file, line=first_line, others=wanted, first_row=first_row)


class _LineError(Exception):
    """What is wrong with a line, before its place is known."""

    def __init__(self, code: str, problem: str, fix: str, column: str | None = None) -> None:
        super().__init__(problem)
        self.code, self.fix, self.column = code, fix, column


class _LineParser:
    """Turns lines of one file into cells; remembers the type that labels have in this file."""

    def __init__(self, file: InputFile, columns: Mapping[str, str], decimal: str) -> None:
        self._file, self._columns, self._decimal = file, columns, decimal
        self._label_type: type | None = None

    def parse(self, line: str, number: int) -> list[str | None]:
        try:
            record = _parse_object(line)
            cells = [_cell(role, column, record.get(column), self._decimal) for role, column in self._columns.items()]
            if "label" in self._columns:
                self._refuse_drift(record.get(self._columns["label"]))
            if "\\u" in line:
                _refuse_lone_surrogates(cells)
        except _LineError as fault:
            raise InputError(
                fault.code, str(fault), fix=fault.fix, file=self._file.path, row=number, column=fault.column
            ) from None
        return cells

    def _refuse_drift(self, label: str | float | None) -> None:
        if label is None:
            return
        self._label_type = self._label_type or type(label)
        if type(label) is not self._label_type:
            raise _LineError(
                "E-JSON-003",
                f"got {_shown(label)}, expected {JSON_TYPES[self._label_type]} as in the lines before.",
                "write all labels as strings, or all as integers.",
                self._columns["label"],
            )


def _parse_object(line: str) -> dict:
    try:
        record = DECODER.decode(line)
    except RecursionError:
        raise _LineError("E-JSON-005", "is nested too deeply.", "flatten the object.") from None
    except ValueError as error:
        reason = f"{error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else error
        raise _LineError("E-JSON-001", f"is not valid JSON ({reason}).", "write one JSON object per line.") from None
    if not isinstance(record, dict):
        raise _LineError("E-JSON-002", f"got {_shown(record)}, expected an object.", "write one JSON object per line.")
    return record


def _unique_keys(pairs: list[tuple[str, object]]) -> dict:
    record = dict(pairs)
    if len(record) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise _LineError("E-JSON-004", f"has the key {quoted(repeated)} twice.", "keep one of the two.")
    return record


def _refuse_constant(name: str) -> None:
    raise _LineError("E-JSON-007", f"got {name}, which JSON does not have.", "write null, or leave the line out.")


DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)


def _cell(role: str, column: str, value: object, decimal: str) -> str | None:
    kind = role.partition(" ")[0]
    if kind == "where":
        return value if isinstance(value, str | None) else json.dumps(value)
    if value is None or (isinstance(value, str) and str in ALLOWED[kind]):
        return value
    if type(value) in ALLOWED[kind] or type(value) in TOLERATED.get(kind, ()):
        if isinstance(value, bool):
            return json.dumps(value)
        # What is a number already is told from texts by its type, whose decimal mark the source knows.
        return str(value).replace(".", decimal) if kind in ("value", "known") else str(value)
    expected = " or ".join(JSON_TYPES[allowed] for allowed in ALLOWED[kind])
    raise _LineError("E-JSON-003", f"got {_shown(value)}, expected {expected}.", f"write {expected}.", column)


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _shown(value: object) -> str:
    return f"{JSON_TYPES[type(value)]} ({quoted(_as_text(value))})"


def _refuse_lone_surrogates(cells: list[str | None]) -> None:
    for cell in filter(None, cells):
        try:
            cell.encode()
        except UnicodeEncodeError as error:
            escape = f"\\u{ord(cell[error.start]):04x}"
            raise _LineError(
                "E-JSON-006", f"contains half a surrogate pair ({escape}).", "write the other half, or leave it out."
            ) from None
