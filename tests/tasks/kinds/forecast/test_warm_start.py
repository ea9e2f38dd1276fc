"""A forecaster goes on from the champion's weights, and what these say nothing about is named."""

import json
from pathlib import Path

import pytest

from rnnmodels.forecasters.forecaster import SequenceForecaster
from rnnmodels.training.checkpoint import load_model
from tasks.contract.contest import Contest
from tasks.contract.lineage import Lineage
from tasks.fit import fit
from tasks.kinds.forecast.fit import ForecastCandidate, create_model, open_data
from tasks.kinds.forecast.recipe import FORECAST
from tasks.progress import Progress, listening
from tasks.promotion import named_models
from tasks.warm_start import warm_start
from tests.tasks.kinds.warm_starts import change_serving, crown, refusal_of


@pytest.fixture
def parts(loads_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The champion's folder, which may be changed."""
    with monkeypatch.context() as patch:
        patch.setenv("RNNFLOW_HOME", str(loads_home))
        registered = named_models.resolve_model("loads/1").parts
    return crown(monkeypatch, tmp_path, registered)


def champion_of(contest: Contest) -> ForecastCandidate:
    return ForecastCandidate(**contest.best.model.manifest["config"])


@pytest.mark.usefixtures("parts")
def test_on_equal_rows_it_starts_where_the_champion_ended(loads: tuple[Lineage, Contest], parts: Path):
    lineage, contest = loads
    candidate, initial = champion_of(contest), warm_start.fn(FORECAST, "model", lineage.encoded)
    data = open_data(candidate, lineage.shards)

    warm, cold = (create_model(candidate, data, lineage.shards, start) for start in (initial, None))

    ended = load_model(SequenceForecaster, parts).validate(data["valid"], candidate.training)
    assert warm.validate(data["valid"], candidate.training).loss == pytest.approx(ended.loss, rel=1e-5)
    assert cold.validate(data["valid"], candidate.training).loss > ended.loss


@pytest.mark.usefixtures("parts")
def test_a_fit_that_starts_warm_says_so_and_is_another_fit(loads: tuple[Lineage, Contest]):
    lineage, contest = loads
    events: list[Progress] = []

    with listening(events.append):
        warm = fit.fn(
            FORECAST,
            lineage.shards,
            champion_of(contest),
            initial=warm_start.fn(FORECAST, "model", lineage.encoded),
        )

    assert "starts from the champion's weights" in [event.note for event in events]
    assert warm.key != contest.best.model.key


def test_rows_without_a_channel_that_it_knows_are_refused(loads: tuple[Lineage, Contest], parts: Path):
    change_serving(parts, channels=["flow", "head"])

    assert refusal_of(FORECAST, loads[0].encoded) == (
        'E-TRN-002 model/1 cannot be started from: it knows none of the channels "load", but "flow", "head".\n'
        "Fix: name them as then, or train without --warm-start."
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"method": "none"}, "in the units of the source"),
        ({"own": {"columns": ["value.load"], "series": {}}}, "scaled for each series"),
    ],
)
def test_numbers_that_are_scaled_in_another_way_are_refused(
    loads: tuple[Lineage, Contest], parts: Path, changed: dict, said: str
):
    scaler = json.loads((parts / "scaler.json").read_bytes())
    (parts / "scaler.json").write_text(json.dumps(scaler | changed))

    assert refusal_of(FORECAST, loads[0].encoded) == (
        f"E-TRN-002 model/1 cannot be started from: its numbers were {said}, and those to train on are scaled for all "
        "series alike.\nFix: set encode.method and encode.scale, or train without --warm-start."
    )


def test_a_champion_of_another_kind_is_refused(loads: tuple[Lineage, Contest], parts: Path):
    change_serving(parts, kind="detect")

    assert refusal_of(FORECAST, loads[0].encoded) == (
        "E-TRN-002 model/1 cannot be started from: it is a model of the kind detect, expected forecast.\n"
        "Fix: set registry.model, or train without --warm-start."
    )
