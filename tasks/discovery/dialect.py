"""How the text of a table is written: its encoding, what separates fields, whether there are quotes and a header.

A reading must hold for nearly all lines and leave cells that make sense; where two do, both are told.
"""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise

from tasks.discovery.draft import Choice, Question, Setting
from tasks.discovery.words import is_named
from tasks.errors import InputError, printable, quoted
from tasks.sources.encodings import BYTE_ORDER_MARKS, SAMPLE_BYTES, WESTERN, propose_encodings

DELIMITERS = (",", ";", "\t", "|")
NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
SNIFFED_CHARS = 400_000
SNIFFED_RECORDS = 4_000
# Of the lines must have as many fields as most have.
ALIKE = 0.95
# Of the cells may look cut at a wrong place.
MOST_ODD = 0.05
JOINED = re.compile(r"\S[;|\t]\S|\d[;|\t]|[;|\t]\d")
TORN = re.compile(r"[\d:],[\d\-.]|^\d+,\w")
SHOWN = 40
MAX_NAME_CHARS, MAX_NAME_SPACES = 80, 4
NAME = re.compile(r"[\w .\-/()%°\[\]]+")

NUMBER = re.compile(r"[+-]?(\d[\d .,'\u2019]*|[.,]\d+)([eE][+-]?\d+)?%?")
TIME = re.compile(r"\d{1,4}[-/.:]\d{1,2}([-/.:]\d{1,4})?([T ]\d{1,2}:\d{2}.*)?|.*\d{1,2}:\d{2}(:\d{2})?.*")


@dataclass(frozen=True)
class Dialect:
    """How lines are cut: the delimiter, whether quotes are marks, and the lines that begin with `comment` left out."""

    delimiter: str
    is_quoted: bool = True
    comment: str = ""
    records: list[list[str]] = field(default_factory=list, compare=False)
    findings: tuple[Setting | Question, ...] = field(default=(), compare=False)


