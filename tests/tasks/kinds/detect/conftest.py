"""A small panel of series with planted anomalies, taken through the real stages."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from rnnmodels.training.checkpoint import save_model
from tasks.contract.contest import Scored
from tasks.contract.lineage import Lineage
from tasks.contract.summaries import FittedSummary
from tasks.encode import encode
from tasks.fit import fit
from tasks.ingest import ingest
from tasks.kinds.detect.encode import LevelSettings
from tasks.kinds.detect.fit import DetectorCandidate, create_model, finish_model, open_data
from tasks.kinds.detect.recipe import DETECT
from tasks.kinds.detect.register import assemble_parts
from tasks.kinds.detect.served_detector import SeriesDetector
from tasks.kinds.detect.shard import DetectionWindowSettings
from tasks.kinds.detect.source import DetectionSource
from tasks.kinds.detect.split import WarmUpSettings
from tasks.shard import shard
from tasks.split import split
from tasks.store import artefacts
from tasks.store.artefacts import Artefact

NUM_ROWS, WARM_UP, SPIKE = 160, 60, 120
START = datetime(2026, 3, 1)
SPLIT = WarmUpSettings(warm_up=WARM_UP / NUM_ROWS, valid=0.4)
WINDOWS = DetectionWindowSettings(look_back=8, horizon=4)
CANDIDATE = DetectorCandidate(
    name="gru",
    model={"cell": "gru", "hidden_size": 6, "segment_length": 4},
    training={"epochs": 6, "batch_windows": 8, "learning_rate": 1e-2, "ema_decay": 0, "device": "cpu"},
)
MORE = 40
# The stored rows reach back 122 of 160: the long run, the short one and a window.
SHORT_MEMORY = DetectorCandidate(
    **CANDIDATE.model_dump() | {"detector": {"likelihood": {"long_run_rows": 100}, "events": {"gap_share": 0.1}}}
)


def draw_panel(seeds: Sequence[int] = (1, 2), *, num_channels: int = 1) -> pl.DataFrame:
    """Waves every half hour, each with a spike that is labelled: columns id, time, value (value_2 ...), anomaly."""
    return pl.concat([_draw_series(seed, num_channels) for seed in seeds])


def _draw_series(seed: int, num_channels: int) -> pl.DataFrame:
    draw, rows = np.random.default_rng(seed), np.arange(NUM_ROWS)
    waves = {
        f"value_{channel}" if channel else "value": 50 + 9 * np.sin(rows / 4 + channel) + draw.normal(size=NUM_ROWS)
        for channel in range(num_channels)
    }
    list(waves.values())[-1][SPIKE] += 60
    times = [START + timedelta(minutes=30 * int(row)) for row in rows]
    return pl.DataFrame({"id": f"s{seed}", "time": times, **waves, "anomaly": (rows == SPIKE).astype(int)})


def source_of(path: Path, table: pl.DataFrame, **settings: object) -> DetectionSource:
    """Write a table as CSV, and name its columns."""
    table.write_csv(path)
    named = {"id_column": "id", "label_column": "anomaly"} if "anomaly" in table.columns else {"id_column": "id"}
    values = tuple(name for name in table.columns if name.startswith("value"))
    return DetectionSource(**{"path": str(path), "value_columns": values, **named, **settings})


def prepare(source: DetectionSource, **settings: object) -> Lineage:
    """Take a source through the data stages; `settings` are `split`, `encode` and `shard`."""
    rows = ingest.fn(DETECT, source)
    splits = split.fn(DETECT, rows, settings.get("split", SPLIT))
    encoded = encode.fn(DETECT, splits, settings.get("encode", LevelSettings()))
    return Lineage(
        rows=rows, splits=splits, encoded=encoded, shards=shard.fn(DETECT, encoded, settings.get("shard", WINDOWS))
    )


@pytest.fixture
def take_through(project: Path) -> Callable[..., Lineage]:
    """Take a table through the data stages of an empty project: `take_through(table, sentinels=(), ...)`."""

    def take(table: pl.DataFrame, *, stages: dict | None = None, **settings: object) -> Lineage:
        return prepare(source_of(project / "rows.csv", table, **settings), **stages or {})

    return take


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lineage, Artefact]:
    """A detector fitted to two series of one channel."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("detection")
        patch.setenv("RNNFLOW_HOME", str(home))
        lineage = prepare(source_of(home / "rows.csv", draw_panel()))
        return lineage, fit.fn(DETECT, lineage.shards, CANDIDATE)


