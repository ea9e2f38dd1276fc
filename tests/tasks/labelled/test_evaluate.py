import dataclasses
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.contract.lineage import Lineage
from tasks.evaluate import evaluate
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.labelled.evaluate import ClassificationSettings, find_problems
from tasks.labelled.metrics import mean_loss
from tasks.statistics.quarters import cut_in_quarters
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary

LABELS = ["neg", "pos"]
SIZES = {"valid": 400, "test": 300, "train": 500}
SETTINGS = ClassificationSettings(resamples=100, num_mistakes=5)


def score(model: Artefact, encoded: Artefact, splits: Artefact) -> Artefact:
    return evaluate.fn(CLASSIFY, model, Lineage(rows=splits, splits=splits, encoded=encoded, shards=encoded), SETTINGS)


def write_artefact(stage: str, frames: dict[str, pl.DataFrame], **summary: object) -> Artefact:
    """An artefact of some Parquet files; equal names and summaries need equal frames."""

    def write(folder: Path) -> dict:
        for name, frame in frames.items():
            frame.write_parquet(folder / f"{name}.parquet")
        return Summary.model_validate({"rows": sum(frame.height for frame in frames.values()), **summary})

    with artefacts.refreshing(True):
        return artefacts.build(stage, write, module="tasks.store.artefacts", config=summary)


def row_ids(split: str) -> np.ndarray:
    return np.arange(SIZES[split]) * 3 + list(SIZES).index(split)


@pytest.fixture
def targets() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(2)
    return {split: generator.integers(2, size=size) for split, size in SIZES.items()}


@pytest.fixture
def encoded(targets: dict[str, np.ndarray]) -> Artefact:
    """Lengths run from 1 to 20 tokens; every tenth row has one unknown token."""

    def frame(split: str) -> pl.DataFrame:
        tokens = [[1 if index % 10 == 0 else 7] + [7] * (index % 20) for index in range(SIZES[split])]
        columns = {"row": row_ids(split), "tokens": tokens, "target": targets[split]}
        return pl.DataFrame(columns, schema={"row": pl.UInt32, "tokens": pl.List(pl.UInt16), "target": pl.UInt16})

    return write_artefact("encode", {split: frame(split) for split in SIZES}, labels=LABELS)


@pytest.fixture
def splits(targets: dict[str, np.ndarray]) -> Artefact:
    texts = [f"text of row {row} " + "long " * 100 for row in row_ids("test")]
    labels = [LABELS[target] for target in targets["test"]]
    test = pl.DataFrame({"row": row_ids("test"), "text": texts, "label": labels}, schema_overrides={"row": pl.UInt32})
    return write_artefact("split", {"test": test}, labels=LABELS)


def write_model(name: str, targets: dict[str, np.ndarray], *, share_wrong: dict[str, float]) -> Artefact:
    """A model that is wrong on the first rows of each split; its confidence falls with the row."""

    def frame(split: str) -> pl.DataFrame:
        size = SIZES[split]
        wrong = np.arange(size) < round(share_wrong[split] * size)
        sign = np.where(wrong ^ (targets[split] == 1), 1, -1)
        logits = np.column_stack([np.zeros(size), sign * np.linspace(3, 1, size)])
        columns = {"split": [split] * size, "row": row_ids(split), "target": targets[split], "logits": logits.tolist()}
        schema = {"split": pl.String, "row": pl.UInt32, "target": pl.UInt16, "logits": pl.List(pl.Float32)}
        return pl.DataFrame(columns, schema=schema)

    # In any order: predictions come as batches were drawn.
    predictions = pl.concat([frame("test"), frame("valid")]).sample(fraction=1, shuffle=True, seed=4)
    return write_artefact("fit", {"predictions": predictions}, name=name)


@pytest.fixture
def evaluation(targets: dict[str, np.ndarray], encoded: Artefact, splits: Artefact) -> Artefact:
    model = write_model("gru", targets, share_wrong={"valid": 0.2, "test": 0.1})
    return score(model, encoded, splits)


def read_metrics(evaluation: Artefact) -> dict:
    return json.loads(evaluation.file("metrics.json").read_bytes())


