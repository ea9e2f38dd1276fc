"""Shards of small series, and a small forecasting run from file to registered model."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from flows.recipes.recipe import build_recipe
from tasks.baseline import fit_baselines
from tasks.contract.contest import Contest, Scored
from tasks.contract.lineage import Lineage
from tasks.contract.registration import RegistrySettings
from tasks.encode import encode
from tasks.evaluate import evaluate
from tasks.fit import fit
from tasks.ingest import ingest
from tasks.kinds.forecast.recipe import FORECAST
from tasks.kinds.forecast.summaries import WindowsSummary
from tasks.panel.time_grid import TimeGrid
from tasks.register import register
from tasks.shard import shard
from tasks.split import split
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tasks.tracking.outbox import end_run
from tasks.tracking.runs import RunContext

Segments = Sequence[tuple[int, int, np.ndarray]]  # series, time of the first row, values [rows, channels]


@pytest.fixture
def make_shards(project: Path) -> Callable[..., Artefact]:
    """Store segments as shards: `make_shards({"train": [(series, first time, values), ...], ...}, look_back=...)`."""

    def make(
        splits: Mapping[str, Segments], *, look_back: int, horizon: int, season: int = 1, stride: int = 1
    ) -> Artefact:
        channels = [f"c{index}" for index in range(splits["train"][0][2].shape[1])]
        series = sorted({f"s{one[0]}" for segments in splits.values() for one in segments})
        layout = {
            "look_back": look_back, "horizon": horizon, "stride": 1, "evaluation_stride": stride, "season": season,
            "channels": channels, "covariates": [], "series": series,
        }  # fmt: skip

        def write(folder: Path) -> dict:
            for name, segments in splits.items():
                write_segments(folder / f"{name}.arrow", segments)
            (folder / "shards.json").write_text(json.dumps(layout))
            return WindowsSummary(
                rows=1, channels=channels, covariates=[], grid=TimeGrid("1", "step", None, 0), windows={}
            )

        config = {**layout, "content": [_content_of(one[2]) for segments in splits.values() for one in segments]}
        return artefacts.build("shard", write, module="tasks.store.artefacts", config=config)

    return make


@pytest.fixture
def make_artefact(project: Path) -> Callable[..., Artefact]:
    """Store arrays (.npy) and JSON values under their file names, with a summary."""

    def make(stage: str, files: Mapping[str, object], **summary: object) -> Artefact:
        def write(folder: Path) -> dict:
            for name, content in files.items():
                if isinstance(content, np.ndarray):
                    np.save(folder / name, content)
                else:
                    (folder / name).write_text(json.dumps(content))
            return Summary.model_validate({"rows": 1, **summary})

        config = {name: _content_of(content) for name, content in files.items()}
        return artefacts.build(stage, write, module="tasks.store.artefacts", config={**config, **summary})

    return make


def _content_of(value: object) -> object:
    return hashlib.sha256(value.tobytes()).hexdigest() if isinstance(value, np.ndarray) else value


def write_segments(path: Path, segments: Segments) -> None:
    channels = segments[0][2].shape[1]
    schema = pa.schema(
        [
            ("row", pa.uint32()),
            ("series", pa.uint32()),
            ("time", pa.int64()),
            ("values", pa.list_(pa.float32(), channels)),
        ]
    )
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for series, first, values in segments:
            rows = len(values)
            flat = pa.array(values.astype(np.float32).ravel())
            columns = [
                pa.array(np.arange(rows), pa.uint32()),
                pa.array(np.full(rows, series), pa.uint32()),
                pa.array(np.arange(first, first + rows), pa.int64()),
                pa.FixedSizeListArray.from_arrays(flat, channels),
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))


@pytest.fixture(scope="session")
def loads_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hourly loads of two substations over 20 days, with a covariate that is known in advance."""
    path = tmp_path_factory.mktemp("loads") / "loads.csv"
    generator = np.random.default_rng(7)
    lines = ["station,time,load,works"]
    for station, level in (("north", 10.0), ("south", 400.0)):
        for hour in range(480):
            works = int(hour % 50 < 4)
            load = level * (1.5 + np.sin(hour / 24 * 2 * np.pi) + works) + generator.normal(0, level / 20)
            day, clock = divmod(hour, 24)
            lines.append(f"{station},2024-03-{day + 1:02}T{clock:02}:00:00Z,{load:.3f},{works}")
    path.write_text("\n".join([*lines, ""]))
    return path


@pytest.fixture(scope="session")
def loads(tmp_path_factory: pytest.TempPathFactory, loads_csv: Path) -> tuple[Lineage, Contest]:
    """Two small forecasters and the baselines, fitted by the real stages on the loads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNFLOW_HOME", str(tmp_path_factory.mktemp("loads_home")))
        recipe = build_recipe(loads_csv.with_name("loads.toml"), loads_recipe(loads_csv))
        rows = ingest.fn(FORECAST, recipe.source)
        splits = split.fn(FORECAST, rows, recipe.split)
        encoded = encode.fn(FORECAST, splits, recipe.encode)
        lineage = Lineage(rows=rows, splits=splits, encoded=encoded, shards=shard.fn(FORECAST, encoded, recipe.shard))
        candidates = [fit.fn(FORECAST, lineage.shards, candidate) for candidate in recipe.candidates]
        candidates, baselines = (
            tuple(
                Scored(model=model, evaluation=evaluate.fn(FORECAST, model, lineage, recipe.evaluate))
                for model in models
            )
            for models in (candidates, fit_baselines.fn(FORECAST, lineage, recipe.baseline).fitted)
        )
        return lineage, Contest(candidates=candidates, baselines=baselines, settings=recipe.evaluate)


@pytest.fixture(scope="session")
def loads_home(tmp_path_factory: pytest.TempPathFactory, empty_database: Path, loads: tuple[Lineage, Contest]) -> Path:
    """A project folder in which the best forecaster of the loads is registered; not to be written to."""
    home = tmp_path_factory.mktemp("loads_registered")
    (home / "mlruns").mkdir()
    shutil.copyfile(empty_database, home / "mlruns" / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNFLOW_HOME", str(home))
        register.fn(
            FORECAST, RunContext(recipe="loads", flow_run_id="flow-1"), *loads, RegistrySettings(certificate_rows=8)
        )
        end_run("flow-1", "COMPLETED")
    return home


def loads_recipe(path: Path) -> dict:
    """The recipe as TOML would hold it."""
    small = {"hidden_size": 4, "segment_length": 3, "output": "quantiles", "quantile_levels": [0.1, 0.5, 0.9]}
    return {
        "name": "loads",
        "kind": "forecast",
        "source": {
            "path": str(path), "id_column": "station", "value_columns": ["load"], "covariate_columns": ["works"],
        },
        "encode": {"calendar": ["hour"]},
        "shard": {"look_back": 24, "horizon": 6},
        "training": {"epochs": 1, "device": "cpu", "precision": "float32"},
        "candidates": [
            {"name": "segment", "model": {"decoder": "segment", **small}},
            {"name": "direct", "model": {"decoder": "direct", "cell": "lstm", **small}},
        ],
        "evaluate": {"resamples": 100},
    }  # fmt: skip
