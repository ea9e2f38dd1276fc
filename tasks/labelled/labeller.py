"""A fitted classifier as it is served, whatever it reads: rows in, a probability per class out.

This module travels with every registered classifier, so it knows neither Prefect nor MLflow.
"""

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np
import polars as pl

from tasks.contract.profile import Profile, Watch
from tasks.labelled.calibration import calibrated_probabilities, join_logits
from tasks.labelled.profile import WATCH, profile_rows
from tasks.labelled.summaries import LABELS_FILE
from tasks.labelled.truncation import truncated
from tasks.registry.served_parts import read_serving, write_serving
from tasks.sources.served_source import ServedSource
from tasks.sources.settings import FileSettings

if TYPE_CHECKING:
    from rnnmodels.classifiers.classifier import RecurrentClassifier

NETWORK = ("model.safetensors", "model.json")

RowsT = TypeVar("RowsT")
RowsT_contra = TypeVar("RowsT_contra", contravariant=True)
SourceT = TypeVar("SourceT", bound=FileSettings)


@dataclass(frozen=True, kw_only=True)
class LabellerServing(ServedSource[SourceT]):
    """How a classifier reads rows: as its source did, steps kept, softmax temperature, padded steps per batch.

    scales: what the logits of the network and of the linear model that it is joined with are multiplied by; None where
    the network answers alone.
    """

    name: str
    max_length: int
    keep: str
    temperature: float
    batch_steps: int
    scales: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class ReadRows:
    """Rows as a model reads them: `sequences` of steps, cut as in training, and what is watched, `values` [n] by name.

    The values tell what truncation would hide. linear: logits [n, classes] of a linear model that the network is joined
    with.
    """

    sequences: list[np.ndarray]
    values: dict[str, np.ndarray]
    linear: np.ndarray | None = None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.sequences)

    def pick(self, rows: np.ndarray) -> "ReadRows":
        """Some of the rows, by their positions."""
        return ReadRows(
            sequences=[self.sequences[row] for row in rows],
            values={name: values[rows] for name, values in self.values.items()},
            linear=None if self.linear is None else self.linear[rows],
        )


class LinearModel(Protocol[RowsT_contra]):
    """What a network may be joined with."""

    def logits(self, rows: RowsT_contra, /) -> np.ndarray:
        """Logits [n, classes] of rows, each by itself."""


