"""Detectors as candidates: a forecaster fitted to the warm-up of all series, and how its errors become surprise."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tasks.detection.detector import decide_threshold, judge_rows
from tasks.detection.likelihood import choose_evidence
from tasks.detection.settings import DetectorArchitecture, DetectorSettings, DetectorTraining
from tasks.series.modelling import ForecastCandidate, create_model
from tasks.series.stored_windows import TRAIN, open_split, read_layout
from tasks.store import Artefact

if TYPE_CHECKING:
    from rnnmodels.forecaster import SequenceForecaster
    from rnnmodels.windows import Windows

__all__ = ["DetectorCandidate", "create_model", "finish_model", "open_data"]

VALID, JUDGED = "valid", "judged"


class DetectorCandidate(ForecastCandidate):
    """A forecaster to train, how, and how its errors become surprise and events."""

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


def open_data(candidate: DetectorCandidate, shards: Artefact) -> "dict[str, Windows | JudgedRows]":
    """Memory-map the verified segments of the warm-up and of the rows to judge."""
    from rnnmodels.windows import open_windows

    layout = read_layout(shards)
    data: dict = {split: open_split(shards, split) for split in (TRAIN, VALID)}
    data[TRAIN] = data[TRAIN].sampled(candidate.training.windows_per_epoch)
    windows = open_windows(
        shards.file(f"{JUDGED}.arrow"), look_back=layout["look_back"], horizon=layout["horizon"], stride=1
    )
    data[JUDGED] = JudgedRows(windows, tuple(series["rows"] for series in layout["series"]))
    return data


def finish_model(
    folder: Path, model: "SequenceForecaster", data: "dict[str, Windows | JudgedRows]", candidate: DetectorCandidate
) -> dict[str, float]:
    """Weigh the recurrent part on validation, and store what the detector makes of every row.

    Files `forecasts.npy` float32 [rows, channels], `surprise.npy` float64 [rows], and `detector.json`.
    """
    from tasks.detection.forecasting import forecast_windows

    finished = model.finish(data[VALID], candidate.training)
    judged, settings = data[JUDGED], candidate.detector
    levels_NC, forecasts_NC = judged.levels(), forecast_windows(model, judged.windows)
    ends = np.cumsum(judged.rows_of_series)[:-1]
    surprises = [
        judge_rows(*series, settings)
        for series in zip(np.split(levels_NC, ends), np.split(forecasts_NC, ends), strict=True)
    ]
    num_evidence = len(choose_evidence(settings.likelihood))
    threshold = write_judgement(folder, forecasts_NC, np.concatenate(surprises), settings, num_evidence)
    return {"rows": len(levels_NC), "threshold": threshold, **finished}


def write_judgement(
    folder: Path,
    forecasts_NC: NDArray[np.float32],
    surprise_N: NDArray[np.float64],
    settings: DetectorSettings,
    num_evidence: int,
) -> float:
    """Store what a detector makes of every row; returns the surprise from which on it calls one anomalous."""
    threshold = decide_threshold(settings, forecasts_NC.shape[1], num_evidence)
    np.save(folder / "forecasts.npy", forecasts_NC)
    np.save(folder / "surprise.npy", surprise_N)
    told = {"threshold": threshold, "gap_share": settings.events.gap_share, "num_evidence": num_evidence}
    (folder / "detector.json").write_text(json.dumps(told), encoding="utf-8")
    return threshold
