"""Forecasters as candidates: their network, the windows they read, the forecasts they leave."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from rnnmodels.forecasters.forecast_config import ForecastArchitecture, ForecastTraining, resolve_loss
from tasks.contract.candidate import Candidate
from tasks.contract.initial import describe_start, open_initial
from tasks.errors import InputError, quoted
from tasks.kinds.forecast.stored_windows import SCORED_SPLITS, TRAIN, open_split
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact

if TYPE_CHECKING:
    from rnnmodels.forecasters.forecaster import SequenceForecaster
    from rnnmodels.forecasters.windows import Windows

VALID = "valid"


class ForecastCandidate(Candidate):
    """A forecaster to train, and how."""

    model: ForecastArchitecture = Field(ForecastArchitecture(), description="The network.")
    training: ForecastTraining = Field(ForecastTraining(), description="How it is fitted.")

    @model_validator(mode="after")
    def _has_a_loss_for_its_output(self) -> Self:
        resolve_loss(self.model, self.training)
        return self


def open_data(candidate: ForecastCandidate, shards: Artefact) -> "dict[str, Windows]":
    """Memory-map the verified segments of each split; an epoch takes as many training windows as the candidate says."""
    data = {split: open_split(shards, split) for split in (TRAIN, *SCORED_SPLITS)}
    data[TRAIN] = data[TRAIN].sampled(candidate.training.windows_per_epoch)
    return data


def create_model(
    candidate: ForecastCandidate,
    data: "dict[str, Windows]",
    shards: Artefact,  # noqa: ARG001 (the windows tell all sizes)
    initial: Artefact | None = None,
) -> "SequenceForecaster":
    """Make the candidate's network, its linear path fitted in closed form, its recurrent part from `initial`.

    Raises InputError (E-TRN-003) for a network that the windows do not fit.
    """
    from rnnmodels.forecasters.forecaster import SequenceForecaster

    try:
        model = SequenceForecaster(candidate.model, data[TRAIN].shape, seed=candidate.training.seed)
        prepared = model.prepare(data[TRAIN], data[VALID])
    except ValueError as error:
        raise InputError(
            "E-TRN-003",
            f"candidate {quoted(candidate.name)} does not fit the windows: {error}.",
            fix=_find_remedy(candidate, str(error)),
        ) from error
    if prepared:
        figures = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in prepared.items())
        emit(Progress("fit", candidate.name, note=f"fitted its linear component: {figures}"))
    if initial is not None:
        _start_from_champion(model, candidate, initial)
    return model


def _start_from_champion(model: "SequenceForecaster", candidate: ForecastCandidate, initial: Artefact) -> None:
    from rnnmodels.forecasters.warm_start import start_from

    folder, matched = open_initial(initial)
    difference = start_from(model, folder, channel_ids=matched["channels"], covariate_ids=matched["covariates"])
    emit(Progress("fit", candidate.name, note=describe_start(difference)))


def _find_remedy(candidate: ForecastCandidate, problem: str) -> str:
    too_long = re.match(r"(\w+): got .*, expected at most the look-back (\d+)$", problem)
    if too_long is None:
        return "change its model, or shard.look_back and shard.horizon."
    return f"set candidates.{candidate.name}.model.{too_long[1]} = {too_long[2]} or less, or raise shard.look_back."


def finish_model(
    folder: Path, model: "SequenceForecaster", data: "dict[str, Windows]", candidate: ForecastCandidate
) -> dict[str, float]:
    """Weigh the recurrent part on validation, and store what the model forecasts for the rows kept back.

    Files `valid.npy` and `test.npy` float32 [windows, horizon, channels, 1 + quantiles], and `forecast.json`.
    """
    from rnnmodels.forecasters.forecasts import predict_windows

    finished = model.finish(data[VALID], candidate.training)
    for split in SCORED_SPLITS:
        predict_windows(model, data[split], folder / f"{split}.npy")
    levels = list(model.architecture.forecast_levels)
    (folder / "forecast.json").write_text(json.dumps({"quantiles": levels}), encoding="utf-8")
    return {"rows": sum(data[split].num_rows for split in SCORED_SPLITS), **finished}
