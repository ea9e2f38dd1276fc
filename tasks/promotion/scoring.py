"""What every kind says of its test rows and of a model on them; each model answers once per set of rows."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnmodels.durable import sha256_of_file
from tasks.progress import Progress, emit
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import SERVING
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary


class ScoredSummary(Summary):
    """How many rows a model was asked, and to how many of them it gave no defined answer."""

    undefined: int


@dataclass(frozen=True, kw_only=True)
class Holdout(ABC):
    """Test rows on which models are compared, known by the digest of their content; `unit` is what one is called.

    `origin` is the digest of the rows that these follow where the source's word on them changed, `notes` says how.
    """

    digest: str
    unit: str = "rows"
    origin: str = ""
    notes: tuple[str, ...] = ()

    @property
    @abstractmethod
    def rows(self) -> int:
        """How many answers a model gives."""


@dataclass(frozen=True, kw_only=True)
class Scores(ABC):
    """One model on a holdout; `undefined` counts the rows to which it gives no defined answer."""

    version: str
    undefined: int

    @property
    @abstractmethod
    def figures(self) -> dict[str, Any]:
        """JSON value of the version and of each metric."""

    @property
    @abstractmethod
    def headline(self) -> str:
        """The score that people look at first, as it is written in a sentence."""


def build_scores(
    write: Callable[[Path], ScoredSummary],
    model: RegisteredModel,
    holdout: Holdout,
    *,
    module: artefacts.Modules,
    origin: artefacts.Inputs = {},
) -> Artefact:
    """Have `write` score a model on a holdout, unless it was scored there before; `origin` is what else decides."""
    emit(Progress("gate", model.label, note=f"scoring on {holdout.rows:,} test {holdout.unit}"))
    inputs = {"model": sha256_of_file(model.parts / SERVING), "holdout": holdout.digest, **origin}
    return artefacts.build("score", write, module=module, config={}, inputs=inputs)
