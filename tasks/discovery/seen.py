"""A look at some files: how they are read, and what their columns hold. Recipes are drafted from it."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import polars as pl

from tasks.discovery.columns import Column, as_column
from tasks.discovery.dialect import SHOWN, Dialect, decode_head, find_dialect, find_header
from tasks.discovery.draft import Choice, Question, Setting
from tasks.discovery.files import Found
from tasks.discovery.notation import Notation, find_notation
from tasks.discovery.plain_texts import describe_plain
from tasks.discovery.rows import read_fields, read_json_lines, read_parquet
from tasks.discovery.times import is_clock, is_date, read_times
from tasks.errors import InputError, printable
from tasks.sources.delimiters import OF_FORMAT
from tasks.sources.input_files import TABLE_FORMATS, suffixes_of
from tasks.sources.intake import named

COLUMNS = "source.columns"
BY_SUFFIX = TABLE_FORMATS | {".ts": "ts"}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was seen of some files.

    findings: how they are read. columns: by name, of the first rows; all rows if `is_whole`. num_rows: an estimate for
    all files. given: settings that the user has made, by key. what: for what is not a table, what it is.
    """

    found: Found
    format: str
    findings: tuple[Setting | Question, ...] = ()
    columns: Mapping[str, Column] = field(default_factory=dict)
    is_whole: bool = True
    num_rows: int = 0
    given: Mapping[str, object] = field(default_factory=dict)
    what: str = ""

    @cached_property
    def height(self) -> int:
        """Number of rows that were looked at."""
        return next((column.cells.len() for column in self.columns.values()), 0)

    def chosen(self, *keys: str) -> tuple[Column, ...]:
        """The columns that the user has named by one of some settings."""
        names = next((self.given[key] for key in keys if key in self.given), ())
        listed = [names] if isinstance(names, str) else list(names) if isinstance(names, Sequence) else []
        return tuple(self.columns[name] for name in map(str, listed) if name in self.columns)


def look(found: Found, given: Mapping[str, object]) -> Seen:
    """Read the beginning of what was found.

    Raises InputError: E-NEW-003 for what no setting reads, E-SRC-004 for what has no rows.
    """
    if not found.name:
        return Seen(found=found, format="folder", num_rows=found.num_documents, is_whole=found.is_whole, given=given)
    suffix = suffixes_of(found.name)[0]
    file_format = "parquet" if found.head.startswith(b"PAR1") else BY_SUFFIX.get(suffix, "")
    seen = Seen(found=found, format=file_format, given=given)
    if file_format == "ts":
        return replace(seen, num_rows=_estimate(_count_sequences(found.head), found), is_whole=found.is_whole)
    if file_format == "parquet":
        return _with_columns(seen, *read_parquet(found))
    text, findings = decode_head(found.head, found.location)
    if not text.strip():
        raise InputError("E-SRC-004", "is empty.", fix="remove the file, or fill it.", file=found.location)
    if not file_format or (file_format != "jsonl" and text.lstrip()[:1] in "{["):
        file_format = _format_of_text(text, found) or file_format
    if BY_SUFFIX.get(suffix) != (file_format or "csv"):
        findings.insert(0, Setting("source.format", file_format or "csv"))
    seen = replace(seen, format=file_format or "csv", findings=tuple(findings))
    if file_format == "jsonl":
        return _with_columns(seen, *read_json_lines(text, found))
    if suffix not in (".csv", ".tsv") and (what := describe_plain(text)):
        return replace(seen, format="", what=what)
    return _look_at_fields(text, seen)


def _look_at_fields(text: str, seen: Seen) -> Seen:
    delimiter, said = seen.given.get("source.delimiter"), seen.given.get(COLUMNS)
    stated = {one.key: str(one.value) for one in seen.findings if isinstance(one, Setting)}
    dialect = find_dialect(text, given=str(delimiter) if delimiter else None, is_whole=seen.found.is_whole)
    names = [cell.strip().removeprefix("\ufeff") for cell in dialect.records[0]] if dialect.records else []
    has_header = not said if COLUMNS in seen.given or not names else find_header(dialect.records)
    encoding, skip = stated.get("source.encoding", "utf-8"), int(has_header is not False)
    frame, *counts = read_fields(text, seen.found, dialect, encoding=encoding, skip=skip, width=len(names))
    if frame.is_empty():
        raise InputError("E-SRC-004", "has no rows besides a header.", fix="fill the file.", file=seen.found.location)
    findings = [*seen.findings, *_describe(dialect, seen.format)]
    if has_header is None:
        findings.append(_header_question(names, frame))
    elif not has_header:
        names = list(said) if isinstance(said, list) else name_columns(frame)
        findings.append(Setting(COLUMNS, names, "the table has no header line; name them as you like"))
    names = named(names)
    # Those that occur twice cannot be named in a recipe.
    frame = frame.select(pl.nth(at).alias(name) for at, name in enumerate(names) if names.count(name) == 1)
    return _with_columns(replace(seen, findings=tuple(findings)), frame, *counts, delimiter=dialect.delimiter)


