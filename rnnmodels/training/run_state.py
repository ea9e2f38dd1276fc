"""All that the next step of a training run depends on, and its way into a checkpoint and back."""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor

from rnnmodels.config import Optimization
from rnnmodels.training.averaging import AveragedWeights, copy_of_weights, copy_weights
from rnnmodels.training.checkpoint import Snapshot
from rnnmodels.training.device import resolve_precision
from rnnmodels.training.randomness import RandomStream
from rnnmodels.training.results import EpochResult
from rnnmodels.training.schedules import Schedule
from rnnmodels.training.sequence_model import AnyModel
from rnnmodels.training.training_step import StepFigures, TrainingStep

TensorTree: TypeAlias = "Mapping[str, Tensor | TensorTree] | Mapping[int, TensorTree]"


@dataclass
class Epoch:
    """An epoch under way: the steps done, what they add up to, and when it was begun by the clock of this process."""

    number: int
    num_rows: int = 0
    loss_sum: float = 0.0
    norms: list[float] = field(default_factory=list)
    num_clipped: int = 0
    rate: float = 0.0
    started_s: float = field(default_factory=time.perf_counter)

    @property
    def wall_s(self) -> float:
        """Seconds since it was begun."""
        return time.perf_counter() - self.started_s

    def add(self, figures: StepFigures, num_rows: int, rate: float) -> None:
        """Count a step."""
        self.rate = rate
        self.num_rows += num_rows
        self.loss_sum += figures.loss * num_rows
        self.norms.append(figures.gradient_norm)
        self.num_clipped += figures.is_clipped

    def as_json(self) -> dict[str, Any]:
        """What a checkpoint stores."""
        return {**asdict(self), "started_s": -self.wall_s}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Epoch":
        """Go on as if the seconds between had not passed."""
        return cls(**{**stored, "started_s": time.perf_counter() + stored["started_s"]})


@dataclass
class RunState:
    """A training run after some step; the epochs done are `history`, and `epoch` is under way, if any is."""

    model: AnyModel
    training: Optimization
    training_step: TrainingStep
    random: RandomStream
    schedule: Schedule
    average: AveragedWeights | None
    history: list[EpochResult] = field(default_factory=list)
    epoch: Epoch | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def best_loss(self) -> float:
        """The lowest validation loss so far."""
        return min((result.valid_loss for result in self.history), default=float("inf"))

    @property
    def is_finished(self) -> bool:
        """Tell whether all epochs are done or `patience` of them brought no lower validation loss."""
        if len(self.history) == self.training.epochs:
            return True
        latest = self.history[-self.training.patience :]
        return len(latest) == self.training.patience and not any(result.is_best for result in latest)

    def evaluated_weights(self) -> AbstractContextManager[None]:
        """Give the model the weights to validate with for the duration of a block: averaged ones, if any."""
        return nullcontext() if self.average is None else self.average.applied(self.model)

    def close_epoch(self, result: EpochResult) -> None:
        """Record a finished epoch, keeping its weights where they are the best."""
        if result.is_best:
            with self.evaluated_weights():
                self.best_weights = copy_of_weights(self.model)
        self.schedule.close_epoch(is_best=result.is_best)
        self.history.append(result)
        self.epoch = None

    def take_snapshot(self) -> Snapshot:
        """Copy the state into what a checkpoint stores."""
        tensors = {
            "model": copy_of_weights(self.model),
            "best": self.best_weights,
            "average": {} if self.average is None else self.average.weights,
            "optimizer": self.training_step.optimizer.state_dict()["state"],
            "random": self.random.states,
            "carried": {} if self.epoch is None else self.model.carried(),
        }
        state = {
            "history": [asdict(result) for result in self.history],
            "plateau_factor": self.schedule.plateau_factor,
            "num_updates": 0 if self.average is None else self.average.num_updates,
            "epoch": None if self.epoch is None else self.epoch.as_json(),
        }
        return Snapshot(len(self.history), dict(_flattened(tensors)), state)

    def restore(self, snapshot: Snapshot) -> None:
        """Take over the state of a snapshot."""
        copy_weights(_group(snapshot.tensors, "model"), self.model)
        self.best_weights = _on_device(_group(snapshot.tensors, "best"), self.training_step.device)
        self.random.states |= _group(snapshot.tensors, "random")
        self._restore_optimizer(snapshot.tensors)
        if self.average is not None:
            self.average.weights = _on_device(_group(snapshot.tensors, "average"), self.training_step.device)
            self.average.num_updates = snapshot.state["num_updates"]
        self.schedule.plateau_factor = snapshot.state["plateau_factor"]
        self.history = [EpochResult(**result) for result in snapshot.state["history"]]
        if snapshot.state["epoch"] is not None:
            self.epoch = Epoch.from_json(snapshot.state["epoch"])
            self.model.carry(_group(snapshot.tensors, "carried"))

    def _restore_optimizer(self, tensors: Mapping[str, Tensor]) -> None:
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _group(tensors, "optimizer").items():
            index, key = name.split("/")
            state.setdefault(int(index), {})[key] = value
        optimizer = self.training_step.optimizer
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def start_run(model: AnyModel, training: Optimization, device: torch.device, *, steps_per_epoch: int) -> RunState:
    """Put a model on a device and set up everything to train it."""
    model.to(device)
    return RunState(
        model=model,
        training=training,
        training_step=TrainingStep(model, training, resolve_precision(training, model.architecture, device)),
        random=RandomStream(training.seed, device),
        schedule=Schedule(training, num_steps=training.epochs * steps_per_epoch),
        average=AveragedWeights(model, training.ema_decay) if training.ema_decay else None,
    )


def _flattened(tree: TensorTree, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Join the keys of nested dictionaries of tensors with `/`."""
    for key, value in tree.items():
        if isinstance(value, Tensor):
            yield f"{prefix}{key}", value
        else:
            yield from _flattened(value, f"{prefix}{key}/")


def _group(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Select the tensors of one group, named within it."""
    prefix = f"{name}/"
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _on_device(tensors: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: value.to(device) for name, value in tensors.items()}
