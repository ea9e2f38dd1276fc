"""How a registered detector reads series, and what it has learned of each: its `serving.json`.

This module travels with the registered model, so it knows neither Prefect nor MLflow.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from tasks.kinds.detect.settings import DetectorSettings
from tasks.kinds.detect.source import DetectionSource
from tasks.kinds.detect.split import WarmUpSettings
from tasks.panel.time_grid import Clock, show_time
from tasks.registry.served_parts import write_serving
from tasks.sources.served_source import LABELS_ASIDE, NAMES_FILES, ServedSource

KIND = "detect"
SCALES_FILE, RECENT_FILE = "scales.json", "recent.parquet"
MODEL = "tasks.kinds.detect.served_detector:SeriesDetector"
PARTS = ("model.safetensors", "model.json", SCALES_FILE, RECENT_FILE)


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What a detector has learned from of a series: its warm-up, and when that ended; `rows` counts all there were.

    `until` is the time of the last row of the warm-up, in microseconds since 1970 or a step number.
    """

    rows: int
    warm_up_rows: int
    until: int


@dataclass(frozen=True, kw_only=True)
class Serving(ServedSource[DetectionSource]):
    """How a detector reads and judges series: the source's columns, the channels, what it is told, what it learned."""

    not_obeyed: ClassVar[Mapping[str, str]] = NAMES_FILES | LABELS_ASIDE

    name: str
    channels: tuple[str, ...]
    clock: Clock
    zone: str | None
    detector: dict[str, Any]
    warm_up: dict[str, Any]
    threshold: float
    series: dict[str, Learned]

    @classmethod
    def trained_as(cls) -> type[DetectionSource]:
        """Series to monitor."""
        return DetectionSource

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Serving":
        """Read what `dataclasses.asdict` made of it."""
        series = {name: Learned(**learned) for name, learned in fields["series"].items()}
        read: dict[str, Any] = {**fields, "channels": tuple(fields["channels"]), "series": series}
        return cls(**read)

    @property
    def detector_settings(self) -> DetectorSettings:
        """How errors become anomaly scores and events."""
        return DetectorSettings.model_validate(self.detector)

    @property
    def warm_up_settings(self) -> WarmUpSettings:
        """How long the warm-up of a series is that was not there in training."""
        return WarmUpSettings.model_validate(self.warm_up)

    def show(self, time: int) -> str:
        """A time in microseconds since 1970, or a step, as a person writes it: instants on the clocks of the zone."""
        if self.zone is None:
            return show_time(time, self.clock)
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)
        return instant.astimezone(ZoneInfo(self.zone)).isoformat()


def complete_detector(folder: Path, serving: Serving) -> None:
    """Complete a folder that holds model, scales and recent rows with `serving.json`."""
    write_serving(folder, kind=KIND, serving=asdict(serving), parts=PARTS, model=MODEL)