def test_planted_mistakes_give_the_accuracy_and_the_confusion(
    evaluation: Artefact, targets: dict[str, np.ndarray]
) -> None:
    result = read_metrics(evaluation)
    assert result["metrics"]["valid"]["accuracy"]["value"] == pytest.approx(0.8)
    assert result["metrics"]["test"]["accuracy"]["value"] == pytest.approx(0.9)
    wrong, right = (np.bincount(part, minlength=2) for part in (targets["test"][:30], targets["test"][30:]))
    assert result["confusion"] == [[right[0], wrong[0]], [wrong[1], right[1]]]


def test_the_artefact_holds_every_figure(evaluation: Artefact) -> None:
    result = read_metrics(evaluation)
    names = {"name", "labels", "metrics", "temperature", "confusion", "calibration", "slices"}
    assert set(result) == names
    assert set(result["metrics"]["test"]) == {"loss", "accuracy", "f1", "auc", "ece", "loss_scaled", "ece_scaled"}
    assert all(set(interval) == {"value", "low", "high"} for interval in result["metrics"]["valid"].values())
    assert evaluation.summary == {"rows": 300, "name": "gru", "metrics": result["metrics"]}
    for bins in result["calibration"].values():
        assert sum(one["rows"] for one in bins) == 300


def test_the_temperature_is_fitted_on_validation(
    evaluation: Artefact, targets: dict[str, np.ndarray], encoded: Artefact, splits: Artefact
) -> None:
    other_test = write_model("gru", targets, share_wrong={"valid": 0.2, "test": 0.4})
    changed = score(other_test, encoded, splits)
    assert changed.digest != evaluation.digest
    assert read_metrics(changed)["temperature"] == read_metrics(evaluation)["temperature"]


def test_each_kind_of_slice_holds_every_row_once(evaluation: Artefact) -> None:
    slices = read_metrics(evaluation)["slices"]
    for by in ("label", "length", "unknown tokens"):
        parts = [one for one in slices if one["by"] == by]
        assert sum(one["rows"] for one in parts) == 300
        assert sum(one["rows"] * one["accuracy"]["value"] for one in parts) == pytest.approx(270)
    assert [one["slice"] for one in slices if one["by"] == "length"] == [
        "1 to 5 tokens",
        "6 to 10 tokens",
        "11 to 15 tokens",
        "16 to 20 tokens",
    ]


def test_a_slice_with_planted_mistakes_stands_out(
    evaluation: Artefact, targets: dict[str, np.ndarray], encoded: Artefact, splits: Artefact
) -> None:
    model = write_model("gru", targets, share_wrong={"valid": 0.2, "test": 0.0})
    predictions = pl.read_parquet(model.file("predictions.parquet"))
    opposite = pl.col("logits").list.eval(-pl.element())
    unknown = (pl.col("row").is_in(row_ids("test")[::10])) & (pl.col("split") == "test")
    flipped = predictions.with_columns(pl.when(unknown).then(opposite).otherwise("logits").alias("logits"))
    scored = score(
        write_artefact("fit", {"predictions": flipped}, name="flipped"),
        encoded,
        splits,
    )
    accuracies = {
        one["slice"]: one["accuracy"]["value"]
        for one in read_metrics(scored)["slices"]
        if one["by"] == "unknown tokens"
    }
    assert accuracies == {"0.0% to 0.0%": 1.0, "9.1% to 100.0%": 0.0}


def test_the_most_confident_mistakes_are_listed_first(evaluation: Artefact, targets: dict[str, np.ndarray]) -> None:
    mistakes = pl.read_parquet(evaluation.file("mistakes.parquet"))
    assert mistakes["row"].to_list() == row_ids("test")[:5].tolist()
    assert mistakes["confidence"].is_sorted(descending=True)
    assert mistakes["label"].to_list() == [LABELS[target] for target in targets["test"][:5]]
    assert (mistakes["label"] != mistakes["predicted"]).all()
    assert mistakes["text"][1] == ("text of row 4 " + "long " * 100)[:300] + "…"


def test_confidence_is_that_after_temperature_scaling(evaluation: Artefact) -> None:
    mistakes = pl.read_parquet(evaluation.file("mistakes.parquet"))
    scaled = 3 / read_metrics(evaluation)["temperature"]
    assert mistakes["confidence"][0] == pytest.approx(1 / (1 + np.exp(-scaled)))


def test_predictions_that_miss_a_row_are_never_scored(
    targets: dict[str, np.ndarray], encoded: Artefact, splits: Artefact
) -> None:
    model = write_model("gru", targets, share_wrong={"valid": 0.2, "test": 0.1})
    incomplete = pl.read_parquet(model.file("predictions.parquet"))[1:]
    with pytest.raises(AssertionError, match="does not predict each"):
        score(
            write_artefact("fit", {"predictions": incomplete}, name="gru"),
            encoded,
            splits,
        )


