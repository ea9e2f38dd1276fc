"""The contenders of `forecast_time_to_quality`: recurrent forecasters 96 steps ahead on ETTh1, timed while they train.

The clock counts CPU seconds of training alone and stands still while a model is measured. A rival is measured on a part
of the validation windows now and then, and its best weights on all windows at the end; test decides nothing.
Shapes: B windows, L look-back, H horizon, C channels, N rows.
"""

import contextlib
import copy
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import measure

if TYPE_CHECKING:
    import torch

HORIZON = 96
TRAIN_UNTIL, VALID_UNTIL, TEST_UNTIL = 8640, 11_520, 14_400
SPLITS = {"valid": (TRAIN_UNTIL, VALID_UNTIL), "test": (VALID_UNTIL, TEST_UNTIL)}
GLANCE_STRIDE = 8
BATCH = 256
ENDLESS = 1_000_000

Forecast = Callable[[np.ndarray], np.ndarray]


class CpuClock:
    """CPU seconds of this process since the start; it stands still in blocks for which it is stopped."""

    def __init__(self, read: Callable[[], float] = time.process_time) -> None:
        self._read = read
        self._counted_s = 0.0
        self._since_s: float | None = read()

    @property
    def seconds(self) -> float:
        """What has been counted so far."""
        return self._counted_s + (0.0 if self._since_s is None else self._read() - self._since_s)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Leave a block out of the count."""
        self._counted_s, self._since_s = self.seconds, None
        try:
            yield
        finally:
            self._since_s = self._read()


@dataclass
class Watch:
    """Tells when to look at validation and when to stop, and remembers the best state and when it was reached."""

    budget_s: float
    every_s: float
    patience_s: float
    best_mse: float = float("inf")
    best_s: float = 0.0
    seen_s: float = 0.0
    best_state: dict = field(default_factory=dict)

    def is_due(self, now_s: float) -> bool:
        """Tell whether validation is to be looked at."""
        return now_s - self.seen_s >= self.every_s

    def see(self, now_s: float, valid_mse: float, take_state: Callable[[], dict]) -> None:
        """Take note of an error on validation, and of the state where it is the lowest so far."""
        self.seen_s = now_s
        if valid_mse < self.best_mse:
            self.best_mse, self.best_s, self.best_state = valid_mse, now_s, take_state()

    def is_over(self) -> bool:
        """Tell whether the budget is spent, or patience without a lower error."""
        return self.seen_s >= self.budget_s or self.seen_s - self.best_s >= self.patience_s


def read_scaled_rows(path: Path) -> np.ndarray:
    """Read all values (N, C) up to the last cut, scaled by mean and deviation of the training rows."""
    num_channels = path.read_text(encoding="utf-8").partition("\n")[0].count(",")
    values_NC = np.loadtxt(path, delimiter=",", skiprows=1, usecols=range(1, num_channels + 1), max_rows=TEST_UNTIL)
    train_NC = values_NC[:TRAIN_UNTIL]
    return ((values_NC - train_NC.mean(axis=0)) / train_NC.std(axis=0)).astype(np.float32)


def cut_windows(values_NC: np.ndarray, split: str, look_back: int) -> np.ndarray:
    """All windows (B, L + H, C) whose horizon lies in a split, as a view."""
    first, last = SPLITS[split]
    rows_NC = values_NC[first - look_back : last]
    return np.lib.stride_tricks.sliding_window_view(rows_NC, look_back + HORIZON, axis=0).transpose(0, 2, 1)


def measure_mse(forecast: Forecast, windows_BTC: np.ndarray) -> float:
    """Mean squared error over windows, steps and channels."""
    squares = 0.0
    for start in range(0, len(windows_BTC), BATCH):
        batch_BTC = np.ascontiguousarray(windows_BTC[start : start + BATCH])
        error_BHC = forecast(batch_BTC[:, :-HORIZON]) - batch_BTC[:, -HORIZON:]
        squares += np.square(error_BHC, dtype=np.float64).sum()
    return squares / (windows_BTC[:, -HORIZON:].size)


def channel_by_channel(forecast: Forecast) -> Forecast:
    """Let a forecaster of single series (B, L, 1) forecast all channels of windows."""

    def forecast_all(history_BLC: np.ndarray) -> np.ndarray:
        num_windows, look_back, num_channels = history_BLC.shape
        series = np.ascontiguousarray(history_BLC.transpose(0, 2, 1)).reshape(-1, look_back, 1)
        return forecast(series).reshape(num_windows, num_channels, HORIZON).transpose(0, 2, 1)

    return forecast_all


def forecast_darts(module: "torch.nn.Module", history_BLC: np.ndarray) -> np.ndarray:
    """Forecast with the network of a Darts model; it normalises by itself."""
    import torch
    from darts.utils.data.torch_datasets.utils import PLModuleInput

    return module(PLModuleInput(past_target=torch.from_numpy(history_BLC))).prediction[..., 0].numpy()


def forecast_neuralforecast(module: "torch.nn.Module", history_BL1: np.ndarray) -> np.ndarray:
    """Forecast with a model of NeuralForecast, through its own scaler."""
    import torch

    history = torch.from_numpy(history_BL1)
    scaled = module.scaler.transform(x=history, mask=torch.ones_like(history))
    absent = dict.fromkeys(("futr_exog", "hist_exog", "stat_exog"))
    output = module({"insample_y": scaled, "insample_mask": torch.ones_like(history), **absent})
    return module.scaler.inverse_transform(output).numpy()


@contextlib.contextmanager
def evaluating(module: "torch.nn.Module") -> Iterator[None]:
    """Switch dropout and gradients off for the duration of a block."""
    import torch

    was_training = module.training
    module.eval()
    with torch.no_grad():
        yield
    module.train(was_training)


def build_callback(watch: Watch, forecast_with: Callable, glance_BTC: np.ndarray) -> object:
    """Make the Lightning callback that looks at validation when it is due and ends the training."""
    from pytorch_lightning import Callback

    class Observer(Callback):
        clock: CpuClock

        def on_train_start(self, *_: object) -> None:
            self.clock = CpuClock()

        def on_train_batch_end(self, trainer: object, module: "torch.nn.Module", *_: object) -> None:
            if watch.is_due(self.clock.seconds):
                with self.clock.stopped():
                    self._look(module)
                trainer.should_stop = watch.is_over()

        def _look(self, module: "torch.nn.Module") -> None:
            with evaluating(module):
                mse = measure_mse(forecast_with(module), glance_BTC)
            print(f"{self.clock.seconds:.0f} CPU s: {mse:.4f}", file=sys.stderr, flush=True)
            watch.see(self.clock.seconds, mse, lambda: copy.deepcopy(module.state_dict()))

    return Observer()


def train_rival(rival: str, config: dict, file: Path, seed: int, watch: Watch, *, is_final: bool) -> dict:
    """Train one configuration of a rival; a final one's best weights are measured on all windows."""
    values_NC = read_scaled_rows(file)
    forecast_with = {"darts": darts_forecasts, "neuralforecast": neuralforecast_forecasts}[rival](config)
    glance_BTC = cut_windows(values_NC, "valid", config["look_back"])[::GLANCE_STRIDE]
    options = {
        "callbacks": [build_callback(watch, forecast_with, glance_BTC)],
        "accelerator": "cpu",
        **dict.fromkeys(("enable_progress_bar", "enable_model_summary", "enable_checkpointing", "logger"), False),
    }
    train = {"darts": train_darts, "neuralforecast": train_neuralforecast}[rival]
    started_s = time.perf_counter()
    module = train(config, values_NC[:TRAIN_UNTIL], seed, options)
    wall_s = time.perf_counter() - started_s
    figures = {
        "glance_mse": watch.best_mse,
        "best_s": watch.best_s,
        "seen_s": watch.seen_s,
        "wall_s": wall_s,
        "num_parameters": sum(parameter.numel() for parameter in module.parameters()),
    }
    if not is_final:
        return figures
    module.load_state_dict(watch.best_state)
    with evaluating(module):
        errors = {
            f"{split}_mse": measure_mse(forecast_with(module), cut_windows(values_NC, split, config["look_back"]))
            for split in SPLITS
        }
    return {**figures, **errors}


