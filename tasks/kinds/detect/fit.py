"""Detectors as candidates: a forecaster fitted to the warm-up of all series, and how its errors become scores."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tasks.kinds.detect.detector import Opinion, judge_rows, write_opinions
from tasks.kinds.detect.likelihood import choose_evidence
from tasks.kinds.detect.settings import DetectorArchitecture, DetectorSettings, DetectorTraining
from tasks.kinds.forecast.fit import ForecastCandidate, create_model
from tasks.kinds.forecast.stored_windows import TRAIN, open_split, read_layout
from tasks.store.artefacts import Artefact

if TYPE_CHECKING:
    from rnnmodels.forecasters.forecaster import SequenceForecaster
    from rnnmodels.forecasters.windows import Windows

__all__ = ["DetectorCandidate", "create_model", "finish_model", "open_data"]

VALID, JUDGED = "valid", "judged"


class DetectorCandidate(ForecastCandidate):
    """A forecaster to train, how, and how its errors become anomaly scores and events."""

    model: DetectorArchitecture = Field(DetectorArchitecture(), description="The network that forecasts.")
    training: DetectorTraining = Field(DetectorTraining(), description="How it is fitted.")
    detector: DetectorSettings = Field(DetectorSettings(), description="How rows are judged by its forecasts.")


@dataclass(frozen=True)
class JudgedRows:
    """Windows that end with the rows to judge, series by series, and how many rows each series has."""

    windows: "Windows"
    rows_of_series: tuple[int, ...]

    def levels(self) -> NDArray[np.float32]:
        """The level of each row [rows, channels]."""
        segments, context = self.windows.segments, self.windows.shape.num_steps - 1
        return np.concatenate([segments.values_of(number)[context:] for number in range(len(self.rows_of_series))])


class DetectorData(TypedDict):
    """What a detector is trained on, what it is chosen by, and the rows that it judges."""

    train: "Windows"
    valid: "Windows"
    judged: JudgedRows


def open_data(candidate: DetectorCandidate, shards: Artefact) -> DetectorData:
    """Memory-map the verified segments of the warm-up and of the rows to judge."""
    from rnnmodels.forecasters.windows import open_windows

    layout = read_layout(shards)
    windows = open_windows(
        shards.file(f"{JUDGED}.arrow"), look_back=layout["look_back"], horizon=layout["horizon"], stride=1
    )
    return {
        "train": open_split(shards, TRAIN).sampled(candidate.training.windows_per_epoch),
        "valid": open_split(shards, VALID),
        "judged": JudgedRows(windows, tuple(series["rows"] for series in layout["series"])),
    }


def finish_model(
    folder: Path, model: "SequenceForecaster", data: DetectorData, candidate: DetectorCandidate
) -> dict[str, float]:
    """Weigh the recurrent part on validation, and store what the detector makes of every row."""
    from tasks.kinds.detect.forecasting import forecast_windows

    finished = model.finish(data["valid"], candidate.training)
    judged, settings = data["judged"], candidate.detector
    levels_NC, forecasts_NC = judged.levels(), forecast_windows(model, judged.windows, judged.rows_of_series)
    ends = np.cumsum(judged.rows_of_series)[:-1]
    num_evidence = len(choose_evidence(settings.likelihood))
    opinions = [
        Opinion(forecasts, judge_rows(levels, forecasts, settings), num_evidence)
        for levels, forecasts in zip(np.split(levels_NC, ends), np.split(forecasts_NC, ends), strict=True)
    ]
    return {"rows": len(levels_NC), "threshold": write_opinions(folder, opinions, settings), **finished}
