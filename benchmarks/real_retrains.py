"""The same candidate fitted again with other seeds: real models of equal worth, judged pair by pair."""

import itertools
import json
import os
import random
import statistics
import tempfile
from collections.abc import Sequence

import numpy as np
import polars as pl

from benchmarks.simulated_retraining import World, most_false_promotions
from rnnmodels.config import Architecture, Training
from tasks.encode import encode
from tasks.fit import fit
from tasks.ingest import ingest
from tasks.kinds.classify.encode import EncodeSettings
from tasks.kinds.classify.recipe import CLASSIFY, ShardSettings
from tasks.kinds.classify.source import SourceSettings
from tasks.kinds.classify.split import SplitSettings
from tasks.labelled.calibration import calibrated_probabilities
from tasks.labelled.fit import ClassifierCandidate
from tasks.labelled.promotion import PromotionSettings
from tasks.labelled.scoring import LabelledHoldout, Scores, log_losses
from tasks.shard import shard
from tasks.split import split
from tasks.statistics.paired_tests import mcnemar_p_value
from tasks.store.artefacts import Artefact

MODEL = Architecture(cell="gru", embedding_size=32, hidden_size=32, embedding_dropout=0.3, head_dropout=0.3)
TRAINING = {"epochs": 2, "learning_rate": 4e-3, "precision": "float32", "device": "cpu"}
ORDERS = 200


def fit_seeds(count: int) -> tuple[LabelledHoldout, list[Scores]]:
    """Fit the candidate on the embedded reviews once per seed, and score each on the test rows."""
    splits = split.fn(CLASSIFY, ingest.fn(CLASSIFY, SourceSettings(dataset="reviews")), SplitSettings(seed=7))
    encoded = encode.fn(CLASSIFY, splits, EncodeSettings())
    shards = shard.fn(CLASSIFY, encoded, ShardSettings(max_length=100))
    labels = json.loads(encoded.file("labels.json").read_bytes())
    test = pl.read_parquet(splits.file("test.parquet")).sort("row")
    holdout = LabelledHoldout(
        kind=CLASSIFY.name,
        questions=test["text"].to_list(),
        lengths=test["text"].str.len_chars().to_numpy(),
        length_unit="characters",
        labels=test["label"],
        digest="rows",
    )
    models = [
        fit.fn(CLASSIFY, shards, ClassifierCandidate(name="gru", model=MODEL, training=Training(seed=seed, **TRAINING)))
        for seed in range(1, count + 1)
    ]
    return holdout, [read_scores(model, str(seed), labels, holdout) for seed, model in enumerate(models, start=1)]


def read_scores(model: Artefact, version: str, labels: Sequence[str], holdout: LabelledHoldout) -> Scores:
    """Score the predictions that a fit stored."""
    stored = pl.read_parquet(model.file("predictions.parquet")).filter(split="test").sort("row")
    logits = np.array(stored["logits"].to_list())
    predicted = np.array(labels)[logits.argmax(axis=1)]
    losses = log_losses(calibrated_probabilities(logits, 1.0), tuple(labels), holdout.labels)
    hits = predicted == holdout.labels.to_numpy()
    return Scores(version=version, hits=hits, losses=losses, undefined=0, labels=tuple(labels))


def count_promotions(holdout: LabelledHoldout, scores: Sequence[Scores]) -> int:
    """Judge the models one after another by the gate, and count how often the champion changes."""
    world = World(np.random.default_rng(1), holdout.rows, PromotionSettings())
    world.holdout, world.scores = holdout, {one.version: one for one in scores}
    return sum(world.judge(one).verdict == "promoted" for one in scores)


def describe_retrains(count: int) -> str:
    """Fit as many seeds as asked for, and say how often one is taken for better than another."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["RNNFLOW_HOME"] = home
        holdout, scores = fit_seeds(count)
    alpha = PromotionSettings().alpha
    pairs = list(itertools.permutations(scores, 2))
    wins = [(int((b.hits & ~a.hits).sum()), int((a.hits & ~b.hits).sum())) for a, b in pairs]
    passed = sum(mcnemar_p_value(won, lost) <= alpha for won, lost in wins)
    differing = statistics.mean((won + lost) / holdout.rows for won, lost in wins)
    draw = random.Random(1)
    careers = [count_promotions(holdout, draw.sample(scores, len(scores))) for _ in range(ORDERS)]
    accuracies = [100 * one.figures["accuracy"] for one in scores]
    return (
        f"{count} fits of a small GRU on the embedded reviews, other seeds: {min(accuracies):.2f} % to "
        f"{max(accuracies):.2f} % on {holdout.rows:,} test rows; two of them differ on {differing:.1%} of the rows. "
        f"Of {len(pairs)} ordered pairs {passed} pass the test at alpha {alpha:g} ({passed / len(pairs):.1%}). "
        f"Judged one after another in {ORDERS} random orders, {statistics.mean(careers):.3f} are promoted on average "
        f"of {count - 1}; the bound for equal models is {most_false_promotions(alpha, count - 1):.3f}. Fits of other "
        f"seeds are not equal: some are truly better, on all rows there are."
    )
