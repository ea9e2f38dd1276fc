"""Batch scoring: a file of raw texts in, a line per text out that says what it costs the model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from tasks.errors import InputError, plural
from tasks.kinds.language.profile import profile_texts
from tasks.kinds.language.served_language_model import LanguageServing, ServedLanguageModel
from tasks.kinds.language.text_reader import MAX_CHARACTERS
from tasks.prediction.counts import AnsweredFile
from tasks.prediction.job import Columns, Job, Target, check_job
from tasks.prediction.resumable import answer_file
from tasks.prediction.tally import Answers, Tally
from tasks.prediction.unfinished import Unfinished
from tasks.registry.registered_model import RegisteredModel
from tasks.text.windows import KNOWN_TO_LINES, TextInput, Window, name_input, read_windows, refuse_columns

# Scored in seconds, so that an interrupted call loses no more.
WINDOW_BYTES = 2**19


@dataclass(frozen=True, kw_only=True)
class ScoredFile(AnsweredFile):
    """What became of a file of texts, and what they cost together."""

    num_chars: int
    nats: float

    @property
    def nats_per_char(self) -> float | None:
        """What a character costs on average; None if there is none."""
        return self.nats / self.num_chars if self.num_chars else None

    def describe_answers(self) -> str:
        """Say it in a line."""
        kept = f", {self.kept_rows:,} of them in an earlier call" if self.kept_rows else ""
        scored = plural(self.rows - self.bad, "text")
        together = "" if self.nats_per_char is None else f" at {self.nats_per_char:.4f} nats per character"
        return f"{self.output}: {scored} scored by {self.model}{together} ({self.wall_s:.1f} s{kept})."

    def counts(self) -> dict[str, int]:
        """Texts that were scored."""
        return {"texts scored": self.rows - self.bad}

    def as_json(self) -> dict[str, Any]:
        """Every count and path, for programs; paths are not yet text."""
        return super().as_json() | {"nats_per_char": self.nats_per_char}

    def table(self) -> dict[str, str | Path]:
        """Say it as names and values."""
        together = {} if self.nats_per_char is None else {"nats per character": f"{self.nats_per_char:.4f}"}
        return super().table() | together


@dataclass(frozen=True, kw_only=True)
class ScoringWork:
    """A language model and a file of texts that it scores."""

    job: Job
    model: ServedLanguageModel
    label: str

    def answer(self, skip: int) -> Iterator[Answers]:
        """Score the windows of the file after the first `skip`."""
        from rnnmodels.training.device import use_physical_cores

        use_physical_cores()
        source = open_texts(self.job.source, self.model.serving, self.job.order.columns, self.job.order.source)
        for number, window in enumerate(read_windows(source)):
            if number >= skip:
                yield self._answer_window(window)

    def tell(self, total: Tally) -> dict[str, Any]:
        """How many rows were read.

        Raises InputError (E-OUT-006) if `where` leaves out every row.
        """
        counts = total.counts
        if counts["left_out"] and not total.rows:
            raise InputError(
                "E-OUT-006",
                f"no rows are left: the `where` of training leaves out {plural(int(counts['left_out']), 'row')}.",
                fix="score all rows with --set source.where={}.",
            )
        read = total.rows + counts["left_out"] + counts["blank_lines"] + counts["comment_lines"]
        return {"rows_read": read}

    def _answer_window(self, window: Window) -> Answers:
        """Score a window; columns row, num_chars, num_tokens, nats, nats_per_char, perplexity, model."""
        read = self.model.reader.read(window.rows["text"].to_list())
        scores = self.model.score(read)
        table = scores.select(
            window.rows["line"].alias("row"),
            "num_chars",
            "num_tokens",
            "nats",
            nats_per_char=per(pl.col("nats"), pl.col("num_chars")),
            perplexity=per(pl.col("nats") - pl.col("spelling_nats"), pl.col("num_tokens")).exp(),
            model=pl.lit(self.label),
        )
        sums = scores.select(pl.col("num_chars").cast(pl.UInt64).sum(), pl.col("nats").sum()).row(0, named=True)
        num_rows = window.rows.height + len(window.faults)
        counts = {**window.aside, **sums, "rows": num_rows}
        return Answers(table=table, faults=window.faults, counts=counts, profile=profile_texts(read.ids, scores))


def per(total: pl.Expr, count: pl.Expr) -> pl.Expr:
    """A mean, null for none."""
    return pl.when(count > 0).then(total / count)


def open_texts(path: Path, serving: LanguageServing, columns: Columns, changed: Mapping[str, object]) -> TextInput:
    """Say how a file is read: as the training rows were, except for what the caller names or has `changed`.

    Raises InputError (E-SRC-003, E-SRC-011).
    """
    settings = serving.settings_for(path, **changed)
    file = name_input(path, settings)
    read = partial(TextInput, file=file, max_characters=MAX_CHARACTERS, window_bytes=WINDOW_BYTES)
    if file.kind == "document":
        refuse_columns(path, columns, changed, known={*KNOWN_TO_LINES, "documents"})
        return read(settings=settings.model_copy(update={"where": {}}), is_whole=not settings.reads_lines)
    texts = (columns.text,) if columns.text else settings.text_columns
    return read(settings=settings.model_copy(update={"text_columns": texts}))


def predict_file(
    model: str,
    input_path: Path,
    output_path: Path,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    source: Mapping[str, object] | None = None,
    overwrite: bool = False,
) -> ScoredFile:
    """Score every text of a file with a registered language model; see `parse_reference` for what names one.

    The input is a text file, as a whole or a document a line as in training, or CSV, TSV, JSON Lines or Parquet with a
    column of texts. The output is CSV, JSON Lines or Parquet by its suffix, with the columns `row` (line of the input,
    or number of a Parquet row from 1), `num_chars`, `num_tokens`, `nats`, `nats_per_char`, `perplexity` and `model`.
    Bad rows go to `<output>.errors.jsonl`.

    Raises what `check_job` and `answer_file` do; InputError also for a file that does not hold texts (E-SRC-003,
    E-SRC-011), for a column of labels (E-OUT-004), and where no row is wanted (E-OUT-006).
    """
    if label_column is not None:
        raise InputError(
            "E-OUT-004", "a language model reads no labels, but a column is named.", fix="omit --label-column."
        )
    if input_path.exists() and not input_path.is_file():
        raise InputError("E-SRC-003", "is not a file.", fix="name a single file of texts.", file=input_path)
    target = Target(source=input_path, output=output_path, overwrite=overwrite)
    job = check_job(model, target, columns=Columns(text=text_column), source=source or {}, code=__name__)
    return answer_file(job, _begin, ScoredFile)


def _begin(job: Job, registered: RegisteredModel, unfinished: Unfinished) -> ScoringWork:  # noqa: ARG001 (texts are read as they are scored)
    return ScoringWork(job=job, model=ServedLanguageModel.load(registered.parts), label=registered.label)
