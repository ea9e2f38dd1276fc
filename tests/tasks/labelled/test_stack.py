"""A join adds calibrated logits by a weight that validation chooses, and is left out where it would be a copy."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.contract.stacking import StackedSummary, StackSettings
from tasks.contract.summaries import FittedSummary, ModelSummary
from tasks.labelled.metrics import fit_temperature, mean_loss
from tasks.labelled.stack import LabelledStack, describe_join, scales_of
from tasks.progress import listening
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary

STACK = LabelledStack(baseline_files=("line.json",))
ROWS = 400
FACTS = {
    "train_s": 2.0,
    "best_epoch": 1,
    "num_parameters": 9,
    "device": "cpu",
    "epochs": 2,
    "clipped_share": 0.1,
    "warnings": ["few rows"],
}


def draw_logits(seed: int, *, noise: float, scale: float = 1.0, classes: int = 2) -> pl.DataFrame:
    """Predictions of which each model sees the targets through noise of its own."""
    targets = np.random.default_rng(0).integers(classes, size=2 * ROWS)
    seen = np.eye(classes)[targets] * 2 + np.random.default_rng(seed).normal(size=(2 * ROWS, classes)) * noise
    return pl.DataFrame(
        {
            "split": ["valid"] * ROWS + ["test"] * ROWS,
            "row": pl.Series(range(2 * ROWS), dtype=pl.UInt32),
            "target": pl.Series(targets, dtype=pl.UInt16),
            "logits": pl.Series((seen * scale).astype(np.float32)).arr.to_list(),
        }
    )


def store(name: str, predictions: pl.DataFrame, summary: type[ModelSummary], *files: str) -> Artefact:
    def write(folder: Path) -> Summary:
        predictions.write_parquet(folder / "predictions.parquet")
        for file in files:
            (folder / file).write_text(name)
        return summary.model_validate({"rows": predictions.height, "name": name, **FACTS})

    config = {"name": name, "seen": predictions["logits"].to_list()[:3], "targets": predictions["target"].to_list()}
    return artefacts.build("fit", write, module="tasks.store.artefacts", config=config)


def join(network: pl.DataFrame, linear: pl.DataFrame, **settings: object) -> Artefact:
    candidate = store("lstm", network, FittedSummary, "model.safetensors", "model.json")
    baseline = store("nb", linear, ModelSummary, "line.json")

    def write(folder: Path) -> Summary:
        return STACK.write_stacked(
            folder, candidate=candidate, baseline=baseline, settings=StackSettings.model_validate(settings)
        )

    inputs = {"candidate": candidate, "baseline": baseline}
    return artefacts.build("stack", write, module="tasks.store.artefacts", config=settings, inputs=inputs)


def read(model: Artefact, split: str) -> tuple[np.ndarray, np.ndarray]:
    predictions = pl.read_parquet(model.file("predictions.parquet")).filter(split=split)
    return np.array(predictions["logits"].to_list()), predictions["target"].to_numpy()


@pytest.mark.parametrize("classes", [2, 3])
def test_two_models_that_err_on_different_rows_are_better_together(classes: int) -> None:
    network, linear = (draw_logits(seed, noise=1.5, classes=classes) for seed in (1, 2))
    joined = join(network, linear)
    (logits, targets), summary = read(joined, "test"), StackedSummary.of(joined)
    for alone in (network, linear):
        other = np.array(alone.filter(split="test")["logits"].to_list())
        assert mean_loss(logits, targets) < mean_loss(other / fit_temperature(other, targets), targets)
    assert (summary.name, summary.joins, summary.joined_with) == ("stacked", "lstm", "nb")
    assert 0.5 <= summary.weight <= 2
    assert describe_join(joined) == f"It adds {summary.weight:g} times the calibrated logits of nb to those of lstm. "


def test_the_predictions_are_the_scaled_logits_of_both() -> None:
    network, linear = (
        draw_logits(1, noise=1.5, scale=7),
        draw_logits(2, noise=1.5).sample(fraction=1.0, shuffle=True, seed=1),
    )
    joined = join(network, linear)
    stored = pl.read_parquet(joined.file("predictions.parquet"))
    assert stored.select("split", "row", "target").equals(network.select("split", "row", "target"))
    of_network, of_linear = scales_of(joined)
    expected = of_network * np.array(network["logits"].to_list()) + of_linear * np.array(
        linear.sort("row")["logits"].to_list()
    )
    assert np.array(stored["logits"].to_list()) == pytest.approx(expected, abs=1e-5)
    assert fit_temperature(*read(joined, "valid")) == pytest.approx(1, abs=1e-2)


def test_the_weight_does_not_depend_on_how_sure_the_models_are_of_themselves() -> None:
    sure = join(draw_logits(1, noise=1.5, scale=9), draw_logits(2, noise=1.5, scale=0.2))
    plain = join(draw_logits(1, noise=1.5), draw_logits(2, noise=1.5))
    assert StackedSummary.of(sure).weight == StackedSummary.of(plain).weight
    assert read(sure, "test")[0] == pytest.approx(read(plain, "test")[0], abs=2e-2)


def test_the_weight_has_the_lowest_validation_loss() -> None:
    told = []
    with listening(told.append):
        joined = join(draw_logits(1, noise=1.5), draw_logits(2, noise=1.5))
    losses = {event.figures["weight"]: event.figures["valid_loss"] for event in told}
    assert len(losses) == 11
    assert StackedSummary.of(joined).weight == min(losses, key=losses.get)
    assert mean_loss(*read(joined, "valid")) == pytest.approx(min(losses.values()), abs=1e-6)


def test_test_rows_decide_nothing() -> None:
    network, linear = draw_logits(1, noise=1.5), draw_logits(2, noise=1.5)
    flipped = (
        pl.when(pl.col("split") == "test").then(1 - pl.col("target").cast(pl.Int8)).otherwise("target").cast(pl.UInt16)
    )
    honest, other = join(network, linear), join(*(one.with_columns(target=flipped) for one in (network, linear)))
    assert honest.key != other.key
    assert scales_of(honest) == scales_of(other)


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_a_baseline_that_adds_nothing_is_not_joined_and_that_is_said(scale: float) -> None:
    network = draw_logits(1, noise=1.5)
    told = []
    with listening(told.append):
        left_out = join(network, network.with_columns(pl.col("logits").list.eval(pl.element() * scale)))
    summary = ModelSummary.of(left_out)
    assert summary.left_out
    assert summary.warnings == [
        "lstm was not joined with nb: on 400 validation rows no weight of its logits lowers the loss"
    ]
    assert told[-1].note == summary.warnings[0]
    assert list(left_out.manifest["files"]) == []


def test_a_join_holds_all_that_answers_and_what_is_said_of_its_candidate() -> None:
    joined = join(draw_logits(1, noise=1.5), draw_logits(2, noise=1.5), weights=[1.0])
    assert sorted(joined.manifest["files"]) == [
        *("history.json", "line.json", "model.json", "model.safetensors", "predictions.parquet")
    ]
    assert joined.file("line.json").read_text() == "nb"
    assert joined.file("model.json").read_text() == "lstm"
    summary = StackedSummary.of(joined)
    assert (summary.weight, summary.best_epoch, summary.device) == (1, 1, "cpu")
    assert summary.warnings == ["few rows"]
    assert 4 <= summary.train_s < 60
    candidate = store("lstm", draw_logits(1, noise=1.5), FittedSummary)
    assert (scales_of(candidate), describe_join(candidate)) == (None, "")
