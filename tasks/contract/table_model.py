"""A registered model that reads tables: what a prediction from a file, and the model's own answers, ask of it.

This module travels with registered models, so it knows neither Prefect nor MLflow.
"""

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import polars as pl

from tasks.contract.notes import Notes
from tasks.contract.profile import Profile
from tasks.errors import InputError
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake
from tasks.sources.served_source import ServedSource
from tasks.sources.settings import FileSettings

SourceT = TypeVar("SourceT", bound=FileSettings)


class Refusal(NamedTuple):
    """A series, and why it was not answered."""

    series: str
    error: InputError


class TableModel(ABC, Generic[SourceT]):
    """A model that stores what it reads, and answers it in parts as it does at once; `serving` says how it reads."""

    if TYPE_CHECKING:

        @property
        def serving(self) -> ServedSource[SourceT]:
            """How it reads rows."""

    @abstractmethod
    def store_rows(self, folder: Path, inputs: Inputs, intake: Intake[SourceT], refusals: list[Refusal] | None) -> Path:
        """Read files, checked as the training rows were, into one of Parquet, in the order in which they are answered.

        What was done to the rows is told to the intake; what cannot be answered goes to a list `refusals`, without
        which the first is raised.
        """

    @abstractmethod
    def answer_window(
        self,
        rows: pl.DataFrame,
        settings: SourceT,
        *,
        refusals: list[Refusal] | None,
        notes: Notes,
        profiles: list[Profile] | None = None,
    ) -> pl.DataFrame:
        """Answer stored rows that were read by these settings.

        With a list `refusals` what cannot be answered goes there, and the first is raised if nothing is left. What the
        rows look like is appended to a list `profiles`, if the kind watches it.
        """

    def read_windows(self, path: Path, max_rows: int) -> Iterator[pl.DataFrame]:
        """Yield stored rows in parts that can be answered apart, of about `max_rows` rows: here each row can."""
        return pl.read_parquet(path).iter_slices(max_rows)

    def describe(self, notes: Notes) -> list[str]:  # noqa: ARG002 (a kind may note something)
        """Say what was noted of rows."""
        return []

    def answer_files(
        self,
        inputs: Inputs,
        *,
        refusals: list[Refusal] | None = None,
        intake: Intake[SourceT] | None = None,
        profiles: list[Profile] | None = None,
        **changed: object,
    ) -> pl.DataFrame:
        """Answer all that files hold; `changed` settings of the source are other than in training.

        An `intake` brings its own, and is told what was done.
        """
        intake, notes = intake or Intake(self.serving.settings_for(inputs.files[0].path, **changed)), Notes()
        rows = self.read_files(inputs, intake, refusals)
        answers = self.answer_window(rows, intake.settings, refusals=refusals, notes=notes, profiles=profiles)
        intake.warnings += self.describe(notes)
        return answers

    def read_files(self, inputs: Inputs, intake: Intake[SourceT], refusals: list[Refusal] | None) -> pl.DataFrame:
        """Read files into the rows that are answered, as `store_rows` does."""
        with tempfile.TemporaryDirectory() as folder:
            return pl.read_parquet(self.store_rows(Path(folder), inputs, intake, refusals))
