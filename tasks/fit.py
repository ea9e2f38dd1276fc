"""Stage `fit`: one candidate, trained on the shards and scored on the rows kept back.

Validation picks the epoch; the test rows are scored once, after the last decision about the weights.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.contract.candidate import Candidate
from tasks.contract.kind import Kind
from tasks.contract.summaries import MEMORY_FILE, FittedSummary, InitialSummary
from tasks.errors import InputError, plural, quoted
from tasks.progress import Progress, emit
from tasks.store import artefacts
from tasks.store.artefacts import Artefact

if TYPE_CHECKING:
    from rnnmodels.config import Optimization
    from rnnmodels.training.results import EpochResult, StepResult
    from rnnmodels.training.sequence_model import AnyModel, SequenceData

CHECKPOINTS = "checkpoints"
TIMINGS = ("rows_per_s", "wall_s")
FEW_UPDATES = 10


def follow(candidate: Candidate, results: "Iterator[StepResult | EpochResult]") -> "list[EpochResult]":
    """Consume a fit to its end, telling its progress; returns the epochs."""
    from rnnmodels.training.results import EpochResult

    epochs = []
    try:
        for result in results:
            if isinstance(result, EpochResult):
                epochs.append(result)
                figures = {name: value for name, value in result.figures().items() if name != "epoch"}
                emit(_progress(candidate, result.epoch, figures, epoch=result.epoch))
            else:
                figures = {name: getattr(result, name) for name in ("loss", "gradient_norm", "rows_per_s")}
                emit(_progress(candidate, result.epoch - 1 + result.step / result.num_steps, figures))
    except FloatingPointError as error:
        raise InputError(
            "E-TRN-001",
            f"candidate {quoted(candidate.name)} stopped before its weights were damaged: {error}.",
            fix="lower its training.learning_rate or training.clip_norm.",
        ) from error
    return epochs


def write_fitted(
    folder: Path,
    *,
    kind: Kind,
    shards: Artefact,
    candidate: Candidate,
    initial: Artefact | None,
    resume: bool,
    tracked_as: str,
) -> FittedSummary:
    """Fill the artefact's folder: weights, history, predictions, memory; checkpoints live there until the commit."""
    from rnnmodels.training.checkpoint import save_model
    from rnnmodels.training.fitting import fit as fit_epochs

    modelling = kind.fit.load()
    data = modelling.open_data(candidate, shards)
    model = modelling.create_model(candidate, data, shards, initial)
    checkpoints, training = folder / CHECKPOINTS, candidate.training.settle(data["train"].num_batches)
    durability = {"checkpoints": checkpoints, "resume": resume, "tracked_as": tracked_as}
    epochs = follow(candidate, fit_epochs(model, data["train"], data["valid"], training, **durability))
    finished = modelling.finish_model(folder, model, data, candidate)
    save_model(model, folder)
    # Timings differ from run to run; they go to the summary, so that equal fits have equal content.
    history = [_untimed(epoch) for epoch in epochs]
    (folder / "history.json").write_text(json.dumps(history, indent=1, allow_nan=False), encoding="utf-8")
    memory = write_memory(folder / MEMORY_FILE, model, data["valid"], training)
    shutil.rmtree(checkpoints)
    updates = data["train"].num_batches(training.batch_size)
    start = None if initial is None else InitialSummary.of(initial)
    warnings = find_few_updates(candidate.training, data["train"], updates) + find_resting(training, model, epochs)
    told = {
        "updates_per_epoch": updates,
        "settled": {f"training.{training.BATCH}": training.batch_size},
        "warnings": warnings + (start.warnings if start else []),
        "start": start.start if start else "",
    }
    return FittedSummary.model_validate({**finished, **_summarize(candidate, model, epochs), **memory, **told})


def write_memory(path: Path, model: "AnyModel", valid: "SequenceData", training: "Optimization") -> dict[str, object]:
    """Measure how far back a fitted model remembers; stores each cell's curve, and returns what its summary keeps."""
    from rnnmodels.memory.horizon import measure_memory

    curves = {name: curve.as_json() for name, curve in measure_memory(model, valid, training).items()}
    path.write_text(json.dumps(curves, allow_nan=False), encoding="utf-8")
    return {
        "memory_horizon": {name: curve["horizon"] for name, curve in curves.items()},
        "memory_span": max((curve["lag"][-1] for curve in curves.values()), default=0),
    }


