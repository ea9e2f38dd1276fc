"""Fitting as a generator: it yields results; the caller logs, shows, stores or stops."""

import itertools
import math
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnnmodels.config import Optimization
from rnnmodels.training.averaging import copy_weights
from rnnmodels.training.checkpoint import CheckpointFolder
from rnnmodels.training.device import resolve_device, use_physical_cores
from rnnmodels.training.results import EpochResult, StepResult
from rnnmodels.training.run_state import Epoch, RunState, start_run
from rnnmodels.training.sequence_model import AnyModel, DataT, SequenceData, SequenceModel, TrainingT

SECONDS_BETWEEN_STEP_RESULTS = 0.5
SECONDS_BETWEEN_CHECKPOINTS = 60.0


def fit(
    model: SequenceModel[Any, Any, DataT, TrainingT],
    train: DataT,
    valid: DataT,
    training: TrainingT,
    *,
    checkpoints: Path | None = None,
    resume: bool = False,
    tracked_as: str = "",
) -> Iterator[StepResult | EpochResult]:
    """Train, yielding a StepResult now and then and an EpochResult per epoch; then the model holds the best weights.

    With `checkpoints`, each epoch ends with one, and long ones have one each minute; it also stores `tracked_as`. With
    `resume`, the newest intact one is continued: its epochs are yielded again first, and on the same kind of machine
    the end is bit by bit that of an uninterrupted run.
    Raises NonFiniteError before an update that would damage the weights, ValueError for rows the model cannot read.
    """
    _check_rows(model, train, valid)
    device = resolve_device(training.device)
    if device.type == "cpu":
        use_physical_cores()
    training = training.settle(train.num_batches)
    run = start_run(model, training, device, steps_per_epoch=train.num_batches(training.batch_size))
    identity = _identity(model, train, valid, training)
    folder = CheckpointFolder(checkpoints, identity, tracked_as=tracked_as) if checkpoints else None
    snapshot = folder.load_newest() if folder and resume else None
    if snapshot is not None:
        run.restore(snapshot)
        yield from run.history
    while not run.is_finished:
        yield from _run_epoch(run, train, valid, folder)
        if folder is not None:
            folder.save(run.take_snapshot())
        yield run.history[-1]
    copy_weights(run.best_weights, model)
    model.eval()


def _run_epoch(
    run: RunState, train: SequenceData, valid: SequenceData, folder: CheckpointFolder | None
) -> Iterator[StepResult]:
    """Update on every row once, or on those that an interrupted epoch has left; validate and record the result."""
    epoch = run.epoch = run.epoch or Epoch(len(run.history) + 1)
    num_steps, num_done = train.num_batches(run.training.batch_size), len(epoch.norms)
    shown, saved = Interval(SECONDS_BETWEEN_STEP_RESULTS), Interval(SECONDS_BETWEEN_CHECKPOINTS)
    run.model.train()
    batches = train.batches(run.training.batch_size, seed=run.training.seed, epoch=epoch.number)
    for step, batch in enumerate(itertools.islice(batches, num_done, None), start=num_done + 1):
        rate = run.schedule.rate((epoch.number - 1) * num_steps + step - 1)
        with run.random.active():
            figures = run.training_step.run(batch, rate=rate, epoch=epoch.number, step=step)
        if run.average is not None:
            run.average.update(run.model)
        epoch.add(figures, len(batch.row), rate)
        if folder is not None and saved.is_over():
            folder.save(run.take_snapshot())
        if shown.is_over():
            rows_per_s = epoch.num_rows / epoch.wall_s
            yield StepResult(epoch.number, step, num_steps, figures.loss, figures.gradient_norm, rows_per_s)
    run.close_epoch(_epoch_result(epoch, run, valid))


def _epoch_result(epoch: Epoch, run: RunState, valid: SequenceData) -> EpochResult:
    train_s = epoch.wall_s
    with run.evaluated_weights():
        validation = run.model.validate(valid, run.training)
    if not math.isfinite(validation.loss):
        raise FloatingPointError(f"epoch {epoch.number}: the validation loss is {validation.loss}")
    return EpochResult(
        epoch=epoch.number,
        train_loss=epoch.loss_sum / epoch.num_rows,
        valid_loss=validation.loss,
        valid_metrics=validation.metrics,
        learning_rate=epoch.rate,
        gradient_norm=statistics.median(epoch.norms),
        clipped_share=epoch.num_clipped / len(epoch.norms),
        rows_per_s=epoch.num_rows / train_s,
        wall_s=epoch.wall_s,
        is_best=validation.loss < run.best_loss,
        sample=validation.sample,
    )


class Interval:
    """Tells when some seconds have passed since it last did."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.since_s = time.perf_counter()

    def is_over(self) -> bool:
        """Whether the seconds have passed; if so, they begin anew."""
        now_s = time.perf_counter()
        if now_s - self.since_s < self.seconds:
            return False
        self.since_s = now_s
        return True


def _check_rows(model: AnyModel, *splits: SequenceData) -> None:
    for data in splits:
        if data.num_rows == 0:
            raise ValueError(f"no rows in {data.place}, expected at least one")
        model.check(data)


def _identity(model: AnyModel, train: SequenceData, valid: SequenceData, training: Optimization) -> dict[str, object]:
    """What must agree to continue a checkpoint; the device may differ, at the price of exactness."""
    return {
        **model.description(),
        "training": training.model_dump(mode="json", exclude={"device"}),
        "data": {"train": train.digest, "valid": valid.digest},
    }
