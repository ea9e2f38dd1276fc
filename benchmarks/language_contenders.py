"""The contenders of `language_training`: one LSTM over characters, trained on the same text in batches of one shape."""

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import measure

if TYPE_CHECKING:
    import torch
    from torch import nn

TORCH = ("torch",)
KERAS = ("keras", "tensorflow")
EMBEDDING_SIZE = 64
LEARNING_RATE = 2e-3
MANY_EPOCHS = 1_000


@dataclass(frozen=True)
class Setup:
    """What a contender is told: the text, the width of the LSTM, the shape of a batch."""

    text: str
    hidden_size: int
    num_rows: int
    num_steps: int

    def as_json(self) -> str:
        """The arguments as one."""
        return json.dumps(dataclasses.asdict(self))

    def read_ids(self) -> np.ndarray:
        """The text as ids from 2 on, since two are reserved."""
        text = np.frombuffer(Path(self.text).read_text(encoding="utf-8").encode("utf-32-le"), np.uint32)
        return (np.unique(text, return_inverse=True)[1] + 2).astype(np.int64)


@dataclass(frozen=True)
class Contender:
    """A way to train: started once, it then trains for some seconds whenever it is told to."""

    modules: tuple[str, ...]
    start: Callable[[Setup], Callable[[float], dict]]


def fit_streams(setup: Setup) -> Iterator[int]:
    """Train with the product's own `fit`; yields the characters of each step."""
    from rnnmodels.language import language_model
    from rnnmodels.language.language_config import LanguageArchitecture, LanguageTraining
    from rnnmodels.language.token_streams import Chunk, TokenStream, stream_of
    from rnnmodels.training.fitting import fit

    taken = []

    class Counted(TokenStream):
        digest = "in memory"

        def batches(self, batch_size: int, *, seed: int | None = None, epoch: int = 0) -> Iterator[Chunk]:
            for chunk in super().batches(batch_size, seed=seed, epoch=epoch):
                taken.append(chunk.tokens_TS.size)
                yield chunk

    ids, plain = setup.read_ids(), {"output_dropout": 0.0, "locked_dropout": 0.0}
    stream = stream_of([ids], bptt=setup.num_steps)
    train = Counted(**{field.name: getattr(stream, field.name) for field in dataclasses.fields(stream)})
    architecture = LanguageArchitecture(hidden_size=setup.hidden_size, embedding_size=EMBEDDING_SIZE, **plain)
    model = language_model.LanguageModel(architecture, vocabulary_size=int(ids.max()) + 1)
    endless = {"epochs": MANY_EPOCHS, "patience": MANY_EPOCHS, "schedule": "constant", "device": "cpu"}
    shape = {"streams": setup.num_rows, "bptt": setup.num_steps, "learning_rate": LEARNING_RATE, "precision": "float32"}
    fitting = fit(model, train, train, LanguageTraining(**endless, **shape))
    yield from steps_of(fitting, taken)


def steps_of(fitting: Iterator[object], taken: list[int]) -> Iterator[int]:
    """Yield what was taken since the last result of a fit."""
    for _ in fitting:
        yield sum(taken)
        taken.clear()