def test_equal_values_stay_in_one_quarter() -> None:
    values = np.array([0] * 90 + [1] * 10)
    assert [(low, high, int(inside.sum())) for low, high, inside in cut_in_quarters(values)] == [(0, 0, 90), (1, 1, 10)]


def evaluation_with(name: str, *, valid: dict[str, float], test: dict[str, float]) -> Artefact:
    metrics = {
        split: {metric: {"value": value, "low": value, "high": value} for metric, value in values.items()}
        for split, values in (("valid", valid), ("test", test))
    }
    return write_artefact("evaluate", {}, name=name, metrics=metrics)


def test_the_best_model_is_chosen_on_validation_alone() -> None:
    low_loss = evaluation_with("a", valid={"loss": 0.2, "accuracy": 0.8}, test={"loss": 0.9, "accuracy": 0.1})
    accurate = evaluation_with("b", valid={"loss": 0.3, "accuracy": 0.9}, test={"loss": 0.8, "accuracy": 0.2})
    best_on_test = evaluation_with("c", valid={"loss": 0.4, "accuracy": 0.7}, test={"loss": 0.1, "accuracy": 0.9})
    models = [best_on_test, accurate, low_loss]
    assert min(models, key=ClassificationSettings(select_by="loss").penalty) is low_loss
    assert min(models, key=ClassificationSettings(select_by="accuracy").penalty) is accurate


def test_of_equal_models_the_first_is_best() -> None:
    same = {"loss": 0.2, "accuracy": 0.8}
    models = [evaluation_with(name, valid=same, test=same) for name in ("first", "second")]
    assert min(models, key=ClassificationSettings().penalty) is models[0]


LEARN = "raise training.epochs, change training.learning_rate or encode.tokenizer, or add rows"


def test_a_candidate_with_one_answer_to_all_is_a_problem(
    encoded: Artefact, splits: Artefact, targets: dict[str, np.ndarray]
) -> None:
    def frame(split: str) -> pl.DataFrame:
        rows = {"row": row_ids(split), "target": targets[split], "logits": [[0.0, 2.0]] * SIZES[split]}
        schema = {"row": pl.UInt32, "target": pl.UInt16, "logits": pl.List(pl.Float32)}
        return pl.DataFrame(rows, schema=schema).select(pl.lit(split).alias("split"), pl.all())

    model = write_artefact("fit", {"predictions": pl.concat([frame("valid"), frame("test")])}, name="gru")

    problems = score(model, encoded, splits).summary["problems"]

    assert problems[0] == f'gru predicts "pos" for all 400 validation rows; {LEARN}'


def test_a_candidate_no_better_than_chance_is_a_problem_and_a_baseline_is_none(
    encoded: Artefact, splits: Artefact, targets: dict[str, np.ndarray]
) -> None:
    model = write_model("gru", targets, share_wrong={"valid": 1.0, "test": 1.0})
    baseline = dataclasses.replace(model, stage="baseline")

    [problem] = score(model, encoded, splits).summary["problems"]

    assert problem.startswith("gru learned nothing: its validation loss of 0.7")
    assert problem.endswith(f"the loss of knowing only how frequent each label is; {LEARN}")
    with artefacts.refreshing(True):
        assert "problems" not in score(baseline, encoded, splits).summary


def test_a_temperature_chosen_on_the_same_rows_hides_no_candidate_that_learned_nothing() -> None:
    targets = np.tile([0, 1, 2], 4)
    # The true class is always second to a wrong one: no answer is right, yet one of three classes is left out rightly.
    wrong, second = (np.eye(3)[(targets + step) % 3] for step in (1, 0))
    logits = 6 * wrong + 4 * second
    labels = {"labels": ("a", "b", "c"), "prior": np.full(3, 1 / 3), "encoder": "encode.method"}

    [problem] = find_problems("gru", (logits, targets), temperature=5.0, **labels)

    assert mean_loss(logits / 5, targets) < np.log(3)
    assert problem.startswith("gru learned nothing: its validation loss of 2.129 is no better than 1.099")
    confident = 9 * wrong * (np.arange(12) < 5)[:, None] + 4 * second
    assert find_problems("gru", (confident, targets), temperature=5.0, **labels) == []