def darts_forecasts(config: dict) -> Callable:
    """How a Darts module of a configuration forecasts windows."""

    def forecast_with(module: "torch.nn.Module") -> Forecast:
        def forecast(history_BLC: np.ndarray) -> np.ndarray:
            return forecast_darts(module, history_BLC)

        return forecast if config["joint"] else channel_by_channel(forecast)

    return forecast_with


def neuralforecast_forecasts(config: dict) -> Callable:  # noqa: ARG001 (its recurrent models read one series each)
    """How a module of NeuralForecast forecasts windows."""
    return lambda module: channel_by_channel(lambda history_BL1: forecast_neuralforecast(module, history_BL1))


def train_darts(config: dict, values_NC: np.ndarray, seed: int, options: dict) -> "torch.nn.Module":
    """Train a BlockRNNModel on the channels together or as a panel of series, and return its network."""
    from darts import TimeSeries
    from darts.models import BlockRNNModel

    model = BlockRNNModel(
        input_chunk_length=config["look_back"],
        output_chunk_length=HORIZON,
        model=config["cell"],
        hidden_dim=config["hidden_size"],
        n_rnn_layers=config["layers"],
        dropout=config["dropout"],
        use_reversible_instance_norm=config["normalization"] == "RINorm",
        batch_size=config["batch"],
        optimizer_kwargs={"lr": config["learning_rate"]},
        n_epochs=ENDLESS,
        random_state=seed,
        pl_trainer_kwargs=options,
    )
    if config["joint"]:
        series = TimeSeries.from_values(values_NC)
    else:
        series = [TimeSeries.from_values(channel_N[:, None]) for channel_N in values_NC.T]
    model.fit(series, verbose=False)
    return model.model


