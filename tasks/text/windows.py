"""An input file as windows of rows: large enough to sort by length, small enough that memory stays flat.

The same file always gives the same windows, so a prediction that was cut off goes on after the last one it finished.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import polars as pl

from tasks.errors import InputError, quoted
from tasks.labelled.labeller import LabellerServing
from tasks.prediction.counts import describe_fault
from tasks.prediction.job import Columns
from tasks.prediction.remedies import naming_remedies
from tasks.sources.decoding import Lines, open_text
from tasks.sources.input_files import FORMATS, TABLE_FORMATS, InputFile, suffixes_of
from tasks.sources.inputs import find_inputs
from tasks.sources.intake import Intake, RawRow, batched
from tasks.sources.readers import read_table
from tasks.sources.reading_documents import read_documents
from tasks.sources.row_checks import filter_rows, renamed_label
from tasks.text.joined import with_text
from tasks.text.readable import MAX_CHARACTERS, fault_of_text
from tasks.text.source import PlainTextSource, TextSource

WINDOW_ROWS = 10_000
WINDOW_BYTES = 16 * 2**20
WITHOUT_LABELS = pl.lit(None, dtype=pl.String)
# What of a source's settings has an effect where a line is a text.
KNOWN_TO_LINES = frozenset({"encoding", "max_bytes", "max_ratio", "max_document_bytes"})


@dataclass(frozen=True, kw_only=True)
class TextInput:
    """A file and how it is read: where labels are, if any; whether a text file is one document, or has one a line.

    window_bytes: of a window, about.
    """

    file: InputFile
    settings: PlainTextSource
    label: pl.Expr = WITHOUT_LABELS
    is_whole: bool = False
    max_characters: int = MAX_CHARACTERS
    window_bytes: int = WINDOW_BYTES


@dataclass(frozen=True, kw_only=True)
class Window:
    """Consecutive rows: `rows` (line, text, label) can be answered, `faults` say why others cannot.

    `aside` counts what was among them: rows `left_out`, other than `where` asks for, `blank_lines`, `comment_lines`.
    """

    rows: pl.DataFrame
    faults: list[dict]
    aside: dict[str, int]


def open_input(path: Path, serving: LabellerServing[Any], columns: Columns, changed: Mapping[str, object]) -> TextInput:
    """Say how a file is read: as the training rows were, except for what the caller names or has `changed`.

    The training's column of labels is read where the file has it. Raises InputError (E-SRC-003, E-SRC-011).
    """
    settings = serving.settings_for(path, **changed)
    file = name_input(path, settings)
    if file.kind == "document":
        refuse_columns(path, columns, changed, known=KNOWN_TO_LINES)
        return TextInput(file=file, settings=settings.model_copy(update={"where": {}}))
    texts = (columns.text,) if columns.text else settings.text_columns
    label = columns.label or settings.label_column
    read = settings.model_copy(update={"text_columns": texts, "label_column": label})
    if columns.label is not None or (serving.source is not None and _holds_labels(file, read)):
        return TextInput(file=file, settings=read, label=renamed_label(read))
    # Readers take the text for the label, too.
    return TextInput(file=file, settings=read.model_copy(update={"label_column": texts[0]}))


def name_input(path: Path, settings: PlainTextSource) -> InputFile:
    """Tell by the format that is stated, else by its suffix, how a file is read; an archive is its only table.

    Raises InputError (E-SRC-003), and what `find_inputs` does for an archive.
    """
    suffix, compression = suffixes_of(path.name)
    stated = settings.format if settings.format in TABLE_FORMATS.values() else ""
    by_suffix = FORMATS.get(suffix, "")
    kind = stated or by_suffix
    if by_suffix == "archive":
        return _only_table(path, settings)
    if not kind:
        raise InputError(
            "E-SRC-003",
            f"got {quoted(path.suffix)}, expected a file that ends in one of {', '.join(FORMATS)}.",
            fix="convert the file, or state its format, as in --set source.format=csv.",
            file=path,
        )
    return InputFile(path, path.name, kind, compression)


def _only_table(path: Path, settings: PlainTextSource) -> InputFile:
    found = find_inputs(settings).files
    if len(found) == 1 and found[0].kind != "archive":
        return found[0]
    held = "documents" if found[0].kind == "archive" else f"{len(found)} tables, such as {quoted(found[0].name)}"
    raise InputError(
        "E-SRC-003", f"holds {held}, expected one table.", fix="unpack it, and name one of its files.", file=path
    )


def read_windows(source: TextInput) -> Iterator[Window]:
    """Yield the windows of a file, at least one; what a reader finds wrong with a row is among the faults."""
    intake = Intake(source.settings, refused=[])
    of_documents = _read_whole if source.is_whole else _read_lines
    reader = of_documents if source.file.kind == "document" else read_table
    with naming_remedies(source.settings):
        raw = (with_text(frame, source.settings) for frame in reader(source.file, intake))
        frames = (filter_rows(frame, intake) for frame in raw)
        named = (frame.select("line", "text", source.label.alias("label")) for frame in frames)
        for frame in gather(named, source.window_bytes):
            yield _part_readable(frame, intake, source.max_characters)


def gather(frames: Iterable[pl.DataFrame], window_bytes: int = WINDOW_BYTES) -> Iterator[pl.DataFrame]:
    """Join frames until they hold 10,000 rows or about so much text; yields one frame at least."""
    gathered: list[pl.DataFrame] = []
    for frame in frames:
        gathered.append(frame)
        num_bytes = sum(int(part["text"].str.len_bytes().sum()) for part in gathered)
        if sum(part.height for part in gathered) >= WINDOW_ROWS or num_bytes >= window_bytes:
            yield pl.concat(gathered)
            gathered = [frame.clear()]
    yield pl.concat(gathered)


def _part_readable(rows: pl.DataFrame, intake: Intake, max_characters: int) -> Window:
    """Part rows into those that can be answered and the faults of all others, in the order of their lines.

    What the intake has counted since the last window is handed on.
    """
    assert intake.refused is not None, "a prediction answers for each row"
    faults = [describe_fault(fault, row=fault.row) for fault in intake.refused]
    is_bad = pl.col("text").is_null() | (pl.col("text").str.len_chars() > max_characters)
    for row, text in rows.filter(is_bad).select("line", "text").iter_rows():
        faults.append({"row": row, "code": "E-TEXT-001", "reason": fault_of_text(text, max_characters=max_characters)})
    aside = {
        "left_out": intake.filtered.total(),
        "blank_lines": intake.blank_lines,
        "comment_lines": intake.comment_lines,
    }
    intake.refused.clear()
    intake.filtered.clear()
    intake.blank_lines = intake.comment_lines = 0
    by_line = sorted(faults, key=itemgetter("row"))
    return Window(rows=rows.filter(~is_bad), faults=by_line, aside=aside)


def refuse_columns(path: Path, columns: Columns, changed: Mapping[str, object], *, known: Container[str]) -> None:
    """Refuse what has no effect on a file of text, of which only the settings that are `known` have one.

    Raises InputError (E-SRC-011).
    """
    without_effect = [f"source.{name}" for name in changed if name not in known]
    named = {"--text-column": columns.text, "--label-column": columns.label}
    without_effect += [option for option, column in named.items() if column is not None]
    if without_effect:
        raise InputError(
            "E-SRC-011",
            f"holds a text per line and no columns, so {without_effect[0]} has no effect.",
            fix="leave it out, or use a table.",
            file=path,
        )


def _holds_labels(file: InputFile, settings: TextSource) -> bool:
    """Tell by its first rows whether a table has the column of labels, and labels in it."""
    if settings.label_column in settings.text_columns:
        return False
    intake = Intake(settings.model_copy(update={"on_bad_rows": "error"}))
    try:
        # When a reader fails, the rows before the fault come first.
        for _ in islice(read_table(file, intake), 2):
            pass
    except InputError as error:
        return error.column != settings.label_column
    return True


def _read_whole(source: InputFile, intake: Intake) -> Iterator[pl.DataFrame]:
    """Yield a text file as one document."""
    return (frame.with_columns(pl.col("line").fill_null(1)) for frame in read_documents([source], intake))


def _read_lines(source: InputFile, intake: Intake) -> Iterator[pl.DataFrame]:
    """Yield a text file's lines as documents."""
    return batched(_line_rows(source, intake), ["text"])


def _line_rows(source: InputFile, intake: Intake) -> Iterator[RawRow]:
    with open_text(source, intake) as stream:
        lines = Lines(stream, source, intake)
        for line in lines:
            fault = lines.take_fault()
            if fault:
                intake.reject(fault)
            else:
                yield RawRow(str(source.path), lines.number, source.name, [line.rstrip("\r\n")])
