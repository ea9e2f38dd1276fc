"""A look at some files: how they are read, and what their columns hold. Recipes are drafted from it."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import polars as pl

from tasks.discovery import dialect as dialects
from tasks.discovery.columns import Column, as_column
from tasks.discovery.dialect import Dialect, decode_head, find_dialect, find_header
from tasks.discovery.draft import Choice, Question, Setting
from tasks.discovery.files import Found
from tasks.discovery.naming import name_columns
from tasks.discovery.notation import Notation, find_notation
from tasks.discovery.rows import read_fields, read_json_lines, read_parquet
from tasks.errors import InputError, printable
from tasks.sources.input_files import suffixes_of
from tasks.sources.intake import named

ENCODING, COLUMNS = "source.encoding", "source.columns"
BY_SUFFIX = {".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".csv": "csv", ".ts": "ts"}
OF_FORMAT = {"csv": ",", "tsv": "\t"}
MIN_TAGGED = 20


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
        frame, num_first, num_rows = read_parquet(found)
        blank = Seen(found=found, format="parquet", num_rows=num_rows, given=given)
        return _with_columns(blank, frame, num_first, delimiter="")
    text, findings = decode_head(found.head, found.location)
    if not text.strip():
        raise InputError("E-SRC-004", "is empty.", fix="remove the file, or fill it.", file=found.location)
    if not file_format or (file_format != "jsonl" and text.lstrip()[:1] in "{["):
        file_format = _format_of_text(text, found) or file_format
    stated = [*_stated_format(found, file_format or "csv"), *findings]
    if file_format == "jsonl":
        frame, num_first, num_rows = read_json_lines(text, found)
        blank = Seen(
            found=found, format="jsonl", findings=tuple(stated), num_rows=_scaled(num_rows, found), given=given
        )
        return _with_columns(blank, frame, num_first, delimiter="")
    if suffixes_of(found.name)[0] not in (".csv", ".tsv") and (what := _describe_plain(text)):
        return Seen(found=found, format="", what=what, given=given)
    return _look_at_fields(text, found, file_format or "csv", stated, given)


def _look_at_fields(
    text: str, found: Found, file_format: str, stated: list[Setting | Question], given: Mapping[str, object]
) -> Seen:
    delimiter = given.get("source.delimiter")
    encoding = next((str(one.value) for one in stated if isinstance(one, Setting) and one.key == ENCODING), "utf-8")
    dialect = find_dialect(text, given=str(delimiter) if delimiter else None, is_whole=found.is_whole)
    if not dialect.records:
        raise InputError("E-SRC-004", "has no rows.", fix="remove the file, or fill it.", file=found.location)
    stated += _describe(dialect, file_format)
    names = [cell.strip().removeprefix("\ufeff") for cell in dialect.records[0]]
    said = given.get(COLUMNS)
    has_header = not said if COLUMNS in given else find_header(dialect.records)
    frame, num_first, num_rows = read_fields(
        text, found, dialect, encoding=encoding, skip=int(has_header is not False), width=len(names)
    )
    if has_header is not False and frame.is_empty():
        raise InputError("E-SRC-004", "has a header and no rows.", fix="fill the file.", file=found.location)
    if has_header is None:
        stated.append(_header_question(names, frame))
    elif not has_header:
        names = list(said) if isinstance(said, list) else name_columns(frame)
        why = "the table has no header line; name them as you like"
        stated += [] if isinstance(said, list) else [Setting(COLUMNS, names, why)]
    names = named(names)
    # Those that occur twice cannot be named in a recipe.
    frame = frame.rename(dict(zip(frame.columns, [f"{name}\0{at}" for at, name in enumerate(names)], strict=True)))
    frame = frame.select(pl.col(f"{name}\0{at}").alias(name) for at, name in enumerate(names) if names.count(name) == 1)
    rows = _scaled(num_rows, found)
    blank = Seen(found=found, format=file_format, findings=tuple(stated), num_rows=rows, given=given)
    return _with_columns(blank, frame, num_first, delimiter=dialect.delimiter)


def _describe(dialect: Dialect, file_format: str) -> Iterator[Setting | Question]:
    yield from dialect.findings
    if dialect.delimiter != OF_FORMAT.get(file_format) and not dialect.findings:
        yield Setting("source.delimiter", dialect.delimiter)
    if not dialect.is_quoted:
        yield Setting("source.quoted", False, '" is part of the text: not all are closed')
    if dialect.comment:
        yield Setting("source.comment", dialect.comment, "lines that begin with it are left out")


def _with_columns(seen: Seen, frame: pl.DataFrame, num_first: int, *, delimiter: str) -> Seen:
    raw = list(frame.iter_columns())
    notation, written = find_notation(raw, delimiter=delimiter)
    if "source.decimal" in seen.given or "source.thousands" in seen.given:
        decimal, thousands = (seen.given.get(f"source.{key}") for key in ("decimal", "thousands"))
        notation = Notation(str(decimal or "."), str(thousands or ""))
    return replace(
        seen,
        findings=(*seen.findings, *written),
        columns={one.name: as_column(one, notation, num_first) for one in raw},
        is_whole=seen.found.is_whole and num_first == frame.height,
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
    return [] if BY_SUFFIX.get(suffix) == file_format else [Setting("source.format", file_format)]


def _scaled(height: int, found: Found) -> int:
    share = found.num_bytes / max(1, len(found.head))
    return height if found.is_whole else round(height * share)


def _header_question(names: Sequence[str], frame: pl.DataFrame) -> Question:
    shown = ", ".join(printable(name) for name in names)[: dialects.SHOWN]
    return Question(
        f"is the first line a header ({shown})?",
        (
            Choice({"source.columns": None}, "yes, it names the columns"),
            Choice({"source.columns": name_columns(frame)}, "no, it is a row like the others"),
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
    if what := _describe_labelled_lines(filled):
        return what
    cut = {mark: sum(mark in line for line in filled) for mark in dialects.DELIMITERS}
    if max(cut.values(), default=0) < 0.9 * len(filled) and _is_prose(filled):
        return "plain text, without fields or labels"
    return ""


def _describe_labelled_lines(lines: Sequence[str]) -> str:
    """What lines are that begin with a label and a space, and the command that makes a table of them."""
    parted = [line.split(" ", 1) for line in dict.fromkeys(lines) if "\t" not in line]
    cells = [line.split() for line in lines[:MIN_TAGGED]]
    if min(map(len, cells)) > 1 and all(map(dialects.NUMBER.fullmatch, cells[-1])):
        return "fields parted by spaces; make a table of them: awk '{$1=$1} 1' OFS=, FILE > NEW.csv"
    labels = Counter(parts[0] for parts in parted if len(parts) > 1 and " " in parts[1].strip())
    num_recurring = sum(count for count in labels.values() if count > 1)
    if len(parted) < MIN_TAGGED or len(labels) > len(parted) // 5 or num_recurring < 0.95 * len(parted):
        return ""
    is_fasttext = all(label.startswith("__label__") for label in labels)
    what = "labels before texts as fastText has them" if is_fasttext else "a label, a space and a text on each line"
    if any(" __label__" in f" {parts[-1]}" for parts in parted):
        return f"{what}, several before some; leave one label on each line"
    awk = """awk '{sub(/^__label__/, ""); sub(/ /, "\\t")} 1'"""
    return f"{what}; make a table of them: {awk} FILE > NEW.tsv"


def _is_prose(lines: Sequence[str]) -> bool:
    words = [len(line.split()) for line in lines[1:] or lines]
    return bool(words) and sum(words) / len(words) > 2 and not any(line.count('"') for line in lines[:1])  # noqa: PLR2004