def train_neuralforecast(config: dict, values_NC: np.ndarray, seed: int, options: dict) -> "torch.nn.Module":
    """Train a recurrent model of NeuralForecast on the channels as a panel of series, and return it."""
    import pandas as pd
    from neuralforecast import NeuralForecast, models
    from neuralforecast.losses import pytorch as losses

    times = pd.date_range("2016-07-01", periods=len(values_NC), freq="h")
    frame = pd.concat(
        pd.DataFrame({"unique_id": str(index), "ds": times, "y": channel_N})
        for index, channel_N in enumerate(values_NC.T)
    )
    model = getattr(models, config["cell"])(
        h=HORIZON,
        input_size=config["look_back"],
        encoder_hidden_size=config["hidden_size"],
        encoder_n_layers=config["layers"],
        encoder_dropout=config["dropout"],
        decoder_hidden_size=config["hidden_size"],
        recurrent=False,
        loss=getattr(losses, config["loss"])(),
        scaler_type=config["normalization"],
        learning_rate=config["learning_rate"],
        windows_batch_size=config["batch"],
        batch_size=values_NC.shape[1],
        training_data_availability_threshold=1.0,
        step_size=config["stride"],
        max_steps=ENDLESS,
        random_seed=seed,
        **options,
    )
    NeuralForecast(models=[model], freq="h").fit(frame)
    return model


def train_ours(recipe_name: str, file: Path, seed: int, home: Path) -> dict:
    """Train a shipped recipe on the product's own windows; measured after its line and after every epoch."""
    os.environ["RNNFLOW_HOME"] = str(home)
    from benchmarks.forecast_quality import measure_errors, prepare_data
    from flows.recipes.recipe import load_recipe
    from rnnmodels.forecasters.forecaster import SequenceForecaster
    from rnnmodels.training.fitting import fit
    from tasks.kinds.forecast.fit import open_data

    recipe = load_recipe(recipe_name, settings=[f"training.seed={seed}"], from_file=str(file))
    (candidate,) = recipe.candidates
    data = open_data(candidate, prepare_data(recipe).shards)
    points: list[dict] = []

    def record(model: SequenceForecaster, part: str, recurrent_weight: float) -> None:
        model.recurrent_weight.fill_(recurrent_weight)
        errors = {f"{split}_mse": measure_errors(model, data[split])["mse"] for split in SPLITS}
        points.append({"part": part, "cpu_s": clock.seconds, **errors})
        print(points[-1], file=sys.stderr, flush=True)

    class Watched(SequenceForecaster):
        def validate(self, *arguments: object) -> object:
            # The average of the weights is in place here and only here.
            with clock.stopped():
                validation = super().validate(*arguments)
                record(self, f"epoch {len(points)}", validation.metrics["recurrent_weight"])
            return validation

    started_s, clock = time.perf_counter(), CpuClock()
    model = Watched(candidate.model, data["train"].shape, seed=seed)
    if model.prepare(data["train"], data["valid"]):
        with clock.stopped():
            record(model, "line", 0.0)
    for _ in fit(model, data["train"], data["valid"], candidate.training):
        pass
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"points": points, "wall_s": time.perf_counter() - started_s, "num_parameters": num_parameters}


def main() -> None:
    """Train what the first argument, as JSON, describes, and answer with its figures."""
    job = json.loads(sys.argv[1])
    file, seed = Path(job["file"]), job["seed"]
    with measure.answering() as out:
        if "recipe" in job:
            figures = train_ours(job["recipe"], file, seed, Path(job["home"]))
        else:
            watch = Watch(**job["watch"])
            figures = train_rival(job["rival"], job["config"], file, seed, watch, is_final=job["is_final"])
        measure.answer(figures, out)


if __name__ == "__main__":
    main()
