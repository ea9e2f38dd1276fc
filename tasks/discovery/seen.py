"""A look at some files: how they are read, and what their columns hold. Recipes are drafted from it."""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

import polars as pl

from tasks.discovery import dialect as dialects
from tasks.discovery.columns import Column, Notation, as_column, find_notation
from tasks.discovery.dialect import Dialect, decode_head, find_dialect, find_header
from tasks.discovery.draft import Choice, Question, Setting
from tasks.discovery.files import Found
from tasks.discovery.naming import name_columns
from tasks.errors import InputError, printable
from tasks.sources.input_files import suffixes_of
from tasks.sources.intake import named

MAX_ROWS = 200_000
BY_SUFFIX = {".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".csv": "csv", ".ts": "ts"}
OF_FORMAT = {"csv": ",", "tsv": "\t"}
MIN_TAGGED = 20


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was seen of some files.

    findings: how they are read. columns: by name, of the first rows; all rows if `is_whole`. num_rows: an estimate for
    all files. given: settings that the user has made, by key. what: for what is no table, what it is.
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
        for key in keys:
            if key in self.given:
                names = self.given[key]
                listed = [names] if isinstance(names, str) else list(names) if isinstance(names, Sequence) else []
                return tuple(self.columns[name] for name in map(str, listed) if name in self.columns)
        return ()


def look(found: Found, given: Mapping[str, object]) -> Seen:
    """Read the beginning of what was found.

    Raises InputError (E-NEW-003) for what no setting reads.
    """
    if not found.name:
        return Seen(found=found, format="folder", num_rows=len(found.names), is_whole=found.is_whole, given=given)
    file_format = _format_of(found)
    if file_format == "ts":
        return Seen(found=found, format="ts", given=given)
    if file_format == "parquet":
        frame, num_rows = _read_parquet(found)
        return _table(found, "parquet", frame, [], num_rows=num_rows, delimiter="", given=given)
    text, findings = decode_head(found.head, found.location)
    if not text.strip():
        raise InputError("E-SRC-004", "is empty.", fix="remove the file, or fill it.", file=found.location)
    if not file_format or (file_format != "jsonl" and text.lstrip()[:1] in "{["):
        file_format = _format_of_text(text, found) or file_format
    if file_format == "jsonl":
        frame = _read_jsonl(text, found)
        stated = [*_stated_format(found, "jsonl"), *findings]
        return _table(found, "jsonl", frame, stated, num_rows=_scaled(frame.height, found), delimiter="", given=given)
    if suffixes_of(found.name)[0] not in (".csv", ".tsv") and (what := _describe_plain(text)):
        return Seen(found=found, format="", what=what, given=given)
    return _look_at_fields(text, found, file_format or "csv", findings, given)


def _look_at_fields(
    text: str, found: Found, file_format: str, findings: list[Setting | Question], given: Mapping[str, object]
) -> Seen:
    delimiter = given.get("source.delimiter")
    dialect = find_dialect(text, given=str(delimiter) if delimiter else None, is_whole=found.is_whole)
    stated = [*_stated_format(found, file_format), *findings, *dialect.findings]
    if dialect.delimiter != OF_FORMAT.get(file_format) and not dialect.findings:
        stated.append(Setting(key="source.delimiter", value=dialect.delimiter))
    if not dialect.is_quoted:
        stated.append(Setting(key="source.quoted", value=False, why='" is part of the text: not all are closed'))
    if dialect.comment:
        stated.append(Setting(key="source.comment", value=dialect.comment, why="lines that begin with it are left out"))
    if not dialect.records:
        raise InputError("E-SRC-004", "has no rows.", fix="remove the file, or fill it.", file=found.location)
    has_header = not given["source.columns"] if "source.columns" in given else find_header(dialect.records)
    names = [cell.strip().removeprefix("\ufeff") for cell in dialect.records[0]]
    frame, share = _read_fields(text, dialect, skip=has_header is not False, width=len(names))
    if has_header is False:
        names = list(map(str, given["source.columns"])) if "source.columns" in given else name_columns(frame)  # ty: ignore[invalid-argument-type] (a list, or validation says so)
        if "source.columns" not in given:
            stated.append(
                Setting(key="source.columns", value=names, why="the table has no header line; name them as you like")
            )
    elif has_header is None:
        stated.append(_header_question(names, frame))
    frame.columns = _unique(names)[: frame.width]
    num_rows = _scaled(round(frame.height / share), found)
    return _table(
        found, file_format, frame.head(MAX_ROWS), stated, num_rows=num_rows, delimiter=dialect.delimiter, given=given
    )


def _table(
    found: Found,
    file_format: str,
    frame: pl.DataFrame,
    findings: Sequence[Setting | Question],
    *,
    num_rows: int,
    delimiter: str,
    given: Mapping[str, object],
) -> Seen:
    raw = list(frame.iter_columns())
    notation, written = find_notation(raw, delimiter=delimiter)
    if "source.decimal" in given or "source.thousands" in given:
        notation = Notation(str(given.get("source.decimal", ".")), str(given.get("source.thousands", "")))
    return Seen(
        found=found,
        format=file_format,
        findings=(*findings, *written),
        columns={one.name: as_column(one.name, one, notation) for one in raw},
        is_whole=found.is_whole and frame.height < MAX_ROWS,
        num_rows=num_rows,
        given=given,
    )


def _format_of(found: Found) -> str:
    if found.head.startswith(b"PAR1"):
        return "parquet"
    return BY_SUFFIX.get(suffixes_of(found.name)[0], "")


def _format_of_text(text: str, found: Found) -> str:
    if text.lstrip().startswith("["):
        raise InputError(
            "E-NEW-003",
            "is one JSON array.",
            fix="write one object a line: jq -c '.[]' OLD > NEW.jsonl",
            file=found.location,
        )
    if text.lstrip().lower().startswith(("@problemname", "@relation", "@timestamps")):
        return "ts"
    first = text.lstrip().partition("\n")[0]
    try:
        is_object = first.startswith("{") and isinstance(json.loads(first), dict)
    except ValueError:
        is_object = False
    if first.startswith("{") and not is_object:
        fix = "write one JSON object per line: jq -c . OLD > NEW.jsonl"
        raise InputError("E-NEW-003", "is one JSON object over several lines.", fix=fix, file=found.location)
    return "jsonl" if is_object else ""


def _stated_format(found: Found, file_format: str) -> list[Setting | Question]:
    """The format, where the suffix does not say it."""
    suffix = suffixes_of(found.name)[0]
    return [] if BY_SUFFIX.get(suffix) == file_format else [Setting(key="source.format", value=file_format)]


def _read_fields(text: str, dialect: Dialect, *, skip: bool, width: int) -> tuple[pl.DataFrame, float]:
    """The rows as texts, and the share of the text that they are."""
    lines = io.StringIO(text)
    counted = (line for line in lines if not (dialect.comment and line.startswith(dialect.comment)))
    quoting = csv.QUOTE_MINIMAL if dialect.is_quoted else csv.QUOTE_NONE
    records = csv.reader(counted, delimiter=dialect.delimiter, quoting=quoting)
    filled = (record for record in records if any(cell.strip() for cell in record))
    kept = list(islice((record for record in filled if len(record) == width), MAX_ROWS + 1))[1 if skip else 0 :]
    columns = {f"column_{number}": cells for number, cells in enumerate(zip(*kept, strict=True), start=1)}
    names = [f"column_{number}" for number in range(1, width + 1)]
    frame = pl.DataFrame([pl.Series(name, columns.get(name, ()), dtype=pl.String) for name in names])
    return frame, lines.tell() / max(1, len(text)) if frame.height >= MAX_ROWS else 1.0


def _read_jsonl(text: str, found: Found) -> pl.DataFrame:
    records = []
    lines = text.splitlines()
    for line in lines if found.is_whole else lines[:-1]:
        try:
            record = json.loads(line) if line.strip() else None
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(record)
        if len(records) == MAX_ROWS:
            break
    names = list(dict.fromkeys(name for record in records for name in record))
    flat = [name for name in names if not any(isinstance(record.get(name), dict | list) for record in records)]
    cells = {name: [_as_text(record.get(name)) for record in records] for name in flat}
    return pl.DataFrame(cells, schema=dict.fromkeys(flat, pl.String))


def _as_text(value: object) -> str | None:
    return None if value is None else value if isinstance(value, str) else json.dumps(value)


def _read_parquet(found: Found) -> tuple[pl.DataFrame, int]:
    from_file = found.path if found.path is not None and suffixes_of(found.path.name)[0] == ".parquet" else None
    table = pl.scan_parquet(from_file if from_file is not None else io.BytesIO(found.head))
    num_rows = table.select(pl.len()).collect().item() * max(1, found.num_tables)
    schema = table.collect_schema()
    flat = [name for name, kind in schema.items() if not kind.is_nested() and kind != pl.Binary]
    shown = [
        pl.col(name).dt.to_string("iso:strict")
        if kind.is_temporal() and kind != pl.Duration
        else pl.col(name).cast(pl.String)
        for name, kind in schema.items()
        if name in flat
    ]
    return table.select(shown).head(MAX_ROWS).collect(), num_rows


def _scaled(height: int, found: Found) -> int:
    share = found.num_bytes / max(1, len(found.head))
    return height if found.is_whole else round(height * share)


def _unique(names: Sequence[str]) -> list[str]:
    """Names for a frame: a repeated one is made different, so that it is never proposed; unnamed columns count on."""
    seen: dict[str, int] = {}
    unique = []
    for name in named(names):
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name}\0{seen[name]}")
    return unique


