"""A classifier joined with a linear one: their calibrated logits are added, the latter with a weight.

The weight is chosen on validation, and so is one temperature for the sum; no other number is fitted, so that the join
can hardly fit the validation rows better than others.
"""

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tasks.contract.stacking import STACKED, StackedSummary, StackSettings
from tasks.contract.summaries import ModelSummary
from tasks.errors import plural
from tasks.labelled.calibration import join_logits
from tasks.labelled.evaluate import read_sample
from tasks.labelled.labeller import NETWORK
from tasks.labelled.metrics import fit_temperature, mean_loss
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact

STAGE = "stack"
KEYS = ["split", "row", "target"]
# In nats; rounding and the search for a temperature explain less.
LEAST_GAIN = 1e-4


@dataclass(frozen=True, kw_only=True)
class Join:
    """A weight, what both models' logits are multiplied by, and the validation loss of the sum."""

    weight: float
    scales: tuple[float, float]
    valid_loss: float


@dataclass(frozen=True)
class LabelledStack:
    """How stage `stack` joins classifiers of a kind; baseline_files: what a linear model of it is stored as."""

    baseline_files: Sequence[str]

    def write_stacked(
        self, folder: Path, *, candidate: Artefact, baseline: Artefact, settings: StackSettings
    ) -> ModelSummary:
        """Fill the artefact's folder: network, linear model and predictions; nothing, if no weight is worth it."""
        started_s = time.perf_counter()
        both, names = read_both(candidate, baseline), [ModelSummary.of(one).name for one in (candidate, baseline)]
        valid = both.filter(split="valid")
        alone, *joins = try_weights(valid, (0.0, *sorted(settings.weights)))
        best = min(joins, key=lambda join: join.valid_loss)
        if best.valid_loss > alone.valid_loss - LEAST_GAIN:
            return leave_out(names, plural(valid.height, "validation row"))
        for model, files in ((candidate, NETWORK), (baseline, self.baseline_files)):
            for name in files:
                shutil.copyfile(model.file(name), folder / name)
        write_predictions(folder, both, best.scales)
        seconds = sum(ModelSummary.of(one).train_s for one in (candidate, baseline)) + time.perf_counter() - started_s
        told = {"joins": names[0], "joined_with": names[1], "weight": best.weight, "scales": best.scales}
        return StackedSummary.model_validate(
            {**candidate.summary, "rows": both.height, "name": STACKED, "train_s": round(seconds, 3), **told}
        )


def read_both(candidate: Artefact, baseline: Artefact) -> pl.DataFrame:
    """Predictions of both models: split, row, target, logits, logits_baseline, in the order of the first."""
    first, second = (pl.read_parquet(model.file("predictions.parquet")) for model in (candidate, baseline))
    both = first.join(second, on=KEYS, how="left", suffix="_baseline", validate="1:1", maintain_order="left")
    assert not both["logits_baseline"].null_count(), f"{baseline.path} does not predict each row of {candidate.path}"
    return both


def try_weights(valid: pl.DataFrame, weights: Sequence[float]) -> list[Join]:
    """Join the calibrated logits of validation rows with each weight, and calibrate the sums."""
    (network, targets), (linear, _) = read_sample(valid), read_sample(of_baseline(valid))
    temperatures = fit_temperature(network, targets), fit_temperature(linear, targets)
    joins = []
    for done, weight in enumerate(weights, start=1):
        calibrated = 1 / temperatures[0], weight / temperatures[1]
        temperature = fit_temperature(join_logits(network, linear, calibrated), targets)
        scales = calibrated[0] / temperature, calibrated[1] / temperature
        loss = mean_loss(join_logits(network, linear, scales), targets)
        joins.append(Join(weight=weight, scales=scales, valid_loss=loss))
        emit(Progress("stack", STACKED, done, len(weights), "weights", {"weight": weight, "valid_loss": loss}))
    return joins


def of_baseline(both: pl.DataFrame) -> pl.DataFrame:
    """The predictions of the baseline alone."""
    return both.select("target", logits="logits_baseline")


def write_predictions(folder: Path, both: pl.DataFrame, scales: tuple[float, float]) -> None:
    """Store what the join predicts, as for any model; it has no epochs."""
    logits = join_logits(read_sample(both)[0], read_sample(of_baseline(both))[0], scales)
    both.select(*KEYS, pl.Series("logits", logits).arr.to_list()).write_parquet(folder / "predictions.parquet")
    (folder / "history.json").write_text(json.dumps([]), encoding="utf-8")


def leave_out(names: Sequence[str], on: str) -> ModelSummary:
    """Say that a join would be a copy of its candidate."""
    candidate, baseline = names
    warning = f"{candidate} was not joined with {baseline}: on {on} no weight of its logits lowers the loss"
    emit(Progress("stack", STACKED, note=warning))
    return ModelSummary(rows=0, name=STACKED, train_s=0, left_out=True, warnings=[warning])


def scales_of(model: Artefact) -> tuple[float, float] | None:
    """What the logits of a join are made with; None for a network alone."""
    return StackedSummary.of(model).scales if model.stage == STAGE else None


def describe_join(model: Artefact) -> str:
    """Say in a sentence what a join is made of; nothing of a network alone."""
    if model.stage != STAGE:
        return ""
    join = StackedSummary.of(model)
    return f"It adds {join.weight:g} times the calibrated logits of {join.joined_with} to those of {join.joins}. "
