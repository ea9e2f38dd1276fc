"""Prediction from tables of numbers, answered as a whole: the output has its name only when it is done."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import polars as pl

from rnnmodels.durable import sync
from tasks import registry
from tasks.errors import InputError
from tasks.prediction.job import refuse_existing, refuse_unwritable
from tasks.prediction.tables import write_table
from tasks.progress import Progress, emit
from tasks.sources.inputs import Inputs, find_inputs
from tasks.sources.settings import FileSettings


class Serving(Protocol):
    """How a model reads its rows."""

    def settings_for(self, path: Path, **changed: object) -> FileSettings:
        """The settings of the training rows' source, for other files."""


class NumberModel(Protocol):
    """A served model that reads tables of numbers."""

    serving: Serving

    def answer_files(self, inputs: Inputs, **changed: object) -> pl.DataFrame:
        """Answer what the files hold."""


@dataclass(frozen=True, kw_only=True)
class AnsweredTable(ABC):
    """What became of a table of numbers: `rows` answers in `output`; a row that cannot be read refuses the whole."""

    model: str
    rows: int
    output: Path
    wall_s: float
    bad: ClassVar[int] = 0
    errors: ClassVar[Path | None] = None

    @classmethod
    def count(cls, answers: pl.DataFrame) -> dict[str, int]:  # noqa: ARG003 (a kind may count more than rows)
        """Count what a kind tells of its answers, by the names of its own fields."""
        return {}

    @abstractmethod
    def describe(self) -> str:
        """Say it in a line or two."""

    @abstractmethod
    def counts(self) -> dict[str, int]:
        """What is counted, by what a person calls it."""

    def table(self) -> dict[str, str | Path]:
        """Say it as names and values."""
        counted = {name: f"{count:,}" for name, count in self.counts().items()}
        return {"output": self.output, "model": self.model, **counted, "seconds": f"{self.wall_s:,.1f}"}


def predict_table(
    model: str,
    input_path: Path,
    output_path: Path,
    *,
    load: Callable[[Path], NumberModel],
    told: type[AnsweredTable],
    text_column: str = "text",
    label_column: str | None = None,
    overwrite: bool = False,
) -> AnsweredTable:
    """Answer a table with a registered model; see `parse_reference` for what names one.

    The input is a table with the columns that the model was trained on, the label aside. The output is CSV, JSON Lines
    or Parquet by its suffix: the columns of the kind's answers, and `model`.

    Raises InputError for the files (E-OUT-001, E-OUT-002, and what the reading of training rows raises), for columns of
    texts (E-OUT-004), for what the kind refuses, and for the model (E-NAME-001, E-REG-001, E-REG-002); IntegrityError
    for a damaged model (E-INT-001, E-REG-003).
    """
    started_s = time.perf_counter()
    refuse_columns_of_texts(text_column, label_column)
    answers = write_answers(model, input_path, output_path, load=load, overwrite=overwrite)
    wall_s = round(time.perf_counter() - started_s, 3)
    known = {"model": answers["model"][0], "rows": answers.height, "output": output_path, "wall_s": wall_s}
    return told(**known, **told.count(answers))


def write_answers(
    model: str, input_path: Path, output_path: Path, *, load: Callable[[Path], NumberModel], overwrite: bool
) -> pl.DataFrame:
    """Answer a table with a registered model and write the answers, with the column `model`; returns them.

    Raises InputError (E-OUT-001, E-OUT-002, E-NAME-001, E-REG-001, E-REG-002), IntegrityError (E-INT-001, E-REG-003)
    and what the reading of training rows raises.
    """
    refuse_unwritable(output_path)
    refuse_existing(output_path, source=input_path, overwrite=overwrite)
    registered = registry.resolve_model(model)
    loaded = load(registered.parts)
    inputs = find_inputs(loaded.serving.settings_for(input_path))
    emit(Progress("predict", note=f"answering with {registered.label}"))
    answers = loaded.answer_files(inputs).with_columns(model=pl.lit(registered.label))
    draft = output_path.with_name(f".{output_path.stem}.partial{output_path.suffix}")
    write_table(answers, draft, is_first=True)
    draft.replace(output_path)
    sync(output_path.parent)
    return answers


def refuse_columns_of_texts(text_column: str, label_column: str | None) -> None:
    """Refuse options that only a classifier of texts knows.

    Raises InputError (E-OUT-004).
    """
    if text_column != "text" or label_column is not None:
        raise InputError(
            "E-OUT-004",
            "this model reads numbers, but a column of texts or labels is named.",
            fix="leave --text-column and --label-column out; the columns are those that the model was trained on.",
        )