def _header_question(names: Sequence[str], frame: pl.DataFrame) -> Question:
    shown = ", ".join(printable(name) for name in names)[: dialects.SHOWN]
    return Question(
        text=f"is the first line a header ({shown})?",
        choices=(
            Choice(settings={"source.columns": None}, means="yes, it names the columns"),
            Choice(settings={"source.columns": name_columns(frame)}, means="no, it is a row like the others"),
        ),
    )


def _describe_plain(text: str) -> str:
    """What a text without fields is."""
    lines = text.splitlines()[:5_000]
    filled = [line for line in lines if line.strip()]
    tags = [re.split(r"[ \t]+", line.strip())[-1] for line in filled if re.search(r"[ \t]", line.strip())]
    tagged = sum(tag == "O" or re.match(r"[BIES]-", tag) is not None for tag in tags)
    if len(filled) >= MIN_TAGGED and tagged > 0.8 * len(filled):
        return "text with a tag for each token (CoNLL)"
    cut = {mark: sum(mark in line for line in filled) for mark in dialects.DELIMITERS}
    if max(cut.values(), default=0) < 0.9 * len(filled) and _is_prose(filled):
        return "plain text, without fields or labels"
    return ""


def _is_prose(lines: Sequence[str]) -> bool:
    words = [len(line.split()) for line in lines[1:] or lines]
    return bool(words) and sum(words) / len(words) > 2 and not any(line.count('"') for line in lines[:1])  # noqa: PLR2004
