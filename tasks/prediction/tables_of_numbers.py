"""Prediction from tables: read and checked once, stored, and answered in windows of what belongs together."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from rnnmodels.durable import sync
from tasks.contract.notes import Notes
from tasks.contract.profile import Profile
from tasks.contract.table_model import Refusal, TableModel
from tasks.errors import InputError
from tasks.prediction.counts import AnsweredFile, describe_fault
from tasks.prediction.job import Columns, Job, Target, check_job
from tasks.prediction.remedies import in_words_of_prediction, refuse_all
from tasks.prediction.resumable import answer_file
from tasks.prediction.tally import Answers, Tally
from tasks.prediction.unfinished import Unfinished
from tasks.progress import Progress, emit
from tasks.registry.registered_model import RegisteredModel
from tasks.sources.inputs import find_inputs
from tasks.sources.intake import Intake
from tasks.sources.settings import FileSettings

NO_ROWS = "E-DATA-001"
STORED = "stored"
WINDOW_ROWS = 20_000


@dataclass(frozen=True, kw_only=True)
class AnsweredTable(AnsweredFile):
    """What became of a table; `done` says what a model does with its items."""

    done: ClassVar[str] = "answered"

    def describe_answers(self) -> str:
        """Say it in a line."""
        return f"{self.output}: {self.rows:,} {self.items} {self.done} by {self.model} {self.pace}."

    def counts(self) -> dict[str, int]:
        """An answer for each item."""
        return {self.items: self.rows}

    @classmethod
    def count(cls, answers: pl.DataFrame) -> dict[str, int]:  # noqa: ARG003 (a kind may count more than rows)
        """Count what a kind tells of the answers of a window, by the names of its own fields."""
        return {}


@dataclass(kw_only=True)
class TableWork:
    """A model at a table; of what no window of this call could answer, the number and the first reason are kept."""

    job: Job
    unfinished: Unfinished
    model: TableModel
    label: str
    told: type[AnsweredTable]
    num_refused: int = 0
    first_refusal: InputError | None = None

    @property
    def settings(self) -> FileSettings:
        """How the table is read."""
        return self.model.serving.settings_for(self.job.source, **self.job.order.source)

    def answer(self, skip: int) -> Iterator[Answers]:
        """Answer the windows of the table after the first `skip`; the first tells what was refused while reading."""
        stored, settings = self._store_once(), self.settings
        emit(Progress("predict", note=f"answering with {self.label}"))
        windows = self.model.read_windows(self.unfinished.folder / stored["file"], WINDOW_ROWS)
        for number, rows in enumerate(windows):
            if number >= skip:
                yield self._answer_window(rows, settings, stored if number == 0 else {"faults": [], "counts": {}})

    def tell(self, total: Tally) -> dict[str, Any]:
        """What was done to the rows that are used.

        Raises the first refusal if nothing was answered.
        """
        stored = self._store_once()
        if not total.tables:
            first = InputError(**stored["first_refusal"]) if stored["first_refusal"] else self.first_refusal
            assert first is not None, "rows that are neither answered nor refused"
            number = stored["counts"]["refused_items"] + self.num_refused
            raise in_words_of_prediction(refuse_all(first, number), self.settings)
        return {"warnings": [*stored["warnings"], *self.model.describe(total.notes)]}

    def _answer_window(self, rows: pl.DataFrame, settings: FileSettings, stored: Mapping[str, Any]) -> Answers:
        refusals: list[Refusal] = []
        profiles: list[Profile] = []
        notes, answers = Notes(), None
        try:
            answers = self.model.answer_window(rows, settings, refusals=refusals, notes=notes, profiles=profiles)
        except InputError as error:
            if not refusals or error is not refusals[0].error:
                raise in_words_of_prediction(error, settings) from None
            self.num_refused += len(refusals)
            self.first_refusal = self.first_refusal or error
        counts = dict(stored["counts"])
        counts["refused_items"] = counts.get("refused_items", 0) + len(refusals)
        if answers is not None:
            counts |= {"rows": answers.height, **self.told.count(answers)}
            answers = answers.with_columns(model=pl.lit(self.label))
        faults = [*stored["faults"], *(describe_fault(error, series=series) for series, error in refusals)]
        profile = sum(profiles, Profile.empty()) if profiles else None
        return Answers(table=answers, faults=faults, counts=counts, notes=notes, profile=profile)

    def _store_once(self) -> dict[str, Any]:
        """Read the table unless an earlier call has: its faults, the counts of its rows, and what was done to them."""
        return self.unfinished.recall(STORED) or self._store()

    def _store(self) -> dict[str, Any]:
        refusals: list[Refusal] = []
        refused: list[InputError] = []
        settings = self.settings
        intake = Intake(settings, refused=refused)
        try:
            path = self.model.store_rows(self.unfinished.folder, find_inputs(settings), intake, refusals)
        except InputError as error:
            raise in_words_of_prediction(_nothing_stored(error, refusals, intake), settings) from None
        sync(path)
        rows = sorted(refused, key=lambda error: error.row or 0)
        faults = [describe_fault(error, row=error.row) for error in rows]
        faults += [describe_fault(error, series=series) for series, error in refusals]
        stored = {
            "file": path.name,
            "faults": faults,
            "first_refusal": refusals[0].error.fields() if refusals else None,
            "counts": _count_rows(intake, len(refusals)),
            "warnings": intake.warnings,
        }
        self.unfinished.record(STORED, [path], stored)
        return stored


def predict_table(
    model: str,
    input_path: Path,
    output_path: Path,
    *,
    load: Callable[[Path], TableModel],
    told: type[AnsweredTable],
    text_column: str | None = None,
    label_column: str | None = None,
    source: Mapping[str, object] | None = None,
    overwrite: bool = False,
) -> AnsweredTable:
    """Answer a table with a registered model; see `parse_reference` for what names one.

    The input is a table with the columns that the model was trained on, except the label, read as the training rows
    were but for the settings of their `source` that are other for this file. The output is CSV, JSON Lines or Parquet
    by its suffix: the columns of the kind's answers, and `model`. Rows that cannot be read, and what a row belongs to
    and cannot be answered as a whole, go to `<output>.errors.jsonl`.

    Raises what `check_job` and `answer_file` do; InputError also for what the reading of training rows raises, for
    columns of texts (E-OUT-004), and for what the kind refuses if nothing is left.
    """
    refuse_columns_of_texts(text_column, label_column)
    target = Target(source=input_path, output=output_path, overwrite=overwrite)
    job = check_job(model, target, columns=Columns(), source=source or {}, code=told.__module__)

    def begin(job: Job, registered: RegisteredModel, unfinished: Unfinished) -> TableWork:
        loaded = load(registered.parts)
        return TableWork(job=job, unfinished=unfinished, model=loaded, label=registered.label, told=told)

    return answer_file(job, begin, told)


def _count_rows(intake: Intake, num_refused: int) -> dict[str, int]:
    """What became of the rows, as `AnsweredFile` tells it."""
    assert intake.refused is not None, "a prediction answers for each row"
    left_out, skipped = intake.filtered.total(), intake.blank_lines + intake.comment_lines
    return {
        "rows_read": intake.kept + intake.foreign + len(intake.refused) + left_out + skipped,
        "foreign": intake.foreign,
        "left_out": left_out,
        "blank_lines": intake.blank_lines,
        "comment_lines": intake.comment_lines,
        "merged": intake.merged,
        "refused_items": num_refused,
    }


def _nothing_stored(error: InputError, refusals: list[Refusal], intake: Intake) -> InputError:
    """The error of a table of which nothing is left: where all was refused, the first of these refusals."""
    if refusals and error is refusals[0].error:
        return refuse_all(error, len(refusals))
    if error.code == NO_ROWS and intake.refused and not intake.filtered.total():
        return refuse_all(intake.refused[0], len(intake.refused))
    return error


def refuse_columns_of_texts(text_column: str | None, label_column: str | None) -> None:
    """Refuse options that only a classifier of texts knows.

    Raises InputError (E-OUT-004).
    """
    if text_column is not None or label_column is not None:
        raise InputError(
            "E-OUT-004",
            "this model reads numbers, but a text or label column is named.",
            fix="omit --text-column and --label-column; the columns are those that the model was trained on.",
        )