@dataclass(frozen=True, kw_only=True)
class Labeller(ABC, Generic[RowsT]):
    """A model in evaluation mode with the labels it was fitted with; a kind says how it reads rows.

    Its folder holds the network, the files of the stage `encode`, and `serving.json`. encoder_files: those files.
    linear_files: those of a linear model that the network may be joined with.
    """

    kind: ClassVar[str]
    serving_type: ClassVar[type[LabellerServing[Any]]]
    encoder_files: ClassVar[tuple[str, ...]] = (LABELS_FILE,)
    linear_files: ClassVar[tuple[str, ...]] = ()
    watch: ClassVar[Watch] = WATCH

    model: "RecurrentClassifier"
    labels: tuple[str, ...]
    serving: Any
    linear: LinearModel[RowsT] | None = None

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a folder after checking the SHA-256 of each file.

        Raises IntegrityError (E-INT-001).
        """
        stored = read_serving(folder)
        fields = {field.name for field in dataclasses.fields(cls.serving_type)} & stored.keys()
        serving = cls.serving_type(**{name: stored[name] for name in fields})
        return cls(
            model=cls.load_network(folder),
            linear=None if serving.scales is None else cls.load_linear(folder),
            labels=tuple(json.loads((folder / LABELS_FILE).read_bytes())),
            serving=serving,
            **cls.load_encoder(folder),
        )

    @classmethod
    def load_network(cls, folder: Path) -> "RecurrentClassifier":
        """Read the network: one of ids, unless a kind says otherwise."""
        from rnnmodels.classifiers.classifier import SequenceClassifier
        from rnnmodels.training.checkpoint import load_model

        return load_model(SequenceClassifier, folder)

    @classmethod
    def load_encoder(cls, folder: Path) -> dict[str, Any]:  # noqa: ARG003 (nothing need be learned to encode)
        """Read what rows are encoded by, as fields of the class."""
        return {}

    @classmethod
    def load_linear(cls, folder: Path) -> LinearModel[RowsT]:
        """Read the linear model that the network is joined with."""
        raise NotImplementedError(f"{cls.__name__} is joined with nothing, but {folder} is")

    @classmethod
    def complete(cls, folder: Path, serving: LabellerServing[Any]) -> None:
        """Complete a folder that holds network and encoder with `serving.json`."""
        model, parts = f"{cls.__module__}:{cls.__qualname__}", (*NETWORK, *cls.encoder_files)
        parts = parts if serving.scales is None else (*parts, *cls.linear_files)
        write_serving(folder, kind=cls.kind, serving=dataclasses.asdict(serving), parts=parts, model=model)

    @classmethod
    @abstractmethod
    def take(cls, rows: pl.DataFrame) -> RowsT:
        """What a model reads of rows as a split has them."""

    @abstractmethod
    def read(self, rows: RowsT) -> ReadRows:
        """Encode and cut rows, once for all that is asked of them; raises InputError for one that cannot be read."""

    def cut(self, steps: pl.Expr, size: int = 1) -> pl.Expr:
        """Cut lists of steps as in training."""
        return truncated(steps, max_length=self.serving.max_length, keep=self.serving.keep, size=size)

    def score(self, read: ReadRows) -> np.ndarray:
        """Calibrated probabilities [n, classes] of rows that were read."""
        return calibrated_probabilities(self._logits(read), self.serving.temperature)

    def predict_logits(self, rows: RowsT) -> np.ndarray:
        """Logits [n, classes] of rows, in their order; raises as `read` does."""
        return self._logits(self.read(rows))

    def predict_probabilities(self, rows: RowsT) -> np.ndarray:
        """Calibrated probabilities [n, classes] of rows; raises as `read` does."""
        return self.score(self.read(rows))

    def join(self, network: np.ndarray, read: ReadRows) -> np.ndarray:
        """Logits [n, classes] of the whole model, given those of the network."""
        return network if read.linear is None else join_logits(network, read.linear, self.serving.scales)

    def profile(
        self, read: ReadRows, probabilities: np.ndarray, true_labels: Sequence[str | None] | None = None
    ) -> Profile:
        """Count what was read and answered; a true label is None where it is unknown."""
        told = {"labels": self.labels, "true_labels": true_labels, "watch": self.watch}
        return profile_rows(read.values, probabilities=probabilities, **told)

    def tabulate(self, probabilities: np.ndarray) -> dict[str, pl.Series]:
        """Columns of answers: `label`, the most probable one, and `probability_<label>` for every label."""
        best = pl.Series(self.name_best(probabilities), dtype=pl.String)
        columns = zip(self.labels, probabilities.T, strict=True)
        shares = {f"probability_{label}": pl.Series(column) for label, column in columns}
        return {"label": best, **shares}

    def to_answers(self, probabilities: np.ndarray) -> list[dict[str, Any]]:
        """Answers one by one: `label`, the most probable one, and `probabilities` by label."""
        shares = [dict(zip(self.labels, row, strict=True)) for row in probabilities.tolist()]
        best = self.name_best(probabilities)
        return [{"label": label, "probabilities": of_row} for label, of_row in zip(best, shares, strict=True)]

    def name_best(self, probabilities: np.ndarray) -> list[str]:
        """The most probable label of each row."""
        return [self.labels[index] for index in probabilities.argmax(axis=1)]

    def _logits(self, read: ReadRows) -> np.ndarray:
        from rnnmodels.classifiers.inference import predict_sequences

        return self.join(predict_sequences(self.model, read.sequences, batch_steps=self.serving.batch_steps), read)
