"""The contenders of `training`: an LSTM of 128 units on embeddings of 100, trained on the same reviews.

The torch contenders share the model, the loss, AdamW and the clipping of rnnflow; they differ in how rows become
batches and in what a batch costs. Keras brings its own of each. Every contender trains without dropout.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import measure

if TYPE_CHECKING:
    import tensorflow as tf

    from rnnmodels.classifiers.batches import Batch, Shards
    from rnnmodels.classifiers.classifier import SequenceClassifier
    from rnnmodels.config import Training

TORCH = ("torch",)
KERAS = ("keras", "tensorflow")
MANY_EPOCHS = 1_000
NUM_VALIDATED_ROWS = 8


@dataclass
class Meter:
    """Rows trained on so far, and the seconds spent waiting for batches."""

    rows: int = 0
    loader_s: float = 0.0

    def watch(self, batches: "Iterator[Batch]") -> "Iterator[Batch]":
        """Pass batches through; a batch counts as trained on when the next one is asked for."""
        while True:
            started = time.perf_counter()
            batch = next(batches, None)
            self.loader_s += time.perf_counter() - started
            if batch is None:
                return
            yield batch
            self.rows += len(batch.row)


@dataclass(frozen=True)
class Setup:
    """What a contender is told: the folder of shards, the device, the padded tokens of a batch."""

    folder: Path
    device: str
    batch_tokens: int
    meter: Meter = field(default_factory=Meter)

    @property
    def layout(self) -> dict:
        """The description of the shards."""
        return json.loads((self.folder / "shards.json").read_bytes())

    @property
    def num_batch_rows(self) -> int:
        """Rows of a shuffled batch that holds, on average, as many real tokens as a bucketed one."""
        entries = [entry for entry in self.layout["files"] if entry["split"] == "train"]
        mean_length = sum(entry["tokens"] for entry in entries) / sum(entry["rows"] for entry in entries)
        return round(self.batch_tokens / mean_length)

    def open_split(self, split: str) -> "Shards":
        """Memory-map the shards of one split."""
        from rnnmodels.classifiers.batches import open_shards

        return open_shards([self.folder / entry["file"] for entry in self.layout["files"] if entry["split"] == split])

    def build_model(self) -> "SequenceClassifier":
        """Make the network that all torch contenders train."""
        from rnnmodels.classifiers.classifier import SequenceClassifier
        from rnnmodels.config import Architecture

        no_dropout = {"embedding_dropout": 0, "locked_dropout": 0, "head_dropout": 0}
        architecture = Architecture(cell="lstm", embedding_size=100, hidden_size=128, pooling="last", **no_dropout)
        sizes = {name: self.layout[name] for name in ("vocabulary_size", "num_classes")}
        return SequenceClassifier(architecture, **sizes)

    def training(self, precision: str, **changes: object) -> "Training":
        """Settings of a fit that ends only when it is told to, unless changed."""
        from rnnmodels.config import Training

        endless = {"epochs": MANY_EPOCHS, "patience": MANY_EPOCHS, "schedule": "constant"}
        where = {"device": self.device, "precision": precision, "batch_tokens": self.batch_tokens}
        return Training(**endless | where | changes)


@dataclass(frozen=True)
class Contender:
    """A way to train: started once, it then trains for some seconds whenever it is told to."""

    modules: tuple[str, ...]
    start: Callable[[Setup], Callable[[float], dict]]


def fit_as_the_product(setup: Setup, *, precision: str) -> Iterator[object]:
    """Train with the product's own `fit`; validation sees a handful of rows."""
    from rnnmodels.classifiers.batches import Shards
    from rnnmodels.training.fitting import fit

    class MeteredShards(Shards):
        def batches(self, batch_tokens: int, *, seed: int | None = None, epoch: int = 0) -> Iterator["Batch"]:
            return setup.meter.watch(super().batches(batch_tokens, seed=seed, epoch=epoch))

    train, valid = setup.open_split("train"), setup.open_split("valid")
    few_rows = Shards(valid.paths[:1], (valid.blocks[0].take(slice(NUM_VALIDATED_ROWS)),))
    yield from fit(setup.build_model(), MeteredShards(train.paths, train.blocks), few_rows, setup.training(precision))


def fit_shuffled(setup: Setup, *, is_packed: bool) -> Iterator[None]:
    """Train on shuffled batches of a fixed number of rows: packed, or all padded to the greatest length.

    Arithmetic is torch's default on a CPU, and that of rnnflow on CUDA.
    """
    from rnnmodels.classifiers.packed import packed_twin
    from rnnmodels.training.device import resolve_device, resolve_precision
    from rnnmodels.training.training_step import TrainingStep

    training = setup.training("float32" if setup.device == "cpu" else "auto")
    device = resolve_device(setup.device)
    model = setup.build_model().to(device)
    arithmetic = resolve_precision(training, model.architecture, device)
    step = TrainingStep(packed_twin(model) if is_packed else model, training, arithmetic)
    width = 0 if is_packed else setup.layout["max_length"]
    for number, batch in enumerate(setup.meter.watch(shuffled_batches(setup, width=width)), start=1):
        step.run(batch, rate=training.learning_rate, epoch=1, step=number)
        yield


