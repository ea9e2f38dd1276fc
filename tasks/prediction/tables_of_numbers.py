"""Prediction from tables of numbers, answered as a whole: the output has its name only when it is done."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import polars as pl

from tasks.contract.profile import Profile
from tasks.errors import InputError, plural
from tasks.monitoring.seen import record_seen
from tasks.panel.refusals import Refusal
from tasks.prediction.counts import RowCounts, describe_fault, read_first_fault
from tasks.prediction.job import Target, refuse_unwritable
from tasks.prediction.remedies import in_words_of_prediction, refuse_all
from tasks.prediction.tables import write_faults, write_table
from tasks.prediction.unfinished import Unfinished, claimed
from tasks.progress import Progress, emit
from tasks.promotion import named_models
from tasks.sources.inputs import Inputs, find_inputs
from tasks.sources.intake import Intake
from tasks.sources.settings import FileSettings

NO_ROWS = "E-DATA-001"


class Serving(Protocol):
    """How a model reads its rows."""

    def settings_for(self, path: Path, **changed: object) -> FileSettings:
        """The settings of the training rows' source, for other files."""


class NumberModel(Protocol):
    """A served model that reads tables of numbers."""

    @property
    def serving(self) -> Serving:
        """How it reads rows."""

    def answer_files(
        self,
        inputs: Inputs,
        *,
        refusals: list[Refusal] | None = None,
        intake: Intake | None = None,
        profiles: list[Profile] | None = None,
    ) -> pl.DataFrame:
        """Answer what the files hold, read by an intake.

        Series that cannot be answered go to `refusals`, and what was seen goes to `profiles`, if the kind watches it.
        """


@dataclass(frozen=True, kw_only=True)
class AnsweredTable(RowCounts, ABC):
    """What became of a table of numbers: `rows` answers in `output`.

    `refused_series` cannot be answered; they are among the `bad` ones in `errors`. `warnings` say what was done to the
    rows that are used.
    """

    model: str
    rows: int
    output: Path
    errors: Path | None
    refused_series: int
    warnings: tuple[str, ...]
    wall_s: float

    @classmethod
    def count(cls, answers: pl.DataFrame) -> dict[str, int]:  # noqa: ARG003 (a kind may count more than rows)
        """Count what a kind tells of its answers, by the names of its own fields."""
        return {}

    @property
    def refused_rows(self) -> int:
        """Rows that are bad each by itself."""
        return self.bad - self.refused_series

    @abstractmethod
    def describe_answers(self) -> str:
        """Say in a line or two what was answered."""

    @abstractmethod
    def counts(self) -> dict[str, int]:
        """What is counted, by what a person calls it."""

    def describe(self) -> str:
        """Say it in a few lines."""
        return "\n".join([self.describe_answers(), self.describe_rows(), *self.warnings])

    def name_refused(self) -> str:
        """What could not be answered, with its number."""
        counts = {
            f"{self.refused_series:,} series": self.refused_series,
            plural(self.refused_rows, "row"): self.refused_rows,
        }
        return " and ".join(said for said, count in counts.items() if count)

    def table(self) -> dict[str, str | Path]:
        """Say it as names and values."""
        counted = {name: f"{count:,}" for name, count in self.counts().items()}
        facts = {"output": self.output, "model": self.model, **counted, "seconds": f"{self.wall_s:,.1f}"}
        facts |= self.row_table() | {"series refused": f"{self.refused_series:,}"}
        if self.errors is not None:
            facts["their reasons"] = self.errors
        return facts | {f"note {number}": warning for number, warning in enumerate(self.warnings, start=1)}


