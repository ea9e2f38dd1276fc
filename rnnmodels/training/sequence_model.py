"""What the trainer asks of a model and of its data; a new kind of problem brings both and leaves the trainer alone."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnmodels.config import Optimization, RecurrentArchitecture
from rnnmodels.memory.probe import Probe


class Batch(Protocol):
    """Rows that one update is made of."""

    @property
    def row(self) -> NDArray[np.integer]:
        """The rows' ids, for messages."""


class SequenceData(Protocol):
    """The rows of one split, in batches; `batch_size` is in the unit of the data (padded tokens, windows)."""

    @property
    def num_rows(self) -> int:
        """Rows in all."""

    @property
    def digest(self) -> str:
        """SHA-256 over the content."""

    @property
    def place(self) -> str:
        """Where the rows are stored, for messages."""

    def num_batches(self, batch_size: int) -> int:
        """Batches per epoch."""

    def batches(self, batch_size: int, *, seed: int | None = None, epoch: int = 0) -> Iterator[Batch]:
        """Yield the rows of an epoch, shuffled as a function of (seed, epoch); without a seed in stored order."""


@dataclass(frozen=True)
class Validation:
    """A model on rows kept back: the loss that picks the epoch, metrics for people, and a text in token ids, if any."""

    loss: float
    metrics: dict[str, float]
    sample: Sequence[int] = ()


ArchitectureT = TypeVar("ArchitectureT", bound=RecurrentArchitecture)
BatchT = TypeVar("BatchT", bound=Batch)
DataT = TypeVar("DataT", bound=SequenceData)
TrainingT = TypeVar("TrainingT", bound=Optimization)


class SequenceModel(nn.Module, ABC, Generic[ArchitectureT, BatchT, DataT, TrainingT]):
    """A recurrent network that can be trained; its initial weights are a function of its arguments alone."""

    architecture: ArchitectureT

    @abstractmethod
    def description(self) -> dict[str, object]:
        """JSON values from which `from_description` rebuilds this network, without weights."""

    @classmethod
    @abstractmethod
    def from_description(cls, description: Mapping[str, Any]) -> Self:
        """Build a network from its description; further keys are ignored."""

    @abstractmethod
    def check(self, data: DataT) -> None:
        """Raise ValueError naming the first row that the model cannot read."""

    @abstractmethod
    def loss(self, batch: BatchT, training: TrainingT) -> Tensor:
        """Mean loss of a batch, to be minimised."""

    @abstractmethod
    def validate(self, data: DataT, training: TrainingT) -> Validation:
        """Score every row once, without dropout."""

    def layers_from_top(self) -> Sequence[Sequence[nn.Parameter]]:
        """The weights by layer, from the output down, where layers may learn at rates of their own; else all as one."""
        return [list(self.parameters())]

    def carried(self) -> dict[str, Tensor]:
        """What the next batch of an epoch depends on besides the weights, such as the states of streams."""
        return {}

    def carry(self, carried: Mapping[str, Tensor]) -> None:
        """Take over what an interrupted epoch had carried."""

    def probe(self, batch: BatchT, training: TrainingT, *, max_rows: int) -> Probe | None:  # noqa: ARG002
        """Offer the first rows of a batch to whoever measures the memory; None where the network has no loss for it."""
        return None


AnyModel: TypeAlias = SequenceModel[Any, Any, Any, Any]  # `fit` checks that the four belong together