def decode_head(head: bytes, place: str) -> tuple[str, list[Setting | Question]]:
    """The text of a file's beginning, and its encoding where it is another than UTF-8.

    Raises InputError (E-NEW-003) for what is not a text.
    """
    mark = next((name for mark, name in BYTE_ORDER_MARKS if head.startswith(mark)), None)
    if mark == "UTF-16":
        return codecs.getincrementaldecoder("utf-16")().decode(head), [Setting("source.encoding", "utf-16")]
    if b"\0" in head[:SAMPLE_BYTES]:
        fix = "write CSV, JSON Lines or Parquet."
        raise InputError("E-NEW-003", "is neither a text nor a table.", fix=fix, file=place)
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(head), []
    except UnicodeDecodeError as error:
        sample = head[max(0, error.start - SAMPLE_BYTES // 2) :][:SAMPLE_BYTES]
        proposed = propose_encodings(sample) or propose_encodings(head)
    if not proposed or proposed[0] == "utf-8":
        fix = "clean the file, or convert it to UTF-8 and look again."
        raise InputError("E-NEW-003", "is in an encoding that cannot be told.", fix=fix, file=place)
    texts = {name: head.decode(name, "replace") for name in proposed}
    # Many of one family agree on the letters that occur; the commonest is then written.
    if head.decode(WESTERN, "replace") in texts.values():
        text = texts.setdefault(WESTERN, head.decode(WESTERN, "replace"))
        texts = {WESTERN: text} | {name: other for name, other in texts.items() if other != text}
        proposed = list(texts)
    if len(proposed) == 1 or len(set(texts.values())) == 1:
        return texts[proposed[0]], [Setting("source.encoding", proposed[0], "not UTF-8")]
    at = next(i for i, pair in enumerate(zip(*texts.values(), strict=False)) if len(set(pair)) > 1)
    choices = tuple(Choice({"source.encoding": name}, _excerpt(text, at)) for name, text in texts.items())
    return texts[proposed[0]], [Question("which of these is spelled right?", choices)]


def find_dialect(text: str, *, given: str | None, is_whole: bool) -> Dialect:
    """How a table is cut into fields; `given` is a delimiter that is known."""
    sample = text[:SNIFFED_CHARS]
    if len(sample) < len(text) or not is_whole:
        sample = sample[: sample.rfind("\n") + 1]
    lines = sample.splitlines(keepends=True)
    comment = next((mark for mark in "#%" if lines and lines[0].startswith(mark)), "")
    lines = [line for line in lines if line.strip() and not (comment and line.startswith(comment))]
    readings = [_read_as(lines, delimiter, comment) for delimiter in ((given,) if given else DELIMITERS)]
    scored = [(dialect, *_judge(dialect.records)) for dialect in readings]
    fitting = [one for one in scored if one[1] > 1 and one[2] >= ALIKE]
    plausible = [one for one in fitting if one[3] <= MOST_ODD]
    plausible = [one for one in plausible if one[3] == 0] or plausible
    best = [one[0] for one in sorted(plausible or fitting, key=lambda one: (one[3], -one[1]))]
    if not best:
        return Dialect(",", True, comment, readings[-1].records)
    is_asked = len(plausible) > 1
    return replace(best[0], findings=(_delimiter_question(best),) if is_asked else ())


def find_header(records: Sequence[Sequence[str]]) -> bool | None:
    """Whether the first record names columns; None where that cannot be told."""
    cells, rest = [cell.strip() for cell in records[0]], records[1:]
    if _counts_up(cells):
        return True
    columns = list(zip(*(row for row in rest if len(row) == len(cells)), strict=True)) or [()] * len(cells)
    is_value, measured = list(map(_is_value, cells)), list(map(_is_measured, columns))
    recurs = any(cell and cell in column for cell, column in zip(cells, columns, strict=True))
    if recurs or any(value and below for value, below in zip(is_value, measured, strict=True)):
        return False
    if any(is_value) or any(measured):
        return None if any(is_value) else True
    if any(len(cell) > MAX_NAME_CHARS or cell.count(" ") > MAX_NAME_SPACES for cell in cells):
        return False
    named = [cell for cell in cells if cell]
    looks_like_names = len(set(named)) == len(named) and all(NAME.fullmatch(cell) for cell in named)
    length = sum(len(cell) for row in rest for cell in row) / max(1, sum(len(row) for row in rest))
    is_short = looks_like_names and length > 2 * max(map(len, cells))
    return True if is_short or any(map(is_named, cells)) else None


def _counts_up(cells: Sequence[str]) -> bool:
    """Whether a line holds years or steps one after another, as a header of a table with a series per row does."""
    digits = [int(cell) for cell in cells if cell.isdecimal()]
    steps = {after - before for before, after in pairwise(digits)}
    return len(digits) >= 4 and len(digits) >= len(cells) - 5 and steps == {1}  # noqa: PLR2004


def _is_value(cell: str) -> bool:
    return bool(NUMBER.fullmatch(cell) or TIME.fullmatch(cell))


def _is_measured(column: Sequence[str]) -> bool:
    filled = [cell.strip() for cell in column if cell.strip()]
    return bool(filled) and sum(map(_is_value, filled)) >= ALIKE * len(filled)


def _read_as(lines: Sequence[str], delimiter: str, comment: str) -> Dialect:
    unquoted = [line.rstrip("\r\n").split(delimiter) for line in lines[:SNIFFED_RECORDS]]
    records = _quoted(lines, delimiter)
    # Quotes that join lines, each of which is whole by itself, are marks of speech.
    joins = records is not None and any("\n" in cell for row in records for cell in row)
    if joins:
        num_fields, alike, _ = _judge(unquoted)
        joins = num_fields > 1 and alike == 1
    return (
        Dialect(delimiter, False, comment, unquoted)
        if records is None or joins
        else Dialect(delimiter, True, comment, records)
    )


def _quoted(lines: Sequence[str], delimiter: str) -> list[list[str]] | None:
    """Records as the reader of the house has them; None where quotes are not those of CSV."""
    records: list[list[str]] = []
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        records.extend(islice((one for one in reader if any(cell.strip() for cell in one)), SNIFFED_RECORDS))
    except csv.Error as error:
        # The last record of a sample may be cut.
        is_cut = str(error).startswith("unexpected end of data") and reader.line_num == len(lines)
        return records if is_cut and len(records) > len(lines) // 2 else None
    return records


def _judge(records: Sequence[Sequence[str]]) -> tuple[int, float, float]:
    """Fields of most records, the share of records that have as many, and the share of cells that look cut wrongly."""
    if not records:
        return 1, 0.0, 1.0
    num_fields, num_alike = Counter(map(len, records)).most_common(1)[0]
    alike = num_alike / len(records) if len(records[0]) == num_fields else 0.0
    cells = [cell for record in records for cell in record if cell]
    # Commas without a space after them may join digits of one number, and nothing else.
    odd = sum(bool(JOINED.search(cell)) or bool(TORN.search(cell) and not NUMBER.fullmatch(cell)) for cell in cells)
    return num_fields, alike, odd / max(1, len(cells))


def _delimiter_question(dialects: Sequence[Dialect]) -> Question:
    shown = {one: " | ".join(printable(cell) for cell in one.records[-1])[:SHOWN] for one in dialects}
    choices = [Choice({"source.delimiter": one.delimiter}, f"{NAMES[one.delimiter]}: {shown[one]}") for one in dialects]
    return Question("what separates the fields?", tuple(choices))


def _excerpt(text: str, at: int) -> str:
    around = text[max(0, at - SHOWN // 2) : at + SHOWN // 2]
    return quoted(" ".join(around.split()))