def predict_table(
    model: str,
    input_path: Path,
    output_path: Path,
    *,
    load: Callable[[Path], NumberModel],
    told: type[AnsweredTable],
    text_column: str | None = None,
    label_column: str | None = None,
    source: Mapping[str, object] | None = None,
    overwrite: bool = False,
) -> AnsweredTable:
    """Answer a table with a registered model; see `parse_reference` for what names one.

    The input is a table with the columns that the model was trained on, the label aside, read as the training rows
    were but for the settings of their `source` that are other for this file. The output is CSV, JSON Lines or Parquet
    by its suffix: the columns of the kind's answers, and `model`. Rows that cannot be read, and series that cannot be
    answered, go to `<output>.errors.jsonl`.

    Raises InputError for the files (E-OUT-001 to E-OUT-003, and what the reading of training rows raises), for columns
    of texts (E-OUT-004), for what the kind refuses if nothing is left, and for the model (E-NAME-001, E-REG-001,
    E-REG-002); IntegrityError for a damaged model (E-INT-001, E-REG-003).
    """
    started_s = time.perf_counter()
    refuse_columns_of_texts(text_column, label_column)
    refuse_unwritable(output_path)
    target = Target(source=input_path, output=output_path, overwrite=overwrite)
    with claimed(output_path) as draft:
        draft.clear()
        target.refuse_existing()
        answered = answer_table(model, input_path, load=load, changed=source or {})
        write_answers(answered, draft)
        draft.publish(target, bad=answered.bad)
        record_seen(answered.answers["model"][0], answered.profile, source="predict", batch=answered.digest)
    errors = target.errors if answered.bad else None
    return told(
        model=answered.answers["model"][0],
        rows=answered.answers.height,
        output=output_path,
        errors=errors,
        first_fault=read_first_fault(errors),
        refused_series=len(answered.refusals),
        warnings=tuple(answered.intake.warnings),
        wall_s=round(time.perf_counter() - started_s, 3),
        **answered.count_rows(),
        **told.count(answered.answers),
    )


class Answered(NamedTuple):
    """Answers, the series that have none and why, the rows that were refused, and the account of all.

    `profile` says what was seen in the files that have the `digest`.
    """

    answers: pl.DataFrame
    refusals: list[Refusal]
    refused: list[InputError]
    intake: Intake
    profile: Profile
    digest: str

    @property
    def bad(self) -> int:
        """Refused rows and series."""
        return len(self.refused) + len(self.refusals)

    def count_rows(self) -> dict[str, int]:
        """What became of the rows, as `RowCounts` tells it."""
        intake = self.intake
        left_out = intake.filtered.total()
        return {
            "rows_read": intake.kept + intake.foreign + len(self.refused) + left_out + intake.blank_lines,
            "foreign": intake.foreign,
            "bad": self.bad,
            "left_out": left_out,
            "blank_lines": intake.blank_lines,
            "merged": intake.merged,
        }


def answer_table(
    model: str, path: Path, *, load: Callable[[Path], NumberModel], changed: Mapping[str, object]
) -> Answered:
    """Answer a table with a registered model; its answers have the column `model`.

    Raises InputError (E-NAME-001, E-REG-001, E-REG-002), IntegrityError (E-INT-001, E-REG-003) and what the reading of
    training rows raises; if nothing can be answered, the first refusal.
    """
    registered = named_models.resolve_model(model)
    loaded = load(registered.parts)
    settings = loaded.serving.settings_for(path, **changed)
    refusals: list[Refusal] = []
    refused: list[InputError] = []
    profiles: list[Profile] = []
    inputs, intake = find_inputs(settings), Intake(settings, refused=refused)
    digest = inputs.digest()
    emit(Progress("predict", note=f"answering with {registered.label}"))
    try:
        answers = loaded.answer_files(inputs, refusals=refusals, intake=intake, profiles=profiles)
    except InputError as error:
        raise in_words_of_prediction(_nothing_answered(error, refusals, intake), settings) from None
    named = answers.with_columns(model=pl.lit(registered.label))
    profile = sum(profiles, Profile.empty())
    return Answered(answers=named, refusals=refusals, refused=refused, intake=intake, profile=profile, digest=digest)


def write_answers(answered: Answered, draft: Unfinished) -> None:
    """Write answers, and what could not be answered: refused rows in the order of the file, then series."""
    rows = sorted(answered.refused, key=lambda error: error.row or 0)
    faults = [describe_fault(error, row=error.row) for error in rows]
    faults += [describe_fault(refusal.error, series=refusal.series) for refusal in answered.refusals]
    write_table(answered.answers, draft.answers, is_first=True)
    write_faults(faults, draft.faults)


def _nothing_answered(error: InputError, refusals: list[Refusal], intake: Intake) -> InputError:
    """The error of a table without an answer: where each row or series was refused, the first of these refusals."""
    if refusals and error is refusals[0].error:
        return refuse_all([refusal.error for refusal in refusals])
    if error.code == NO_ROWS and intake.refused and not intake.filtered.total():
        return refuse_all(intake.refused)
    return error


def refuse_columns_of_texts(text_column: str | None, label_column: str | None) -> None:
    """Refuse options that only a classifier of texts knows.

    Raises InputError (E-OUT-004).
    """
    if text_column is not None or label_column is not None:
        raise InputError(
            "E-OUT-004",
            "this model reads numbers, but a column of texts or labels is named.",
            fix="leave --text-column and --label-column out; the columns are those that the model was trained on.",
        )
