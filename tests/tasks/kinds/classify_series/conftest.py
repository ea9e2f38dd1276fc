"""Small labelled sequences, as files and as artefacts of the stages."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.contract.lineage import Lineage
from tasks.encode import encode
from tasks.ingest import ingest
from tasks.kinds.classify_series.encode import SequenceScaleSettings
from tasks.kinds.classify_series.recipe import CLASSIFY_SERIES, SequenceShardSettings
from tasks.kinds.classify_series.source import SequenceSource
from tasks.kinds.classify_series.split import SequenceSplitSettings
from tasks.shard import shard
from tasks.split import split
from tasks.store.artefacts import Artefact

COLUMNS = {"id_column": "id", "time_unit": "step", "value_columns": ("x", "y")}


def draw_table(num_sequences: int, *, seed: int = 1, longest: int = 12) -> pl.DataFrame:
    """Sequences whose label says whether channel x rises or falls, with a row per step."""
    generator = np.random.default_rng(seed)
    frames = []
    for number in range(num_sequences):
        length = int(generator.integers(3, longest + 1))
        slope = 1 if number % 2 else -1
        step = np.arange(length)
        columns = {"x": slope * step + generator.normal(0, 0.3, length), "y": generator.normal(5, 2, length)}
        frames.append(
            pl.DataFrame({"id": f"s{number:03d}", "time": step, **columns, "label": ("down", "up")[slope > 0]})
        )
    return pl.concat(frames)


@pytest.fixture
def ingest_table(project: Path) -> Callable[..., Artefact]:
    """A function that stores a table as CSV and ingests it."""

    def run(table: pl.DataFrame | str, **settings: object) -> Artefact:
        path = project / "sequences.csv"
        path.write_text(table) if isinstance(table, str) else table.write_csv(path)
        return ingest.fn(CLASSIFY_SERIES, SequenceSource(**{"path": str(path), **COLUMNS, **settings}))

    return run


@pytest.fixture
def make_lineage(ingest_table: Callable[..., Artefact]) -> Callable[..., Lineage]:
    """A function that runs the stages from a table to shards."""

    def run(table: pl.DataFrame, *, shards: dict = {}, encoding: dict = {}, **settings: object) -> Lineage:
        rows = ingest_table(table, **settings)
        splits = split.fn(CLASSIFY_SERIES, rows, SequenceSplitSettings(valid=0.2, test=0.2))
        encoded = encode.fn(CLASSIFY_SERIES, splits, SequenceScaleSettings(**encoding))
        laid_out = shard.fn(CLASSIFY_SERIES, encoded, SequenceShardSettings(num_widths=3, **shards))
        return Lineage(rows=rows, splits=splits, encoded=encoded, shards=laid_out)

    return run
