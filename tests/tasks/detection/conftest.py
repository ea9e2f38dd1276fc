"""A small panel of series with planted anomalies, taken through the real stages."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.detection.modelling import DetectorCandidate
from tasks.detection.scaling import LevelSettings
from tasks.detection.segments import DetectionWindowSettings
from tasks.detection.source import DetectionSource
from tasks.detection.splitting import WarmUpSettings
from tasks.encode import encode
from tasks.fit import fit
from tasks.ingest import ingest
from tasks.lineage import Lineage
from tasks.shard import shard
from tasks.split import split
from tasks.store import Artefact

NUM_ROWS, WARM_UP, SPIKE = 160, 60, 120
START = datetime(2026, 3, 1)
SPLIT = WarmUpSettings(warm_up=WARM_UP / NUM_ROWS, valid=0.4)
WINDOWS = DetectionWindowSettings(look_back=8, horizon=4)
CANDIDATE = DetectorCandidate(
    name="gru",
    model={"cell": "gru", "hidden_size": 6, "segment_length": 4},
    training={"epochs": 6, "batch_windows": 8, "learning_rate": 1e-2, "ema_decay": 0, "device": "cpu"},
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
    rows = ingest.fn(source)
    splits = split.fn(rows, settings.get("split", SPLIT))
    encoded = encode.fn(splits, settings.get("encode", LevelSettings()))
    return Lineage(rows=rows, splits=splits, encoded=encoded, shards=shard.fn(encoded, settings.get("shard", WINDOWS)))


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
        return lineage, fit.fn(lineage.shards, CANDIDATE)


@pytest.fixture(scope="module")
def fitted_channels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lineage, Artefact]:
    """A detector fitted to one series of two channels."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("channels")
        patch.setenv("RNNFLOW_HOME", str(home))
        lineage = prepare(source_of(home / "rows.csv", draw_panel((3,), num_channels=2)))
        return lineage, fit.fn(lineage.shards, CANDIDATE)