def find_few_updates(training: "Optimization", train: "SequenceData", updates: int) -> list[str]:
    """Warn of an epoch with few updates, where the size of batches is set and `auto` would make enough of them."""
    settled = training.model_copy(update={training.BATCH: "auto"}).settle(train.num_batches)
    if updates >= min(FEW_UPDATES, train.num_batches(settled.batch_size)):
        return []
    return [
        f"an epoch has only {plural(updates, 'update')}, because batches of {training.batch_size:,} hold many of the "
        f'{train.num_rows:,} training rows, so that models may learn little; set training.{training.BATCH} = "auto", '
        f"which takes {settled.batch_size:,} here"
    ]


def find_resting(training: "Optimization", model: "AnyModel", epochs: "Sequence[EpochResult]") -> list[str]:
    """Warn of layers whose turn to learn had not come by the best epoch, whose weights are kept."""
    best = max(epoch.epoch for epoch in epochs if epoch.is_best)
    depths = [depth for depth, weights in enumerate(model.layers_from_top()) if weights]
    num_resting = sum(training.rate_share(depth, best) == 0 for depth in depths)
    if not num_resting:
        return []
    needed = depths[-1] + 1
    remedy = f"set training.epochs to {needed} or more" if training.epochs < needed else "leave gradual_unfreezing out"
    return [
        f"gradual_unfreezing let only {len(depths) - num_resting} of {len(depths)} layers learn by the best epoch, "
        f"{best}; {remedy}"
    ]


def _untimed(epoch: "EpochResult") -> dict[str, Any]:
    """What of an epoch is the same whenever it is run."""
    figures = {name: value for name, value in epoch.figures().items() if name not in TIMINGS}
    return figures | ({"sample": epoch.sample} if epoch.sample else {})


def _summarize(candidate: Candidate, model: "AnyModel", epochs: "list[EpochResult]") -> dict:
    from rnnmodels.training.device import resolve_precision

    device = next(model.parameters()).device
    return {
        "name": candidate.name,
        "epochs": len(epochs),
        "best_epoch": max(epoch.epoch for epoch in epochs if epoch.is_best),
        "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "clipped_share": round(sum(epoch.clipped_share for epoch in epochs) / len(epochs), 4),
        "train_s": round(sum(epoch.wall_s for epoch in epochs), 1),
        "rows_per_s": round(sum(epoch.rows_per_s for epoch in epochs) / len(epochs), 1),
        "device": device.type,
        "precision": str(resolve_precision(candidate.training, candidate.model, device)).removeprefix("torch."),
    }


def _progress(candidate: Candidate, done: float, figures: dict[str, float], *, epoch: int | None = None) -> Progress:
    total = candidate.training.epochs
    return Progress("fit", candidate.name, done, total, unit="epochs", figures=figures, epoch=epoch)


def modules_of(kind: Kind) -> tuple[str, ...]:
    """Where the code of a fit begins: the stage, which trains, and what the kind brings."""
    return (__name__, kind.fit.name)


def origin_of(kind: Kind, shards: Artefact, candidate: Candidate, initial: Artefact | None) -> dict:
    """All that a fit depends on, as the store wants to know it."""
    inputs = {"shards": shards} if initial is None else {"shards": shards, "initial": initial}
    return {"module": modules_of(kind), "config": candidate, "inputs": inputs}


def find_fitted(kind: Kind, shards: Artefact, candidate: Candidate, initial: Artefact | None) -> Artefact | None:
    """Return the candidate's fit if it is done."""
    return artefacts.find_whole(artefacts.locate("fit", **origin_of(kind, shards, candidate, initial)))


def find_tracked(kind: Kind, shards: Artefact, candidate: Candidate, initial: Artefact | None) -> str:
    """Where the candidate's interrupted fit was tracked, as its checkpoint tells; empty if there is none."""
    folder = artefacts.locate("fit", **origin_of(kind, shards, candidate, initial))
    checkpoints = artefacts.partial_of(folder) / CHECKPOINTS
    if not checkpoints.is_dir():  # a run that reuses all its fits needs no torch
        return ""
    from rnnmodels.training.checkpoint import read_tracked_as

    return read_tracked_as(checkpoints)


@task(name="fit", task_run_name="fit-{candidate.name}", cache_policy=NO_CACHE, persist_result=False)
def fit(
    kind: Kind,
    shards: Artefact,
    candidate: Candidate,
    *,
    resume: bool = False,
    initial: Artefact | None = None,
    tracked_as: str = "",
) -> Artefact:
    """Train one candidate and score it; a killed fit continues from its last checkpoint with `resume`."""
    settings = {"initial": initial, "resume": resume, "tracked_as": tracked_as}
    write = partial(write_fitted, kind=kind, shards=shards, candidate=candidate, **settings)
    return artefacts.build("fit", write, **origin_of(kind, shards, candidate, initial), resume=resume)