def _describe(dialect: Dialect, file_format: str) -> Iterator[Setting | Question]:
    yield from dialect.findings
    if dialect.delimiter != OF_FORMAT.get(file_format) and not dialect.findings:
        yield Setting("source.delimiter", dialect.delimiter)
    if not dialect.is_quoted:
        yield Setting("source.quoted", False, '" is part of the text: not all are closed')
    if dialect.comment:
        yield Setting("source.comment", dialect.comment, "lines that begin with it are left out")


def _with_columns(seen: Seen, frame: pl.DataFrame, num_first: int, num_rows: int, *, delimiter: str = "") -> Seen:
    """What was seen with its columns; `num_rows` of the bytes looked at tell how many there are in all."""
    raw, found = list(frame.iter_columns()), seen.found
    notation, written = find_notation(raw, delimiter=delimiter)
    if "source.decimal" in seen.given or "source.thousands" in seen.given:
        decimal, thousands = (seen.given.get(f"source.{key}") for key in ("decimal", "thousands"))
        notation = Notation(str(decimal or "."), str(thousands or ""))
    is_counted = found.is_whole or seen.format == "parquet"
    return replace(
        seen,
        findings=(*seen.findings, *written),
        columns={one.name: as_column(one, notation, num_first) for one in raw},
        is_whole=found.is_whole and num_first == frame.height,
        num_rows=num_rows if is_counted else _estimate(num_rows, found),
    )


def _estimate(num_rows: int, found: Found) -> int:
    """How many rows all files have, given those of the bytes looked at."""
    return round(num_rows * found.num_bytes / max(1, len(found.head)))


def _count_sequences(head: bytes) -> int:
    """Lines after `@data`, a sequence each, in the beginning of a .ts file."""
    lines = [line.strip() for line in head.splitlines()]
    begin = next((number for number, line in enumerate(lines, start=1) if line.lower() == b"@data"), len(lines))
    return sum(bool(line) for line in lines[begin:])


def _format_of_text(text: str, found: Found) -> str:
    first = text.lstrip().partition("\n")[0]
    if first.lower().startswith(("@problemname", "@relation", "@timestamps")):
        return "ts"
    if not first.startswith(("[", "{")):
        return ""
    try:
        is_record = isinstance(json.loads(first), dict)
    except ValueError:
        is_record = False
    if is_record:
        return "jsonl"
    what, command = ("JSON array", "jq -c '.[]'") if first[0] == "[" else ("JSON object over several lines", "jq -c .")
    fix = f"write one object a line: {command} OLD > NEW.jsonl"
    raise InputError("E-NEW-003", f"is one {what}.", fix=fix, file=found.location)


def _header_question(names: Sequence[str], frame: pl.DataFrame) -> Question:
    shown = ", ".join(printable(name) for name in names)[:SHOWN]
    choices = (
        Choice({COLUMNS: None}, "yes, it names the columns"),
        Choice({COLUMNS: name_columns(frame)}, "no, it is a row like the others"),
    )
    return Question(f"is the first line a header ({shown})?", choices)


def name_columns(frame: pl.DataFrame) -> list[str]:
    """A name for each column of a table without a header, by what it holds; those that hold the same are numbered."""
    kinds = [_kind_of(as_column(column, Notation())) for column in frame.iter_columns()]
    totals, so_far = Counter(kinds), Counter[str]()
    names = []
    for kind in kinds:
        so_far[kind] += 1
        names.append(kind if totals[kind] == 1 else f"{kind}_{so_far[kind]}")
    return names


def _kind_of(column: Column) -> str:
    tests = {
        "empty": column.filled.is_empty,
        "text": lambda: column.is_text,
        "clock": lambda: is_clock(column),
        "date": lambda: is_date(column),
        "label": lambda: column.is_class,
        "time": lambda: bool(read_times(column)),
        "value": lambda: column.is_number,
    }
    return next((kind for kind, holds in tests.items() if holds()), "name")
