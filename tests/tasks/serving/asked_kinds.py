"""Small models of the kinds that answer tables, each with a table to ask it about; none of them is trained for long."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
import torch

from rnnmodels.classifiers.series_config import SeriesArchitecture, SeriesTraining
from rnnmodels.training.checkpoint import save_model
from tasks.contract.contest import Scored
from tasks.contract.lineage import Lineage
from tasks.encode import encode
from tasks.evaluate import evaluate
from tasks.fit import fit
from tasks.ingest import ingest
from tasks.kinds.classify_series.encode import SequenceScaleSettings
from tasks.kinds.classify_series.fit import SequenceCandidate
from tasks.kinds.classify_series.recipe import CLASSIFY_SERIES, SequenceShardSettings
from tasks.kinds.classify_series.register import REGISTRATION
from tasks.kinds.classify_series.source import SequenceSource
from tasks.kinds.classify_series.split import SequenceSplitSettings
from tasks.kinds.forecast.serving import complete_forecaster
from tasks.labelled.evaluate import ClassificationSettings
from tasks.registry.registered_model import RegisteredModel
from tasks.shard import shard
from tasks.split import split
from tests.tasks.kinds.classify_series.conftest import COLUMNS, draw_table
from tests.tasks.kinds.detect.conftest import draw_more, draw_panel, served_in, unlabelled
from tests.tasks.kinds.forecast.ramps import Steps, exact_forecaster, ramp

HOURS = Steps(frequency="1h")


@dataclass(frozen=True)
class Asked:
    """A model, a table that it answers, and where in its answer to that table the answers are."""

    model: RegisteredModel
    table: pl.DataFrame
    field: str

    @property
    def rows(self) -> list[dict]:
        """The table as JSON has it."""
        return json.loads(self.table.write_json())


def make_forecaster(folder: Path) -> tuple[pl.DataFrame, str]:
    forecaster = exact_forecaster(HOURS, missing="error", id_columns=("shop",))
    draw = torch.Generator().manual_seed(1)
    for weights in forecaster.model.parameters():
        weights.data = torch.randn(weights.shape, generator=draw) / 2
    forecaster.model.recurrent_weight.fill_(1)
    folder.mkdir(parents=True)
    save_model(forecaster.model, folder)
    (folder / "scaler.json").write_text(json.dumps(forecaster.scaler.to_dict()))
    complete_forecaster(folder, forecaster.serving)
    histories = [ramp(HOURS, range(92, 92 + rows)).with_columns(shop=pl.lit(name)) for name, rows in SHOPS.items()]
    texts = pl.col("time").dt.to_string("iso:strict")
    return pl.concat(histories).drop("n").with_columns(texts, a=pl.col("a") + 0.1), "forecasts"


def make_detector(folder: Path) -> tuple[pl.DataFrame, str]:
    folder.parent.mkdir(parents=True)
    served_in(folder.parent, draw_panel())
    table = pl.concat([unlabelled((7,)), draw_more(1, spikes=(3,))])
    return table.with_columns(pl.col("time").dt.to_string("iso:strict")), "rows"


def make_labeller(folder: Path) -> tuple[pl.DataFrame, str]:
    home = folder.parent
    home.mkdir(parents=True)
    draw_table(40).write_csv(home / "sequences.csv")
    candidate = SequenceCandidate(
        name="gru",
        model=SeriesArchitecture(hidden_size=4),
        training=SeriesTraining(epochs=1, batch_steps=60, device="cpu"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNFLOW_HOME", str(home))
        rows = ingest.fn(CLASSIFY_SERIES, SequenceSource(path=str(home / "sequences.csv"), **COLUMNS))
        splits = split.fn(CLASSIFY_SERIES, rows, SequenceSplitSettings(valid=0.2, test=0.2))
        encoded = encode.fn(CLASSIFY_SERIES, splits, SequenceScaleSettings())
        shards = shard.fn(CLASSIFY_SERIES, encoded, SequenceShardSettings(num_widths=3, max_length=8))
        model = fit.fn(CLASSIFY_SERIES, shards, candidate)
        lineage = Lineage(rows=rows, splits=splits, encoded=encoded, shards=shards)
        evaluated = evaluate.fn(CLASSIFY_SERIES, model, lineage, ClassificationSettings(resamples=100))
        REGISTRATION.assemble_parts(folder, lineage, Scored(model=model, evaluation=evaluated))
    return draw_table(5, seed=9).drop("label"), "predictions"


SHOPS = {"north": 9, "south": 12}
MAKERS: dict[str, Callable[[Path], tuple[pl.DataFrame, str]]] = {
    "forecast": make_forecaster,
    "detect": make_detector,
    "classify-series": make_labeller,
}


def make(kind: str, folder: Path) -> Asked:
    """Build a model of a kind under a folder, packed as a registered one is."""
    table, field = MAKERS[kind](folder / "artifacts" / "parts")
    return Asked(RegisteredModel(name="small", version="1", artifact_uri="", folder=folder), table, field)
