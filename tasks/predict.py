"""Batch prediction: a file of raw texts in, one line per text out, bad rows aside with their reasons.

Rows stream through in chunks, so memory does not grow with the file; a chunk is scored in order of length.
The result appears under its name only when it is complete.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

import numpy as np
import polars as pl

from tasks import registry
from tasks.errors import InputError, quoted
from tasks.progress import Progress, emit
from tasks.sources.decoding import Lines, open_decompressed
from tasks.sources.inputs import FORMATS, InputFile, suffixes_of
from tasks.sources.intake import Intake, RawRow, batched
from tasks.sources.readers import TABLE_READERS
from tasks.sources.settings import SourceSettings
from tasks.text_classifier import TextClassifier, fault_of_text


@dataclass(frozen=True, kw_only=True)
class PredictedFile:
    """What became of a file: `bad` rows are in `errors`, all others in `output`."""

    model: str
    rows: int
    bad: int
    output: Path
    errors: Path | None
    wall_s: float


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


def predict_file(
    model: str, input_path: Path, output_path: Path, *, text_column: str = "text", overwrite: bool = False
) -> PredictedFile:
    """Classify every text of a file with a registered model; see `parse_reference` for what names one.

    The input is text with one document a line, or CSV, TSV, JSON Lines or Parquet with a column of texts; the
    output is CSV, JSON Lines or Parquet by its suffix, with the columns `row` (line of the input, or number of a
    Parquet row from 1), `label`, `probability_<class>` and `model`. Bad rows go to `<output>.errors.jsonl`.

    Raises InputError for the files (E-OUT-001, E-OUT-002, E-SRC-001, E-SRC-003 and what the readers raise) and for
    the model (E-NAME-001, E-REG-001, E-REG-002), IntegrityError (E-INT-001, E-REG-003) for a damaged one.
    """
    started = time.perf_counter()
    source = named_input(input_path)
    errors_path = output_path.with_name(f"{output_path.name}.errors.jsonl")
    check_outputs(output_path, errors_path, source=input_path, overwrite=overwrite)
    registered = registry.resolve_model(model)
    classifier = TextClassifier.load(registered.classifier)
    intake = PredictionIntake(intake_settings(input_path, text_column))
    with open_table(output_path) as write_rows, open_errors(errors_path) as write_faults:
        num_rows = num_bad = 0
        for chunk in read_texts(source, intake):
            readable, faults = part_readable(chunk, intake)
            write_rows(score_texts(classifier, readable, model=registered.label))
            write_faults(faults)
            num_bad, num_rows = num_bad + len(faults), num_rows + len(faults) + readable.height
            emit(Progress(stage="predict", done=num_rows))
    if not num_bad:
        errors_path.unlink()
    return PredictedFile(
        model=registered.label,
        rows=num_rows,
        bad=num_bad,
        output=output_path,
        errors=errors_path if num_bad else None,
        wall_s=round(time.perf_counter() - started, 3),
    )


def named_input(path: Path) -> InputFile:
    """Tell by its suffix how a file is read.

    Raises InputError (E-SRC-001, E-SRC-003).
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
    return InputFile(path, path.name, kind, compression)


def check_outputs(output: Path, errors: Path, *, source: Path, overwrite: bool) -> None:
    """Refuse an output that cannot or must not be written.

    Raises InputError (E-OUT-001, E-OUT-002).
    """
    if output.suffix not in TABLE_WRITERS:
        expected = ", ".join(TABLE_WRITERS)
        raise InputError(
            "E-OUT-002",
            f"got suffix {quoted(output.suffix)}, expected one of {expected}.",
            fix="name the output by its format.",
            file=output,
        )
    if not output.parent.is_dir():
        raise InputError("E-OUT-002", "lies in a folder that does not exist.", fix="create the folder.", file=output)
    for path in (output, errors):
        if path.exists() and (not overwrite or path.samefile(source)):
            raise InputError("E-OUT-001", "exists already.", fix="name another output, or use --overwrite.", file=path)


def intake_settings(path: Path, text_column: str) -> SourceSettings:
    """Ask the readers of the stage `ingest` for texts alone: what they take for the label is the text again."""
    settings = SourceSettings(path=str(path), on_bad_rows="skip")
    return settings.model_copy(update={"text_column": text_column, "label_column": text_column})


