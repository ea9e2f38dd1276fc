"""What a detector makes of rows, and how every model leaves it for the stages that follow."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.kinds.detect.detector import decide_threshold
from tasks.kinds.detect.settings import DetectorSettings


@dataclass(frozen=True)
class Opinion:
    """Forecasts of levels [rows, channels], the score of each row, and how many pieces of evidence it sums up."""

    forecasts: NDArray[np.float32]
    surprise: NDArray[np.float64]
    num_evidence: int


def write_opinions(folder: Path, opinions: Sequence[Opinion], settings: DetectorSettings) -> float:
    """Store what is made of series in their order; returns the threshold.

    Files `forecasts.npy`, `surprise.npy`, and `detector.json`: from which score on a row is anomalous, and which of
    such rows are one event.
    """
    forecasts = np.concatenate([one.forecasts for one in opinions])
    num_evidence = opinions[0].num_evidence
    threshold = decide_threshold(settings, forecasts.shape[1], num_evidence)
    np.save(folder / "forecasts.npy", forecasts)
    np.save(folder / "surprise.npy", np.concatenate([one.surprise for one in opinions]))
    told = {"threshold": threshold, "gap_share": settings.events.gap_share, "num_evidence": num_evidence}
    (folder / "detector.json").write_text(json.dumps(told), encoding="utf-8")
    return threshold