@pytest.fixture(scope="module")
def fitted_channels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lineage, Artefact]:
    """A detector fitted to one series of two channels."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("channels")
        patch.setenv("RNNFLOW_HOME", str(home))
        lineage = prepare(source_of(home / "rows.csv", draw_panel((3,), num_channels=2)))
        return lineage, fit.fn(DETECT, lineage.shards, CANDIDATE)


def serve(
    home: Path, table: pl.DataFrame, stages: dict | None = None, *, cell: str = "gru", **source: object
) -> SeriesDetector:
    """Take a table through the stages, and load what is made to be served."""
    lineage = prepare(source_of(home / "rows.csv", table, **source), **stages or {})
    candidate = SHORT_MEMORY.model_copy(update={"model": SHORT_MEMORY.model.model_copy(update={"cell": cell})})
    model = artefacts.build(
        "fit",
        partial(write_shaken, candidate=candidate, shards=lineage.shards),
        module="tasks.store.artefacts",
        config=candidate,
        inputs=lineage.by_name(),
    )
    assemble_parts(home / "parts", lineage, Scored(model=model, evaluation=model))
    return SeriesDetector.load(home / "parts")


def write_shaken(folder: Path, *, candidate: DetectorCandidate, shards: Artefact) -> FittedSummary:
    """A network whose weights were drawn: its forecasts go up and down, and it need not be trained."""
    data = open_data(candidate, shards)
    model = create_model(candidate, data, shards, None)
    draw = torch.Generator().manual_seed(1)
    for weights in model.parameters():
        weights.data = torch.randn(weights.shape, generator=draw) / 2
    save_model(model, folder)
    fitted = {
        "name": "shaken",
        "device": "cpu",
        "train_s": 0.0,
        "best_epoch": 1,
        "num_parameters": 1,
        "clipped_share": 0.0,
    }
    return FittedSummary.model_validate({**finish_model(folder, model, data, candidate), **fitted})


def served_in(home: Path, *arguments: object, **settings: object) -> SeriesDetector:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNFLOW_HOME", str(home))
        return serve(home, *arguments, **settings)


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> SeriesDetector:
    return served_in(tmp_path_factory.mktemp("detector"), draw_panel())


@pytest.fixture(scope="session")
def detectors(detector: SeriesDetector, tmp_path_factory: pytest.TempPathFactory) -> dict[int, SeriesDetector]:
    """Detectors of one and of two channels."""
    return {1: detector, 2: served_in(tmp_path_factory.mktemp("channels"), draw_panel((3,), num_channels=2))}


@pytest.fixture
def make(project: Path) -> Callable[..., SeriesDetector]:
    """Serve what is learned from a table in an empty project."""
    return lambda table, stages=None, **source: serve(project, table, stages, **source)


def unlabelled(seeds=(1, 2), **drawn) -> pl.DataFrame:
    return draw_panel(seeds, **drawn).drop("anomaly")


def draw_more(seed: int, num_rows: int = MORE, *, channels=("value",), spikes=()) -> pl.DataFrame:
    """Rows of the first series, or of the one of two channels, that follow those of training."""
    draw, rows = np.random.default_rng(seed), np.arange(NUM_ROWS, NUM_ROWS + num_rows)
    name = "s1" if len(channels) == 1 else "s3"
    values = {channel: 50 + 9 * np.sin(rows / 4) + draw.normal(size=num_rows) for channel in channels}
    values[channels[0]][list(spikes)] += 60
    times = [START + timedelta(minutes=30 * int(row)) for row in rows]
    return pl.DataFrame({"id": name, "time": times, **values})
