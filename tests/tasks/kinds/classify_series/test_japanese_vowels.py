"""The recipe `japanese-vowels` on its real data, which an optional package brings."""

import importlib.util
import json

import numpy as np
import polars as pl
import pytest

from flows.recipes.recipe import load_recipe
from tasks.baseline import fit_baselines
from tasks.contract.lineage import Lineage
from tasks.encode import encode
from tasks.evaluate import evaluate
from tasks.fit import fit
from tasks.ingest import ingest
from tasks.kinds.classify_series.recipe import CLASSIFY_SERIES
from tasks.shard import shard
from tasks.split import split

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("sktime") is None, reason="needs the extra `sequences`"),
]


def test_nine_speakers_are_told_apart_over_three_seeds():
    recipe = load_recipe("japanese-vowels", settings=["candidates=gru"])
    rows = ingest.fn(CLASSIFY_SERIES, recipe.source)
    splits = split.fn(CLASSIFY_SERIES, rows, recipe.split)
    encoded = encode.fn(CLASSIFY_SERIES, splits, recipe.encode)
    lineage = Lineage(
        rows=rows, splits=splits, encoded=encoded, shards=shard.fn(CLASSIFY_SERIES, encoded, recipe.shard)
    )

    assert rows.summary["splits"] == {"test": 370, "train": 270}
    lengths = pl.read_parquet(rows.file("rows.parquet"))["length"]
    assert (len(rows.summary["channels"]), lengths.min(), lengths.max()) == (12, 7, 29)
    accuracies = []
    for seed in (1, 2, 3):
        (candidate,) = load_recipe("japanese-vowels", settings=["candidates=gru", f"training.seed={seed}"]).candidates
        accuracies.append(accuracy_of(fit.fn(CLASSIFY_SERIES, lineage.shards, candidate), lineage, recipe))
    (baseline,) = fit_baselines.fn(CLASSIFY_SERIES, lineage, recipe.baseline).fitted
    assert np.mean(accuracies) >= 0.97, accuracies
    assert np.mean(accuracies) >= accuracy_of(baseline, lineage, recipe) >= 0.95


def accuracy_of(model, lineage, recipe) -> float:
    evaluation = evaluate.fn(CLASSIFY_SERIES, model, lineage, recipe.evaluate)
    return json.loads(evaluation.file("metrics.json").read_bytes())["metrics"]["test"]["accuracy"]["value"]
