"""The classifier of numbers: padding, batch-mates, disturbance, learning, shards."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from rnnmodels.classifiers.batches import Batch, Shards, open_shards
from rnnmodels.classifiers.certificate import certify_invariance
from rnnmodels.classifiers.inference import predict_sequences, predict_shards
from rnnmodels.classifiers.series_classifier import SeriesClassifier
from rnnmodels.classifiers.series_config import SeriesArchitecture, SeriesTraining
from rnnmodels.layers import pooling
from rnnmodels.training.checkpoint import load_model, save_model
from rnnmodels.training.fitting import fit

NUM_CHANNELS, NUM_CLASSES = 3, 2


def make_series_model(seed: int = 1, **architecture: object) -> SeriesClassifier:
    small = {"hidden_size": 8, "cell": "gru"} | architecture
    return SeriesClassifier(SeriesArchitecture(**small), num_channels=NUM_CHANNELS, num_classes=NUM_CLASSES, seed=seed)


def random_sequences(lengths: tuple[int, ...], *, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.standard_normal((length, NUM_CHANNELS), dtype=np.float32) for length in lengths]


def write_values(path: Path, sequences: list[np.ndarray], targets: list[int], width: int) -> Path:
    """Write sequences as the stage `shard` does."""
    values = np.zeros((len(sequences), width, NUM_CHANNELS), np.float32)
    for position, sequence in enumerate(sequences):
        values[position, : len(sequence)] = sequence
    steps = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), NUM_CHANNELS)
    columns = {
        "row": pa.array(range(len(sequences)), pa.uint32()),
        "length": pa.array([len(sequence) for sequence in sequences], pa.uint32()),
        "target": pa.array(targets, pa.uint16()),
        "values": pa.FixedSizeListArray.from_arrays(steps, width),
    }
    table = pa.table(columns)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=10)
    return path


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    """Sequences of 5 to 9 steps, whose class is the sign of their first channel's sum."""
    sequences = random_sequences(tuple(5 + index % 5 for index in range(60)))
    targets = [int(sequence[:, 0].sum() > 0) for sequence in sequences]
    return open_shards([write_values(tmp_path / "train-00009.arrow", sequences, targets, 9)])


def test_blocks_are_views_of_the_file_with_an_axis_for_channels(shards: Shards):
    sequences = random_sequences(tuple(5 + index % 5 for index in range(60)))

    assert [block.steps.shape for block in shards.blocks] == [(10, 9, 3)] * 6
    assert not shards.blocks[0].steps.flags.owndata
    for batch in shards.batches(45, seed=1):
        assert batch.steps.dtype == np.float32
        assert len(batch.row) * 9 <= 45
        for row, values, length in zip(batch.row, batch.steps, batch.length, strict=True):
            assert np.array_equal(values[:length], sequences[row])
            assert not values[length:].any()


@pytest.mark.parametrize("pooling_kind", ["last", "mean", "max", "concat", "attention"])
@pytest.mark.parametrize("layers", [{}, {"bidirectional": True, "num_layers": 2, "projection_size": 4}])
def test_logits_depend_on_the_sequence_alone(pooling_kind: str, layers: dict):
    model = make_series_model(pooling=pooling_kind, **layers)

    certificate = certify_invariance(model, random_sequences((1, 2, 9, 33)))

    assert certificate.passed, certificate


def test_pooling_without_its_mask_is_caught(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pooling, "is_real_step", lambda length_B, steps: torch.ones(steps, len(length_B), dtype=bool))

    assert not certify_invariance(make_series_model(), random_sequences((1, 2, 9, 33))).passed


def test_noise_and_dropped_steps_disturb_training_alone():
    values_BTC = torch.from_numpy(random_sequences((6,))[0])[None]
    still = make_series_model(input_noise=0, locked_dropout=0, head_dropout=0)
    lengths = torch.tensor([6])
    for disturbance in ({"input_noise": 0.5}, {"step_dropout": 0.5}):
        model = make_series_model(**{"input_noise": 0, "locked_dropout": 0, "head_dropout": 0} | disturbance)
        torch.manual_seed(1)  # one draw in 64 drops no step at all
        assert not torch.equal(model.train()(values_BTC, lengths), model(values_BTC, lengths))
        assert torch.equal(model.eval()(values_BTC, lengths), still.eval()(values_BTC, lengths))
    assert torch.equal(still.train()(values_BTC, lengths), still.eval()(values_BTC, lengths))


def test_a_dropped_step_loses_all_its_channels():
    model = make_series_model(input_noise=0, step_dropout=0.5).train()

    kept = model._disturb(torch.ones(200, 1, NUM_CHANNELS))

    assert (kept == kept[..., :1]).all()
    assert set(kept[:, 0, 0].tolist()) == {0.0, 2.0}


def test_the_same_seed_gives_the_same_weights_and_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    first, second, other = make_series_model(4), make_series_model(4), make_series_model(5)

    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(weight, second.get_parameter(name)) for name, weight in first.named_parameters())
    assert not torch.equal(first.head.weight, other.head.weight)


def test_a_fit_learns_resumes_to_the_same_bits_and_is_saved(shards: Shards, tmp_path: Path):
    training = SeriesTraining(epochs=6, learning_rate=0.02, batch_steps=90, patience=6, device="cpu", ema_decay=0.9)
    whole = make_series_model(input_noise=0.05)
    epochs = [result for result in fit(whole, shards, shards, training) if hasattr(result, "valid_loss")]
    assert epochs[-1].valid_metrics["accuracy"] > 0.9

    stopped = fit(make_series_model(input_noise=0.05), shards, shards, training, checkpoints=tmp_path / "checkpoints")
    while getattr(next(stopped), "epoch", 0) < 3:
        pass
    stopped.close()
    resumed = make_series_model(input_noise=0.05)
    for _ in fit(resumed, shards, shards, training, checkpoints=tmp_path / "checkpoints", resume=True):
        pass
    assert all(torch.equal(weight, resumed.get_parameter(name)) for name, weight in whole.named_parameters())

    save_model(whole, tmp_path / "model")
    loaded = load_model(SeriesClassifier, tmp_path / "model")
    expected = predict_shards(whole, shards, batch_steps=90)
    assert np.array_equal(predict_shards(loaded, shards, batch_steps=90).logits, expected.logits)


def test_sequences_are_scored_in_their_order_whatever_the_batches():
    model, sequences = make_series_model(bidirectional=True), random_sequences((3, 9, 1, 5))
    alone = np.concatenate([predict_sequences(model, [sequence], batch_steps=9) for sequence in sequences])

    for batch_steps in (1, 12, 1000):
        together = predict_sequences(model, sequences, batch_steps=batch_steps)
        np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("value", "channels", "problem"),
    [
        (np.nan, 3, "row 7: got value nan, expected a finite number"),
        (1.0, 2, "row 7: got 2 channels, expected 3"),
    ],
)
def test_what_the_model_cannot_read_is_named(value: float, channels: int, problem: str):
    steps = np.full((1, 4, channels), value, np.float32)
    batch = Batch(np.array([7]), steps, np.array([4]), np.array([0]))

    with pytest.raises(ValueError, match=f"^{re.escape(problem)}$"):
        make_series_model().check(Shards((), (batch,)))
