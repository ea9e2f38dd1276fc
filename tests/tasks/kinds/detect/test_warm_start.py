"""A detector goes on from the champion's weights."""

from pathlib import Path

import polars as pl
import pytest
import torch

from rnnmodels.forecasters.forecaster import SequenceForecaster
from rnnmodels.training.checkpoint import load_model
from tasks.contract.contest import Scored
from tasks.contract.lineage import Lineage
from tasks.kinds.detect.fit import create_model, open_data
from tasks.kinds.detect.recipe import DETECT
from tasks.kinds.detect.register import assemble_parts
from tasks.store.artefacts import Artefact
from tasks.warm_start import warm_start
from tests.tasks.kinds.detect.conftest import CANDIDATE, draw_panel, prepare, source_of
from tests.tasks.kinds.warm_starts import crown, refusal_of

VALID = "valid"


@pytest.fixture
def parts(fitted: tuple[Lineage, Artefact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The champion's folder."""
    assemble_parts(tmp_path / "parts", fitted[0], Scored(model=fitted[1], evaluation=fitted[1]))
    return crown(monkeypatch, tmp_path, tmp_path / "parts")


def test_on_equal_rows_it_starts_where_the_champion_ended(fitted: tuple[Lineage, Artefact], parts: Path):
    lineage = fitted[0]
    data = open_data(CANDIDATE, lineage.shards)

    warm = create_model(CANDIDATE, data, lineage.shards, warm_start.fn(DETECT, "model", lineage.encoded))

    ended = load_model(SequenceForecaster, parts).validate(data[VALID], CANDIDATE.training)
    assert warm.validate(data[VALID], CANDIDATE.training).loss == pytest.approx(ended.loss, rel=1e-6)


def test_series_of_another_level_start_there_as_well_for_levels_have_no_unit(parts: Path, tmp_path: Path):
    lineage = prepare(source_of(tmp_path / "rows.csv", draw_panel().with_columns(value=1e4 * pl.col("value") - 7)))
    data = open_data(CANDIDATE, lineage.shards)

    warm = create_model(CANDIDATE, data, lineage.shards, warm_start.fn(DETECT, "model", lineage.encoded))

    ended = load_model(SequenceForecaster, parts).validate(data[VALID], CANDIDATE.training)
    assert warm.validate(data[VALID], CANDIDATE.training).loss == pytest.approx(ended.loss, rel=1e-5)


def test_a_new_channel_is_read_by_the_weights_that_channels_share(parts: Path, tmp_path: Path):
    lineage = prepare(source_of(tmp_path / "rows.csv", draw_panel((5, 6), num_channels=2)))

    warm = create_model(
        CANDIDATE,
        open_data(CANDIDATE, lineage.shards),
        lineage.shards,
        warm_start.fn(DETECT, "model", lineage.encoded),
    )

    earlier = dict(load_model(SequenceForecaster, parts).named_parameters())
    assert all(torch.equal(weights, earlier[name]) for name, weights in warm.named_parameters())


@pytest.mark.usefixtures("parts")
def test_rows_without_a_channel_that_it_knows_are_refused(tmp_path: Path):
    panel = draw_panel((5,)).rename({"value": "value_other"})
    lineage = prepare(source_of(tmp_path / "rows.csv", panel))

    assert refusal_of(DETECT, lineage.encoded).startswith(
        'E-TRN-002 model/1 cannot be started from: it knows none of the channels "value_other", but "value".\n'
    )
