"""A classifier of sequences goes on from the champion's weights, and reads numbers of another scale as it did."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from rnnmodels.classifiers.inference import predict_sequences, predict_shards
from rnnmodels.classifiers.series_classifier import SeriesClassifier
from rnnmodels.classifiers.series_config import SeriesArchitecture, SeriesTraining
from rnnmodels.training.checkpoint import load_model, save_model
from tasks.contract.lineage import Lineage
from tasks.kinds.classify_series.fit import SequenceCandidate, create_model, open_data
from tasks.kinds.classify_series.numbers import encode_sequences
from tasks.kinds.classify_series.recipe import CLASSIFY_SERIES
from tasks.panel.scaler import Scaler
from tasks.registry.served_parts import write_serving
from tasks.warm_start import warm_start
from tests.tasks.kinds.classify_series.conftest import draw_table
from tests.tasks.kinds.warm_starts import crown, refusal_of

CANDIDATE = SequenceCandidate(
    name="gru",
    model=SeriesArchitecture(hidden_size=6, bidirectional=True),
    training=SeriesTraining(epochs=1, batch_steps=60, device="cpu"),
)


def train(folder: Path, lineage: Lineage) -> Path:
    """The parts of a classifier whose weights were drawn."""
    model = create_model(CANDIDATE, open_data(CANDIDATE, lineage.shards), lineage.shards, None)
    draw = torch.Generator().manual_seed(1)
    for weights in model.parameters():
        weights.data = torch.randn(weights.shape, generator=draw) / 2
    save_model(model, folder / "parts")
    for name in ("scaler.json", "labels.json"):
        shutil.copyfile(lineage.encoded.file(name), folder / "parts" / name)
    write_serving(folder / "parts", kind="classify-series", serving={}, parts=[], model="")
    return folder / "parts"


def start(lineage: Lineage) -> SeriesClassifier:
    data = open_data(CANDIDATE, lineage.shards)
    return create_model(CANDIDATE, data, lineage.shards, warm_start.fn(CLASSIFY_SERIES, "model", lineage.encoded))


def test_on_equal_rows_it_starts_where_the_champion_ended(
    make_lineage: Callable[..., Lineage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    lineage = make_lineage(draw_table(40))
    parts = crown(monkeypatch, tmp_path, train(tmp_path, lineage))
    valid = open_data(CANDIDATE, lineage.shards)["valid"]

    ended = load_model(SeriesClassifier, parts).validate(valid, CANDIDATE.training)

    assert start(lineage).validate(valid, CANDIDATE.training).loss == pytest.approx(ended.loss, abs=1e-6)


def test_rows_of_another_scale_with_channels_in_another_order_are_read_as_the_champion_reads_them(
    make_lineage: Callable[..., Lineage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    parts = crown(monkeypatch, tmp_path, train(tmp_path, make_lineage(draw_table(40))))
    table = draw_table(40, seed=2).with_columns(x=3 * pl.col("x") - 4, y=0.2 * pl.col("y"))
    lineage = make_lineage(table, value_columns=("y", "x"))
    sequences = pl.read_parquet(lineage.splits.file("valid.parquet"))

    warm = start(lineage)

    scaler = Scaler.from_dict(pl.read_json(parts / "scaler.json").row(0, named=True))
    read = [numbers.to_numpy().reshape(-1, 2) for numbers in encode_sequences(sequences, scaler)]
    expected = predict_sequences(load_model(SeriesClassifier, parts), read, batch_steps=60)
    given = predict_shards(warm, open_data(CANDIDATE, lineage.shards)["valid"], batch_steps=60)
    assert set(given.row) == set(sequences["row"])
    in_order = given.logits[np.argsort(given.row)]
    np.testing.assert_allclose(in_order, expected[np.argsort(sequences["row"].to_numpy())], atol=1e-4)


def test_a_new_channel_and_a_new_class_have_weights_of_their_own(
    make_lineage: Callable[..., Lineage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    parts = crown(monkeypatch, tmp_path, train(tmp_path, make_lineage(draw_table(40))))
    table = draw_table(45, seed=2).with_columns(z=pl.col("y") + 1)
    number = pl.col("id").str.slice(1).cast(pl.Int64)
    table = table.with_columns(label=pl.when(number % 3 == 0).then(pl.lit("odd")).otherwise("label"))

    warm = start(make_lineage(table, value_columns=("z", "x")))

    earlier = load_model(SeriesClassifier, parts)
    assert torch.equal(warm.head.weight[[0, 2]], earlier.head.weight)  # down, odd, up
    assert warm.num_channels == 2


def test_rows_without_a_channel_that_it_knows_are_refused(
    make_lineage: Callable[..., Lineage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    crown(monkeypatch, tmp_path, train(tmp_path, make_lineage(draw_table(40))))
    lineage = make_lineage(draw_table(40).rename({"x": "a", "y": "b"}), value_columns=("a", "b"))

    assert refusal_of(CLASSIFY_SERIES, lineage.encoded).startswith(
        'E-TRN-002 model/1 cannot be started from: it knows none of the channels "a", "b", but "x", "y".\n'
    )
