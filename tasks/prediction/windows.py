"""An input file as windows of rows: large enough to sort by length, small enough that memory stays flat.

The same file always gives the same windows, so a prediction that was cut off goes on after the last one it finished.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

import polars as pl

from tasks.errors import InputError, quoted
from tasks.sources.decoding import Lines, open_decompressed
from tasks.sources.inputs import FORMATS, InputFile, suffixes_of
from tasks.sources.intake import Intake, RawRow, batched
from tasks.sources.readers import TABLE_READERS
from tasks.sources.settings import SourceSettings
from tasks.text.classifier import MAX_CHARACTERS, fault_of_text

WINDOW_ROWS = 10_000
WINDOW_BYTES = 16 * 2**20


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Where a table holds its texts and, if they are known, its true labels."""

    text: str = "text"
    label: str | None = None


@dataclass(frozen=True, kw_only=True)
class Window:
    """Consecutive rows: `rows` (line, text, label) can be classified, `faults` say why others cannot."""

    rows: pl.DataFrame
    faults: list[dict]


@dataclass
class PredictionIntake(Intake):
    """An intake that keeps every refused row, until `take_faults` hands them on."""

    faults: list[InputError] = field(default_factory=list)

    def reject(self, error: InputError) -> None:
        """Keep a refused row and go on."""
        self.faults.append(error)

    def take_faults(self) -> list[InputError]:
        """Return the rows refused since the last call."""
        taken, self.faults = self.faults, []
        return taken


def named_input(path: Path, columns: Columns) -> InputFile:
    """Tell by its suffix how a file is read.

    Raises InputError (E-SRC-001, E-SRC-003, E-SRC-011).
    """
    suffix, compression = suffixes_of(path.name)
    kind = FORMATS.get(suffix, "")
    if not path.exists():
        raise InputError("E-SRC-001", "does not exist.", fix="check the path.", file=path)
    if not path.is_file() or kind in ("", "archive"):
        suffixes = ", ".join(suffix for suffix, kind in FORMATS.items() if kind != "archive")
        raise InputError(
            "E-SRC-003",
            f"got {quoted(path.suffix)}, expected a file that ends in one of {suffixes}.",
            fix="convert the file.",
            file=path,
        )
    if kind == "document" and columns.label is not None:
        raise InputError(
            "E-SRC-011",
            "holds a text per line and no columns, but a label column is named.",
            fix="leave the label column out, or use a table.",
            file=path,
        )
    return InputFile(path, path.name, kind, compression)


def read_windows(source: InputFile, columns: Columns) -> Iterator[Window]:
    """Yield the windows of a file, at least one; what a reader finds wrong with a row is among the faults."""
    intake = PredictionIntake(_intake_settings(source, columns))
    reader = _read_lines if source.kind == "document" else TABLE_READERS[source.kind]
    label = pl.col("label") if columns.label else pl.lit(None, dtype=pl.String).alias("label")
    frames = (frame.select("line", "text", label) for frame in reader(source, intake))
    for frame in gather(frames):
        yield part_readable(frame, intake.take_faults())


def gather(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Join frames until they hold 10,000 rows or about 16 MB of text; yields one frame at least."""
    gathered: list[pl.DataFrame] = []
    for frame in frames:
        gathered.append(frame)
        num_bytes = sum(int(part["text"].str.len_bytes().sum()) for part in gathered)
        if sum(part.height for part in gathered) >= WINDOW_ROWS or num_bytes >= WINDOW_BYTES:
            yield pl.concat(gathered)
            gathered = [frame.clear()]
    yield pl.concat(gathered)


def part_readable(rows: pl.DataFrame, refused: list[InputError]) -> Window:
    """Part rows into those that can be classified and the faults of all others, in the order of their lines."""
    faults = [{"row": fault.row, "code": fault.code, "reason": fault.problem} for fault in refused]
    is_bad = pl.col("text").is_null() | (pl.col("text").str.len_chars() > MAX_CHARACTERS)
    for row, text in rows.filter(is_bad).select("line", "text").iter_rows():
        faults.append({"row": row, "code": "E-TEXT-001", "reason": fault_of_text(text)})
    return Window(rows=rows.filter(~is_bad), faults=sorted(faults, key=itemgetter("row")))


def _intake_settings(source: InputFile, columns: Columns) -> SourceSettings:
    """Have the readers of the stage `ingest` find texts; without labels, they take the text for the label, too."""
    settings = SourceSettings(path=str(source.path), on_bad_rows="skip")
    return settings.model_copy(update={"text_column": columns.text, "label_column": columns.label or columns.text})


def _read_lines(source: InputFile, intake: Intake) -> Iterator[pl.DataFrame]:
    """Yield a text file's lines as documents."""
    return batched(_line_rows(source, intake), ["text"])


def _line_rows(source: InputFile, intake: Intake) -> Iterator[RawRow]:
    with open_decompressed(source, intake) as stream:
        lines = Lines(stream, source, intake)
        for line in lines:
            fault = lines.take_fault()
            if fault:
                intake.reject(fault)
            else:
                yield RawRow(str(source.path), lines.number, source.name, [line.rstrip("\r\n")])