def fit_windows(setup: Setup, *, every_step: bool) -> Iterator[int]:
    """Train as tutorials do: windows from a Dataset through a DataLoader, each with an empty state."""
    import torch
    from torch.nn import functional
    from torch.utils.data import DataLoader, Dataset

    ids = torch.from_numpy(setup.read_ids())

    class Windows(Dataset):
        def __len__(self) -> int:
            return len(ids) - setup.num_steps - 1

        def __getitem__(self, index: int) -> tuple["torch.Tensor", "torch.Tensor"]:
            stop = index + setup.num_steps
            return ids[index:stop], ids[index + 1 : stop + 1]

    network = build_network(setup, int(ids.max()) + 1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    while True:
        for tokens_BT, target_BT in DataLoader(Windows(), batch_size=setup.num_rows, shuffle=True, drop_last=True):
            states_BTH, _ = network["lstm"](network["embedding"](tokens_BT))
            kept = slice(None) if every_step else slice(-1, None)
            logits = network["head"](states_BTH[:, kept])
            loss = functional.cross_entropy(logits.flatten(0, 1), target_BT[:, kept].flatten())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            loss.item()
            yield target_BT[:, kept].numel()


def build_network(setup: Setup, vocabulary_size: int) -> "nn.ModuleDict":
    """The same layers in torch's own modules."""
    from torch import nn

    return nn.ModuleDict(
        {
            "embedding": nn.Embedding(vocabulary_size, EMBEDDING_SIZE),
            "lstm": nn.LSTM(EMBEDDING_SIZE, setup.hidden_size, batch_first=True),
            "head": nn.Linear(setup.hidden_size, vocabulary_size),
        }
    )


def work_of_torch(fit: Callable[[Setup], Iterator[int]], setup: Setup) -> Callable[[float], dict]:
    """Make a torch contender that trains for some seconds at a time."""
    fitting = fit(setup)

    def work(seconds: float) -> dict:
        started, num_chars = time.perf_counter(), 0
        while (wall_s := time.perf_counter() - started) < seconds:
            num_chars += next(fitting)
        return {"chars_per_s": num_chars / wall_s}

    return work


def multiply(setup: Setup) -> Callable[[float], dict]:
    """Do nothing but the products of the recurrence, forwards and twice backwards."""
    import torch

    state_BH, weight_HG = (
        torch.randn(setup.num_rows, setup.hidden_size),
        torch.randn(setup.hidden_size, 4 * setup.hidden_size),
    )
    gates_BG = torch.randn(setup.num_rows, 4 * setup.hidden_size)

    def work(seconds: float) -> dict:
        started, num_steps = time.perf_counter(), 0
        while (wall_s := time.perf_counter() - started) < seconds:
            for _ in range(setup.num_steps):
                torch.mm(state_BH, weight_HG)
                torch.mm(gates_BG, weight_HG.T)
            # The gradient of the weights is one product over all steps.
            states_NH, gates_NG = state_BH.repeat(setup.num_steps, 1), gates_BG.repeat(setup.num_steps, 1)
            torch.mm(states_NH.T, gates_NG)
            num_steps += setup.num_steps
        return {"chars_per_s": num_steps * setup.num_rows / wall_s}

    return work


def work_of_keras(setup: Setup) -> Callable[[float], dict]:
    """Make a Keras contender that trains for some seconds at a time."""
    import keras
    import tensorflow as tf

    num_threads = int(os.environ["OMP_NUM_THREADS"])
    tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(num_threads)
    ids = setup.read_ids().astype(np.int32)
    layers = keras.layers
    recurrent = layers.LSTM(setup.hidden_size, return_sequences=True)
    size = int(ids.max()) + 1
    model = keras.Sequential([layers.Embedding(size, EMBEDDING_SIZE), recurrent, layers.Dense(size)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(LEARNING_RATE, global_clipnorm=1.0), loss)
    windows = keras.utils.timeseries_dataset_from_array(
        ids[:-1], None, setup.num_steps + 1, batch_size=setup.num_rows, shuffle=True
    )
    whole = windows.filter(lambda rows: tf.shape(rows)[0] == setup.num_rows)
    batches = whole.map(lambda rows: (rows[:, :-1], rows[:, 1:])).repeat().prefetch(tf.data.AUTOTUNE)

    def work(seconds: float) -> dict:
        started, num_batches = 0.0, 0

        def stop_in_time(batch: int, logs: dict) -> None:  # noqa: ARG001  Keras passes both by name
            # The first batch of a call fills the shuffle buffer, so the clock starts after it.
            nonlocal started, num_batches
            started, num_batches = (started, batch) if batch else (time.perf_counter(), 0)
            model.stop_training = batch > 0 and time.perf_counter() - started >= seconds

        model.fit(batches, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=stop_in_time)])
        return {"chars_per_s": num_batches * setup.num_rows * setup.num_steps / (time.perf_counter() - started)}

    return work


RNNFLOW, PRODUCTS = "rnnflow", "products"
CONTENDERS = {
    RNNFLOW: Contender(TORCH, partial(work_of_torch, fit_streams)),
    "tutorial-every-step": Contender(TORCH, partial(work_of_torch, partial(fit_windows, every_step=True))),
    "tutorial-last-step": Contender(TORCH, partial(work_of_torch, partial(fit_windows, every_step=False))),
    "keras": Contender(KERAS, work_of_keras),
    PRODUCTS: Contender(TORCH, multiply),
}


def main() -> None:
    """Serve a driver as one contender: NAME SETUP."""
    name, setup = sys.argv[1:]
    measure.serve(partial(CONTENDERS[name].start, Setup(**json.loads(setup))))


if __name__ == "__main__":
    main()
