"""The contenders of `forecast_training`: an LSTM of 128 units that reads 96 steps and forecasts 96, on ETTh1.

rnnflow and Darts forecast the seven channels of a window jointly; NeuralForecast takes each channel for a series of its
own, so a window of its is a seventh of theirs. All take 128 windows a step, AdamW or Adam, and no validation.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import measure

if TYPE_CHECKING:
    from rnnmodels.forecasters.windows import WindowBatch

LOOK_BACK, HORIZON, HIDDEN_SIZE, BATCH_WINDOWS = 96, 96, 128, 128
TRAIN_ROWS = 8640
MANY_EPOCHS = 1_000

Work = Callable[[float], dict]


@dataclass(frozen=True)
class Contender:
    """A way to train: started once, it then trains for some seconds whenever it is told to."""

    modules: tuple[str, ...]
    start: Callable[[Path], Work]


def read_training_rows(path: Path) -> tuple[list[str], np.ndarray]:
    """Read names and scaled values [rows, channels] of the training rows."""
    header = path.read_text().partition("\n")[0].split(",")[1:]
    values = np.loadtxt(path, delimiter=",", skiprows=1, usecols=range(1, len(header) + 1), max_rows=TRAIN_ROWS)
    return header, ((values - values.mean(axis=0)) / values.std(axis=0)).astype(np.float32)


def start_rnnflow(path: Path, *, precision: str) -> Work:
    """Train with the product's own `fit` on its own shards."""
    import tempfile

    from rnnmodels.forecasters.forecast_config import ForecastArchitecture, ForecastTraining
    from rnnmodels.forecasters.forecaster import SequenceForecaster
    from rnnmodels.forecasters.windows import Windows, open_windows
    from rnnmodels.training.fitting import fit

    _, values = read_training_rows(path)
    shard = write_shard(Path(tempfile.mkdtemp()) / "train.arrow", values)
    windows = open_windows(shard, look_back=LOOK_BACK, horizon=HORIZON)
    few = open_windows(write_shard(shard.with_name("few.arrow"), values[-200:]), look_back=LOOK_BACK, horizon=HORIZON)
    architecture = ForecastArchitecture(
        cell="lstm", hidden_size=HIDDEN_SIZE, decoder="direct", channels="joint", line_views=(), head_dropout=0
    )
    endless = {"epochs": MANY_EPOCHS, "patience": MANY_EPOCHS, "schedule": "constant"}
    training = ForecastTraining(**endless, batch_windows=BATCH_WINDOWS, loss="l2", device="cpu", precision=precision)
    model = SequenceForecaster(architecture, windows.shape)
    meter = {"windows": 0}

    class MeteredWindows(Windows):
        def batches(self, batch_size: int, **order: int) -> Iterator["WindowBatch"]:
            for batch in super().batches(batch_size, **order):
                yield batch
                meter["windows"] += len(batch.row)

    metered = MeteredWindows(**{field.name: getattr(windows, field.name) for field in fields(windows)})
    results = fit(model, metered, few, training)

    def work(seconds: float) -> dict:
        started, before = time.perf_counter(), meter["windows"]
        while time.perf_counter() - started < seconds:
            next(results)
        return {"windows_per_s": (meter["windows"] - before) / (time.perf_counter() - started)}

    return work


def write_shard(path: Path, values: np.ndarray) -> Path:
    """Write values as one segment, in the format of the stage `shard`."""
    import pyarrow as pa

    num_rows, num_channels = values.shape
    lists = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), num_channels)
    columns = {
        "row": pa.array(np.arange(num_rows, dtype=np.uint32)),
        "series": pa.array(np.zeros(num_rows, np.uint32)),
        "time": pa.array(np.arange(num_rows, dtype=np.int64)),
        "values": lists,
    }
    batch = pa.record_batch(columns)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return path


def lightning_options(seconds: float, meter: dict) -> dict:
    """Options of a Lightning trainer that stops after some seconds and counts its steps."""
    from pytorch_lightning.callbacks import Callback

    class Watch(Callback):
        def on_train_batch_start(self, *_: object) -> None:
            meter.setdefault("started", time.perf_counter())

        def on_train_batch_end(self, trainer: object, *_: object) -> None:
            meter["steps"] = meter.get("steps", 0) + 1
            meter["ended"] = time.perf_counter()
            if meter["ended"] - meter["started"] > seconds:
                trainer.should_stop = True

    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    return {"callbacks": [Watch()], "accelerator": "cpu", "enable_checkpointing": False, **quiet}


def lightning_figures(meter: dict) -> dict:
    """Windows per second of the steps that were counted."""
    return {"windows_per_s": meter["steps"] * BATCH_WINDOWS / (meter["ended"] - meter["started"])}


def start_darts(path: Path) -> Work:
    """Train a BlockRNNModel on the multivariate series."""
    from darts import TimeSeries
    from darts.models import BlockRNNModel

    _, values = read_training_rows(path)
    series = TimeSeries.from_values(values)

    def work(seconds: float) -> dict:
        meter: dict = {}
        model = BlockRNNModel(
            input_chunk_length=LOOK_BACK,
            output_chunk_length=HORIZON,
            model="LSTM",
            hidden_dim=HIDDEN_SIZE,
            n_rnn_layers=1,
            batch_size=BATCH_WINDOWS,
            n_epochs=MANY_EPOCHS,
            random_state=1,
            pl_trainer_kwargs=lightning_options(seconds, meter),
        )
        model.fit(series, verbose=False)
        return lightning_figures(meter)

    return work


def start_neuralforecast(path: Path) -> Work:
    """Train its LSTM on the channels as a panel of series."""
    import pandas as pd
    from neuralforecast import NeuralForecast
    from neuralforecast.models import LSTM

    names, values = read_training_rows(path)
    times = pd.date_range("2016-07-01", periods=TRAIN_ROWS, freq="h")
    frame = pd.concat(
        pd.DataFrame({"unique_id": name, "ds": times, "y": values[:, index]}) for index, name in enumerate(names)
    )

    def work(seconds: float) -> dict:
        meter: dict = {}
        model = LSTM(
            h=HORIZON,
            input_size=LOOK_BACK,
            encoder_hidden_size=HIDDEN_SIZE,
            encoder_n_layers=1,
            decoder_hidden_size=HIDDEN_SIZE,
            decoder_layers=1,
            recurrent=False,
            windows_batch_size=BATCH_WINDOWS,
            batch_size=len(names),
            max_steps=1_000_000,
            scaler_type="identity",
            **lightning_options(seconds, meter),
        )
        NeuralForecast(models=[model], freq="h").fit(frame)
        return lightning_figures(meter)

    return work


RNNFLOW = "rnnflow"
CONTENDERS = {
    RNNFLOW: Contender(("torch",), partial(start_rnnflow, precision="auto")),
    "rnnflow-float32": Contender(("torch",), partial(start_rnnflow, precision="float32")),
    "darts": Contender(("darts", "pytorch_lightning"), start_darts),
    "neuralforecast": Contender(("neuralforecast", "pytorch_lightning"), start_neuralforecast),
}


if __name__ == "__main__":
    measure.serve(lambda: CONTENDERS[sys.argv[1]].start(Path(sys.argv[2])))