def shuffled_batches(setup: Setup, *, width: int) -> "Iterator[Batch]":
    """Yield batches of random rows without end, padded to the longest or to `width` where that is wider."""
    from rnnmodels.classifiers.inference import pad_sequences

    sequences, targets = read_sequences(setup)
    generator = np.random.default_rng(1)
    while True:
        order = generator.permutation(len(sequences))
        for start in range(0, len(order), setup.num_batch_rows):
            rows = order[start : start + setup.num_batch_rows]
            batch = pad_sequences([sequences[row] for row in rows], row=rows, width=width)
            yield replace(batch, target=targets[rows])


def read_sequences(setup: Setup) -> tuple[list[np.ndarray], np.ndarray]:
    """Read the training rows without their padding, and their targets."""
    blocks = setup.open_split("train").blocks
    sequences = [tokens[:length] for block in blocks for tokens, length in zip(block.steps, block.length, strict=True)]
    return sequences, np.concatenate([block.target for block in blocks])


def work_of_torch(fit: Callable[[Setup], Iterator[object]], setup: Setup) -> Callable[[float], dict]:
    """Make a torch contender that trains for some seconds at a time."""
    fitting = fit(setup)

    def work(seconds: float) -> dict:
        before = Meter(setup.meter.rows, setup.meter.loader_s)
        started = time.perf_counter()
        while (wall_s := time.perf_counter() - started) < seconds:
            next(fitting)
        loader_s = setup.meter.loader_s - before.loader_s
        return {"rows_per_s": (setup.meter.rows - before.rows) / wall_s, "loader_share": loader_s / wall_s}

    return work


def work_of_keras(setup: Setup, *, is_masked: bool) -> Callable[[float], dict]:
    """Make a Keras contender that trains for some seconds at a time."""
    import keras
    import tensorflow as tf

    num_threads = int(os.environ["OMP_NUM_THREADS"])
    tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(num_threads)
    embedding = keras.layers.Embedding(setup.layout["vocabulary_size"], 100, mask_zero=is_masked)
    head = keras.layers.Dense(setup.layout["num_classes"])
    model = keras.Sequential([embedding, keras.layers.LSTM(128), head])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(2e-3, weight_decay=0.01, global_clipnorm=1.0), loss)
    batches = keras_batches(setup)

    def work(seconds: float) -> dict:
        started, num_batches = 0.0, 0

        def stop_in_time(batch: int, logs: dict) -> None:  # noqa: ARG001  Keras passes both by name
            # The first batch of a call fills the shuffle buffer, so the clock starts after it.
            nonlocal started, num_batches
            started, num_batches = (started, batch) if batch else (time.perf_counter(), 0)
            model.stop_training = batch > 0 and time.perf_counter() - started >= seconds

        model.fit(batches, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=stop_in_time)])
        return {"rows_per_s": num_batches * setup.num_batch_rows / (time.perf_counter() - started)}

    return work


def keras_batches(setup: Setup) -> "tf.data.Dataset":
    """Shuffle without end, pad each batch to its longest row and prefetch, all within tf.data."""
    import tensorflow as tf

    sequences, targets = read_sequences(setup)
    lengths = [len(sequence) for sequence in sequences]
    tokens = tf.RaggedTensor.from_row_lengths(np.concatenate(sequences).astype(np.int32), lengths)
    rows = tf.data.Dataset.from_tensor_slices((tokens, targets.astype(np.int32))).shuffle(len(lengths)).repeat()
    ragged = rows.batch(setup.num_batch_rows)
    return ragged.map(lambda tokens, target: (tokens.to_tensor(), target)).prefetch(tf.data.AUTOTUNE)


def torch_contender(fit: Callable[..., Iterator[object]], **options: object) -> Callable[[Setup], Callable]:
    """Bind a way to fit to its options."""
    return partial(work_of_torch, partial(fit, **options))


RNNFLOW = "rnnflow"
CONTENDERS = {
    RNNFLOW: Contender(TORCH, torch_contender(fit_as_the_product, precision="auto")),
    "rnnflow-float32": Contender(TORCH, torch_contender(fit_as_the_product, precision="float32")),
    "packed": Contender(TORCH, torch_contender(fit_shuffled, is_packed=True)),
    "padded-to-maximum": Contender(TORCH, torch_contender(fit_shuffled, is_packed=False)),
    "keras-masked": Contender(KERAS, partial(work_of_keras, is_masked=True)),
    "keras-unmasked": Contender(KERAS, partial(work_of_keras, is_masked=False)),
}


def main() -> None:
    """Serve a driver as one contender: NAME FOLDER DEVICE BATCH_TOKENS."""
    name, folder, device, batch_tokens = sys.argv[1:]
    measure.serve(partial(CONTENDERS[name].start, Setup(Path(folder), device, int(batch_tokens))))


if __name__ == "__main__":
    main()