def read_texts(source: InputFile, intake: PredictionIntake) -> Iterator[pl.DataFrame]:
    """Yield `line` and `text` in chunks; refused rows stay with the intake."""
    reader = read_lines if source.kind == "document" else TABLE_READERS[source.kind]
    for frame in reader(source, intake):
        yield frame.select("line", "text")


def read_lines(source: InputFile, intake: Intake) -> Iterator[pl.DataFrame]:
    """Yield a text file's lines as documents."""
    return batched(_line_rows(source, intake), ["text"])


def part_readable(chunk: pl.DataFrame, intake: PredictionIntake) -> tuple[pl.DataFrame, list[dict]]:
    """Part a chunk into rows that can be classified, and the faults of the others in the order of their rows."""
    faults = [{"row": fault.row, "code": fault.code, "reason": fault.problem} for fault in intake.take_faults()]
    reasons = [fault_of_text(text) for text in chunk["text"]]
    for row, reason in zip(chunk["line"], reasons, strict=True):
        if reason is not None:
            faults.append({"row": row, "code": "E-TEXT-001", "reason": reason})
    readable = chunk.filter(pl.Series([reason is None for reason in reasons], dtype=pl.Boolean))
    return readable, sorted(faults, key=itemgetter("row"))


def score_texts(classifier: TextClassifier, texts: pl.DataFrame, *, model: str) -> pl.DataFrame:
    """Classify a chunk: columns row, label, one probability per class, model."""
    probabilities = classifier.predict_probabilities(texts["text"].to_list())
    labels = np.array(classifier.labels, dtype=object)[probabilities.argmax(axis=1)]
    columns = {f"probability_{label}": probabilities[:, index] for index, label in enumerate(classifier.labels)}
    return pl.DataFrame(
        {
            "row": texts["line"],
            "label": pl.Series(labels, dtype=pl.String),
            **columns,
            "model": pl.repeat(model, texts.height, dtype=pl.String, eager=True),
        }
    )


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Offer a temporary name beside a file and rename it when all went well; nothing is left otherwise."""
    unfinished = path.with_name(f".{path.name}.partial")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def open_table(path: Path) -> Iterator[Callable[[pl.DataFrame], None]]:
    """Offer a function that appends frames to a table; it appears under its name when the block ends well."""
    with replacing(path) as unfinished, TABLE_WRITERS[path.suffix](unfinished) as write:
        yield write


@contextlib.contextmanager
def open_errors(path: Path) -> Iterator[Callable[[list[dict]], None]]:
    """Offer a function that appends faults to a JSON Lines file, which appears when the block ends well."""
    with replacing(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        yield lambda faults: file.writelines(f"{json.dumps(fault, ensure_ascii=False)}\n" for fault in faults)


@contextlib.contextmanager
def _csv_writer(path: Path) -> Iterator[Callable[[pl.DataFrame], None]]:
    with path.open("wb") as file:
        yield lambda frame: frame.write_csv(file, include_header=file.tell() == 0)


@contextlib.contextmanager
def _jsonl_writer(path: Path) -> Iterator[Callable[[pl.DataFrame], None]]:
    with path.open("wb") as file:
        yield lambda frame: frame.write_ndjson(file)


@contextlib.contextmanager
def _parquet_writer(path: Path) -> Iterator[Callable[[pl.DataFrame], None]]:
    import pyarrow.parquet as pq

    with contextlib.ExitStack() as stack:
        writers: list[pq.ParquetWriter] = []

        def write(frame: pl.DataFrame) -> None:
            table = frame.to_arrow()
            if not writers:
                writers.append(stack.enter_context(pq.ParquetWriter(path, table.schema)))
            writers[0].write_table(table)

        yield write


TABLE_WRITERS = {".csv": _csv_writer, ".jsonl": _jsonl_writer, ".parquet": _parquet_writer}


def _line_rows(source: InputFile, intake: Intake) -> Iterator[RawRow]:
    with open_decompressed(source, intake) as stream:
        lines = Lines(stream, source, intake)
        for line in lines:
            fault = lines.take_fault()
            if fault:
                intake.reject(fault)
            else:
                yield RawRow(str(source.path), lines.number, source.name, [line.rstrip("\r\n")])
